"""With a seed, items are the same whoever evaluates them, whatever draws and is cached."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seqtools
from seqtools import LazySequence
from seqtools.instrument import explain

MOST = 24
"""Items that a pipeline may have. Arbitrary: enough for several workers to have some."""


class Draw:
    """A function that draws some numbers, some before it has seen its argument's last part."""

    def __init__(self, name: str, times: int) -> None:
        self.name, self.times = name, times

    def __call__(self, *items: Any) -> Any:
        drawn = [(random.random(), int(np.random.randint(1 << 30))) for _ in range(self.times)]
        return self.name, drawn, items


class Fails:
    """A function that fails once in a while, as it draws."""

    def __call__(self, item: Any) -> Any:
        if random.random() < 0.2:
            raise ValueError("drawn")
        return item, random.random()


class Given:
    """A function that draws from a generator of its item."""

    def __call__(self, item: Any, rng: np.random.Generator) -> Any:
        return rng.random(), random.random(), item


class Looks:
    """A function that reads a pipeline of its own."""

    def __init__(self, other: LazySequence[Any]) -> None:
        self.other = other

    def __call__(self, item: Any) -> Any:
        before = random.random()
        k = len(repr(item)) % len(self.other)
        return before, self.other[k], self.other[(k + 1) % len(self.other)], random.random(), item


class Drawing:
    """What can be iterated anew, and draws on the way."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __iter__(self) -> Iterator[Any]:
        for k in range(self.size):
            yield k, random.random(), np.random.random()

    def __len__(self) -> int:
        return self.size


class Pairs:
    """A function that makes two of each item."""

    def __call__(self, item: Any) -> Any:
        return [(item, random.random()), (item, random.random())]


def concatenated(sequence: Any) -> Any:
    cached = seqtools.add_cache(seqtools.smap(Draw("beside", 1), range(3)), 2)
    return seqtools.concatenate([sequence, cached, sequence])[:MOST]


def side_by_side(sequence: Any) -> Any:
    return seqtools.smap(Draw("two", 1), sequence, seqtools.add_cache(sequence, 3))


def hidden(sequence: Any) -> Any:
    other = seqtools.add_cache(seqtools.smap(Draw("hidden", 2), range(5)), 2)
    return seqtools.smap(Looks(other), sequence)


def hidden_from_a_map(sequence: Any) -> Any:
    other = seqtools.add_cache(seqtools.smap(Draw("hidden", 2), range(5)), 2)
    return seqtools.smap(Looks(other), sequence, seed=4)


STEPS: dict[str, Callable[[Any], Any]] = {
    "draw": lambda s: seqtools.smap(Draw("draw", 1), s),
    "draw more": lambda s: seqtools.smap(Draw("more", 3), s),
    "fail": lambda s: seqtools.smap(Fails(), s),
    "cache 0": lambda s: seqtools.add_cache(s, 0),
    "cache 1": lambda s: seqtools.add_cache(s, 1),
    "cache 4": lambda s: seqtools.add_cache(s, 4),
    "cache all": lambda s: seqtools.add_cache(s, MOST),
    "given cache": lambda s: seqtools.add_cache(s, cache={}),
    "cached draw": lambda s: seqtools.add_cache(seqtools.smap(Draw("cached", 2), s), 2),
    "batch": lambda s: seqtools.batch(s, 3),
    "unbatch": lambda s: seqtools.unbatch(seqtools.smap(Pairs(), s), 2),
    "unbatch cached": lambda s: seqtools.unbatch(
        seqtools.add_cache(seqtools.smap(Pairs(), s), 2), 2
    ),
    "gather": lambda s: seqtools.gather(s, [k * 7 % len(s) for k in range(min(len(s) + 3, MOST))]),
    "slice": lambda s: s[::-1],
    "concatenate": concatenated,
    "side by side": side_by_side,
    "hidden": hidden,
    "rng": lambda s: seqtools.smap(Given(), s, rng=3),
    "seeded map": lambda s: seqtools.smap(Draw("seeded", 2), s, seed=4),
    "seeded map that fails": lambda s: seqtools.smap(Fails(), s, seed=4),
    "hidden from a map": hidden_from_a_map,
    "iterated": lambda s: seqtools.smap(
        Draw("both", 1), s, seqtools.uniter(Drawing(len(s)), cache_size=2)
    ),
    "threads": lambda s: seqtools.prefetch(s, 2),
    "inline": lambda s: seqtools.prefetch(s, 0),
    "processes": lambda s: seqtools.prefetch(s, 2, "process"),
    "own seed": lambda s: seqtools.prefetch(s, 2, "process", seed=11),
}


def built(steps: list[str], size: int) -> Any:
    """Return a new pipeline."""
    sequence: Any = range(size)
    for name in steps:
        following = STEPS[name](sequence)
        if len(following) <= MOST:
            sequence = following
    return seqtools.smap(Draw("last", 1), sequence)


def outcomes(p: Any, order: list[int] | None = None) -> dict[int, str]:
    """Return what became of each item, read one after the other or in some order."""
    found: dict[int, str] = {}
    with p:
        items = iter(p)
        for k in range(len(p)) if order is None else order:
            try:
                found[k] = repr(next(items) if order is None else p[k])
            except seqtools.EvaluationError as error:
                found[k] = repr(error.__cause__)
    return found


PIPELINES = st.tuples(
    st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=5), st.integers(1, 8)
)


@settings(max_examples=50)
@given(PIPELINES, st.integers(0, 3), st.data())
def test_the_order_of_reading_and_what_was_read_before_make_no_difference(
    pipeline: tuple[list[str], int], seed: int, data: st.DataObject
) -> None:
    expected = outcomes(seqtools.prefetch(built(*pipeline), 0, seed=seed))
    source = built(*pipeline)
    order = data.draw(st.permutations(range(len(source))))
    state = random.getstate(), repr(np.random.get_state())
    p = seqtools.prefetch(source, 0, seed=seed)
    assert outcomes(p, order) == outcomes(p) == expected
    assert state == (random.getstate(), repr(np.random.get_state()))
    if "iterated" in pipeline[0]:  # an iterator is where any reader has left it
        source = built(*pipeline)
    other = outcomes(seqtools.prefetch(source, 0, seed=seed + 1), order)
    assert outcomes(p, order[::-1]) == expected
    drawn = {k for k, value in expected.items() if "ValueError" not in value}
    assert all(other[k] != expected[k] for k in drawn)


@settings(max_examples=5)
@given(PIPELINES, st.sampled_from(["template", "spawn", "fork"]))
def test_any_number_of_processes_gives_the_same(
    pipeline: tuple[list[str], int], start_method: str
) -> None:
    expected = outcomes(seqtools.prefetch(built(*pipeline), 0, seed=5))
    for nworkers in (1, 3):
        p = seqtools.prefetch(
            built(*pipeline), nworkers, "process", seed=5, start_method=start_method
        )
        assert outcomes(p) == expected
    order = list(range(len(p)))[::-1]
    assert outcomes(p, order) == expected


@pytest.mark.parametrize("start_method", ["template", "spawn", "fork"])
def test_many_kinds_in_processes(start_method: str) -> None:
    steps = ["draw", "cached draw", "unbatch cached", "hidden", "iterated", "processes", "fail"]
    expected = outcomes(seqtools.prefetch(built(steps, 8), 0, seed=5))
    p = seqtools.prefetch(built(steps, 8), 2, "process", seed=5, start_method=start_method)
    assert outcomes(p) == expected
    p.refresh()
    assert outcomes(p) == expected


@pytest.mark.parametrize("last", sorted(STEPS))
def test_an_explanation_shows_the_item(last: str) -> None:
    p = seqtools.prefetch(built(["draw", "cached draw", last, "batch"], 8), 0, seed=5)
    found = outcomes(p)
    for k in range(len(p)):
        if "ValueError" not in found[k]:
            assert repr(explain(p, k).value) == found[k]
