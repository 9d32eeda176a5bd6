"""`rng=`: what is drawn for an item depends on the seed and the position of the item alone."""

import pickle
import random
from functools import partial
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import smap, starmap
from tests.chance.expected import EXPECTED, N, draw, expected_rng


def test_bits_are_the_same_for_ever() -> None:
    raw = smap(
        lambda _, rng: rng.bit_generator.random_raw(2).tolist(), seqtools.arange(1 << 62), rng=7
    )
    assert raw[0] == [9680631524636819899, 10812793474812953213]
    assert raw[1] == [7635394361092197112, 2541233403739620322]
    assert raw[(1 << 62) - 1] == [4491520372764406921, 5433376037343570198]
    named = smap(lambda _, rng: int(rng.bit_generator.random_raw()), range(2), rng=("augment", -3))
    assert list(named) == [8780805672977738160, 1710080984366602567]


def test_generators_are_those_of_philox_with_key_and_counter() -> None:
    for seed in (0, 7, -1, 1 << 70):
        drawn = smap(draw, range(N), rng=seed)
        assert list(drawn) == [draw(i, expected_rng(seed, i)) for i in range(N)]


def test_any_order_of_reading() -> None:
    drawn = smap(draw, range(N), rng=7)
    order = random.Random(0).sample(range(N), N)
    assert [drawn[i] for i in order] == [EXPECTED[i] for i in order]
    assert list(reversed(drawn)) == EXPECTED[::-1]
    gathered = seqtools.gather(drawn, order)
    assert [item for part in seqtools.batch(gathered, 7) for item in part] == list(gathered)
    assert list(gathered) == [EXPECTED[i] for i in order]


@pytest.mark.parametrize("k", [0, 1, 13])
def test_a_slice_draws_as_the_whole_does(k: int) -> None:
    source = seqtools.arange(N)
    for places in (slice(k, None), slice(None, None, -1), slice(k, None, 3)):
        part = smap(draw, source[places], rng=7)
        assert list(part) == EXPECTED[places] == list(smap(draw, source, rng=7)[places])
        assert seqtools.batch(part, len(part))[0] == EXPECTED[places]
    twice = smap(draw, smap(lambda x: x, source[k:])[1:], rng=7)
    assert list(twice) == EXPECTED[k + 1 :]


def test_several_sequences_and_arguments_in_tuples() -> None:
    def pair(x: int, y: int, rng: np.random.Generator) -> Any:
        return x, y, rng.random()

    wanted = [(i, 2 * i, expected_rng(3, i).random()) for i in range(9)]
    sides = range(9), range(0, 18, 2)
    for mapped in (
        smap(pair, *sides, rng=3),
        starmap(pair, list(zip(*sides, strict=True)), rng=3),
        starmap(pair, [list(each) for each in zip(*sides, strict=True)], rng=3),
    ):
        assert list(mapped) == seqtools.batch(mapped, 9)[0] == wanted
        assert [mapped[i] for i in (5, 0, 8)] == [wanted[i] for i in (5, 0, 8)]
    sliced = smap(pair, range(7), smap(abs, seqtools.arange(9))[2:], rng=3)
    assert [draw for *_, draw in sliced] == [draw for *_, draw in wanted[2:]]


@pytest.mark.parametrize(
    "options",
    [{}, {"nworkers": 0}, {"nworkers": 3}, {"nworkers": 1}]
    + [{"nworkers": n, "method": "process"} for n in (1, 2)]
    + [{"nworkers": 2, "method": "process", "start_method": how} for how in ("spawn", "fork")]
    + [{"nworkers": 2, "method": "process", "seed": 3}],
)
def test_every_engine(options: dict[str, Any]) -> None:
    drawn = smap(draw, seqtools.add_cache(smap(abs, range(N)), 4), rng=7)
    with seqtools.prefetch(drawn, **options) as ready:
        assert list(ready) == EXPECTED
        assert [ready[i] for i in (30, 3, 31)] == [EXPECTED[i] for i in (30, 3, 31)]
        assert list(ready[5:9]) == EXPECTED[5:9]


def test_readers_that_read_ahead_upstream_and_those_that_look() -> None:
    source = seqtools.arange(-3, N)[3:]
    wanted = [draw(i, expected_rng(7, i + 3)) for i in range(N)]
    with seqtools.prefetch(smap(abs, source), 2) as ahead:
        drawn = smap(draw, ahead, rng=7)
        for each in (drawn, seqtools.batch(drawn, N)[0], seqtools.prefetch(drawn, 0), drawn[::1]):
            assert list(each) == wanted
        cut = smap(draw, ahead[5:], rng=7)
        assert list(cut) == [cut[i] for i in range(N - 5)] == wanted[5:]
        last = seqtools.prefetch(smap(lambda x: x, cut), 2, "process")
        with last:
            assert seqtools.explain(last, 4).value == last[4] == wanted[9]
            assert seqtools.instrument.check(last) == []
        assert list(seqtools.instrument.progress(cut)) == wanted[5:]


def test_batches_draw_by_their_first_item() -> None:
    batches = seqtools.batch(seqtools.arange(N)[6:], 2)
    drawn = smap(lambda items, rng: (items, rng.random()), batches, rng=7)
    assert drawn[1] == ([8, 9], expected_rng(7, 8).random())


def test_pickles() -> None:
    drawn = smap(draw, range(N), rng=("a", 7))
    first = list(drawn)
    again = pickle.loads(pickle.dumps(drawn))
    assert list(again) == first
    assert "rng=('a', 7)" in repr(again)
    assert repr(again) == repr(drawn)


def test_epochs_draw_anew_and_neighbours_are_independent() -> None:
    n = 64
    uniform = smap(lambda _, rng: rng.random(), seqtools.cycle(range(n), 40 * n), rng=7)
    epochs = np.array(list(uniform)).reshape(40, n)
    assert len(np.unique(epochs)) == epochs.size
    flat = epochs.ravel()
    limit = 4 / np.sqrt(flat.size)  # four standard deviations
    assert abs(flat.mean() - 0.5) < limit / np.sqrt(12)
    for other in (
        flat[1:],  # the next item
        flat[n:],  # the same item in the next epoch
        np.array(list(smap(lambda _, rng: rng.random(), range(flat.size), rng=8))),
        np.array(list(smap(lambda _, rng: rng.random(2)[1], range(flat.size), rng=7))),
    ):
        assert abs(np.corrcoef(flat[: other.size], other)[0, 1]) < limit
    rows = np.histogram2d(flat[1:], flat[:-1], 8)[0]
    mean = (flat.size - 1) / 64
    assert 30 < ((rows - mean) ** 2 / mean).sum() < 110  # chi squared of 63


# What is refused


def keyword(x: int, *, rng: Any) -> Any:
    return rng.random() + x


class Augment:
    def __call__(self, x: int, rng: Any = None) -> Any:
        return rng.random() + x

    def method(self, x: int, *, rng: Any) -> Any:
        return rng.random() + x


def test_what_takes_a_generator() -> None:
    wanted = [i + expected_rng(7, i).random() for i in range(3)]
    for f in (
        keyword,
        Augment(),
        Augment().method,
        lambda x, **options: options["rng"].random() + x,
        partial(keyword, rng=None),
        lambda x, y=0, rng=None: rng.random() + x + y,
    ):
        assert list(smap(f, range(3), rng=7)) == wanted
        assert list(starmap(f, [(i,) for i in range(3)], rng=7)) == wanted


def test_what_does_not() -> None:
    def augment(image: Any, size: int = 3) -> None:
        del image, size

    for f, advice in (
        (augment, "got augment(image: Any, size: int = 3) -> None: write def augment("),
        (augment, "(image: Any, size: int = 3, *, rng), where rng is a numpy.random.Generator"),
        (lambda x: x, "write lambda x, *, rng: …"),
        (lambda rng: rng, "use lambda item, rng: f(item, …)"),
        (abs, "use lambda item, rng: abs(item, …)"),
        (max, "those of max are not known: use lambda item, rng: max(item, …)"),
    ):
        with pytest.raises(TypeError) as caught:
            smap(f, range(3), rng=7)
        assert str(caught.value).startswith("with rng=, f must have a parameter rng, ")
        assert advice in str(caught.value)
    with pytest.raises(TypeError, match=r"use lambda \*items, rng: max\(\*items, …\)"):
        starmap(max, [(1, 2)], rng=7)
    for wrong, got in (
        (1.5, "got 1.5"),
        (True, "got True"),
        ([1], "use a tuple"),
        (np.random.default_rng(1), "got Generator"),
    ):
        with pytest.raises(TypeError, match=f"rng must be an integer, a string.*{got}"):
            smap(keyword, range(3), rng=wrong)  # type: ignore[arg-type]
