"""`seed=` of maps: the global generators are set for each call, and put back afterwards."""

import os
import pickle
import random
import sys
import threading
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import EvaluationError, smap, starmap
from seqtools._core.chance import seeding
from tests.children import forked

N = 24


def draw(*items: Any) -> Any:
    return items, random.random(), random.gauss(0, 1), np.random.random(), np.random.randn()


EXPECTED = list(smap(draw, range(N), seed=7))


def states() -> str:
    return repr((random.getstate(), np.random.get_state()))


def test_the_same_in_any_order_and_different_for_each_item() -> None:
    drawn = smap(draw, range(N), seed=7)
    order = random.Random(0).sample(range(N), N)
    assert [drawn[i] for i in order] == [EXPECTED[i] for i in order]
    assert seqtools.batch(drawn, N)[0] == EXPECTED
    assert len({x for each in EXPECTED for x in each[1:]}) == 4 * N
    other = list(smap(draw, range(N), seed=(7,)))
    assert not {x for each in other for x in each[1:]} & {x for each in EXPECTED for x in each[1:]}


def test_slices_several_sequences_and_tuples() -> None:
    source = seqtools.arange(N)
    assert list(smap(draw, source[5:], seed=7)) == EXPECTED[5:]
    pairs = list(smap(draw, range(N), range(N), seed=7))
    assert pairs == list(starmap(draw, [(i, i) for i in range(N)], seed=7))
    assert [each[1:] for each in pairs] == [each[1:] for each in EXPECTED]


@pytest.mark.parametrize(
    "options",
    [{"nworkers": 0}, {"nworkers": 1}, {"nworkers": 4}]
    + [{"nworkers": n, "method": "process"} for n in (1, 2)]
    + [{"nworkers": 0, "seed": 3}, {"nworkers": 2, "method": "process", "seed": 3}],
)
def test_every_engine(options: dict[str, Any]) -> None:
    drawn = smap(draw, seqtools.add_cache(smap(abs, range(N)), 4), seed=7)
    with seqtools.prefetch(drawn, **options) as ready:
        assert list(ready) == EXPECTED
        assert ready[3] == EXPECTED[3]
    assert list(pickle.loads(pickle.dumps(drawn))) == EXPECTED


def test_one_map_draws_what_a_prefetch_with_the_seed_draws() -> None:
    with seqtools.prefetch(smap(draw, range(N)), 1, "process", seed=7) as ready:
        assert list(ready) == EXPECTED
    assert list(seqtools.prefetch(smap(draw, range(N)), 0, seed=7)) == EXPECTED


def test_generators_are_put_back() -> None:
    def fail(i: int) -> None:
        draw()
        raise ValueError(i)

    before = states()
    assert smap(draw, range(N), seed=7)[3] == EXPECTED[3]
    assert states() == before
    with pytest.raises(EvaluationError, match=r"item 3 of smap\(fail\) failed: ValueError: 3"):
        smap(fail, range(N), seed=7)[3]
    assert states() == before
    assert seeding.token() is None


def test_a_chain_of_seeds() -> None:
    first = smap(draw, range(N), seed=7)
    chain = smap(draw, first, seed=2)
    plain = smap(draw, list(first), seed=2)
    assert list(chain) == list(plain)
    assert [item for (item,), *_ in chain] == EXPECTED
    with_rng = smap(lambda x, rng: (x, rng.random()), chain, rng=1)
    assert [item for item, _ in with_rng] == list(plain)


def test_what_is_not_seeded_draws_as_if_it_were_alone() -> None:
    def alone(seeds: dict[str, int]) -> list[Any]:
        source = smap(
            lambda i: (i, random.random()), smap(lambda i: draw() and i, range(9), **seeds)
        )
        return list(seqtools.prefetch(source, 0, seed=5))

    assert alone({"seed": 1}) == alone({"seed": 2}) != alone({})


def test_both_kinds_of_seed() -> None:
    def both(i: int, rng: np.random.Generator) -> Any:
        return draw(i), rng.random()

    numbers = list(smap(lambda _, rng: rng.random(), range(N), rng=1))
    drawn = smap(both, range(N), rng=1, seed=7)
    assert list(drawn) == seqtools.batch(drawn, N)[0] == list(zip(EXPECTED, numbers, strict=True))
    assert "smap(both, rng=1, seed=7)" in repr(drawn)


def test_maps_inside_of_functions() -> None:
    def look(i: int) -> Any:
        return random.random(), inner[i], inner[i], random.random(), np.random.random()

    inner = smap(draw, range(N), seed=7)
    found = list(smap(look, range(9), seed=1))
    alone = list(
        smap(lambda _: (random.random(), random.random(), np.random.random()), range(9), seed=1)
    )
    assert [(a, b, c) for a, _, _, b, c in found] == alone
    assert [each for _, each, *_ in found] == EXPECTED[:9]


def test_caches_that_functions_read_keep_values_for_each_seed() -> None:
    def look(i: int) -> Any:
        return random.random(), kept[i // 2], random.random()

    kept = seqtools.add_cache(smap(draw, range(N)), N)
    outside = [kept[i] for i in range(3)]
    for order in (range(9), range(8, -1, -1)):
        found = {i: smap(look, range(9), seed=1)[i] for i in order}
        assert found == dict(enumerate(smap(look, range(9), seed=1)))
    assert [kept[i] for i in range(3)] == outside


def test_many_threads_take_turns() -> None:
    inside: list[int] = []
    most = []
    barrier = threading.Barrier(4)
    drawn_by: dict[int, Any] = {}
    interval = sys.getswitchinterval()

    def note(i: int) -> Any:
        inside.append(i)
        most.extend(len(inside) for _ in range(2000))  # other threads could have their turn
        found = draw(i)
        inside.remove(i)
        return found

    drawn = smap(note, range(N), seed=7)

    def read(k: int) -> None:
        barrier.wait(60)
        drawn_by[k] = list(drawn)

    threads = [threading.Thread(target=read, args=(k,)) for k in range(4)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(interval)
    assert max(most) == 1
    assert all(drawn_by[k] == EXPECTED for k in range(4))


def test_threads_that_wait_for_each_other() -> None:
    """One waits in a seeded call for a cached item whose loading needs a seeded call."""
    loading, waiting = threading.Event(), threading.Event()
    kept: dict[int, Any] = {}

    def load(i: int) -> Any:
        if threading.current_thread() is other:
            loading.set()
            assert waiting.wait(60)
        return i

    def look(i: int) -> Any:
        waiting.set()
        return random.random(), cached[i], random.random()

    cached = seqtools.add_cache(smap(draw, smap(load, range(3)), seed=7), cache=kept)
    looking = smap(look, range(3), seed=1)
    other = threading.Thread(target=lambda: cached[0])
    other.start()
    assert loading.wait(60)
    first, item, last = looking[0]
    other.join(60)
    assert item == EXPECTED[0]
    assert (first, last) == smap(lambda _: (random.random(), random.random()), range(1), seed=1)[0]


def test_a_prefetch_that_a_function_reads_is_evaluated_in_its_thread() -> None:
    inner = seqtools.prefetch(smap(draw, range(N), seed=7), 2)

    def look(i: int) -> Any:
        return inner[i], list(inner[:2]), random.random()

    with inner, seqtools.prefetch(smap(look, range(9), seed=1), 2) as ready:
        found = list(ready)
    assert [each for each, *_ in found] == EXPECTED[:9]
    assert all(pair == EXPECTED[:2] for _, pair, _ in found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_processes_that_are_forked_during_a_call() -> None:
    other = smap(draw, range(N), seed=7)

    def fork(i: int) -> Any:
        return forked(lambda: other[i] == EXPECTED[i]), draw(i)

    assert smap(fork, range(3), seed=7)[2] == (True, EXPECTED[2])

    inside, go_on = threading.Event(), threading.Event()
    found = []

    def wait(i: int) -> Any:
        inside.set()
        assert go_on.wait(60)
        return draw(i)

    waiting = smap(wait, range(N), seed=7)
    thread = threading.Thread(target=lambda: found.append(waiting[4]))
    thread.start()
    assert inside.wait(60)
    there = forked(lambda: other[5] == EXPECTED[5])  # it does not have the thread that is inside
    go_on.set()
    thread.join(60)
    assert there
    assert found == [EXPECTED[4]]


def test_refused() -> None:
    for wrong in (1.5, True, [1]):
        with pytest.raises(TypeError, match="seed must be an integer, a string"):
            smap(draw, range(3), seed=wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="seed must be an integer, a string"):
            starmap(draw, [()], seed=wrong)  # type: ignore[arg-type]
