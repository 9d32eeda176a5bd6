"""Sequences that end, but where is not known before, do not end silently with the shortest."""

from collections.abc import Callable
from typing import Any

import pytest

import seqtools
from seqtools import EvaluationError, case, collate, cycle, interleave, repeat, smap, switch, uniter


def numbers(n: int) -> Any:
    return uniter(iter(range(n)))


@pytest.mark.parametrize(
    "make",
    [
        lambda a, b: smap(max, a, b),
        lambda a, b: collate([a, b]),
        lambda a, b: collate({"a": a, "b": b}),
        lambda a, b: switch(smap(lambda x: x >= 0, a), b, repeat(0)),
        lambda a, b: case(smap(lambda _: 0, a), b),
    ],
    ids=["smap", "collate", "collate-dict", "switch", "case"],
)
def test_one_goes_on_where_the_other_ends(make: Callable[[Any, Any], Any]) -> None:
    for lengths in ((3, 5), (5, 3)):
        items = iter(make(*map(numbers, lengths)))
        assert len([next(items) for _ in range(3)]) == 3
        with pytest.raises(EvaluationError, match="continues past 3 items, where another one ends"):
            next(items)
    assert len(list(make(numbers(4), numbers(4)))) == 4


def test_endless_ones_adapt() -> None:
    assert list(smap(max, numbers(3), repeat(1))) == [1, 1, 2]
    assert list(smap(max, repeat(1), numbers(3))) == [1, 1, 2]
    assert list(collate([cycle("ab"), numbers(3)])) == [("a", 0), ("b", 1), ("a", 2)]
    assert list(case(repeat(0), numbers(2))) == [0, 1]


def test_interleave_has_to_know() -> None:
    with pytest.raises(ValueError, match="needs to know where sequence 1 ends: give it its size"):
        interleave([1, 2], numbers(3))
    assert list(interleave([1, 2], uniter(iter("abc"), size=3))) == [1, "a", 2, "b", "c"]


def test_in_batches_and_ahead() -> None:
    pairs = seqtools.batch(smap(max, numbers(3), numbers(5)), 2)
    with pytest.raises(EvaluationError, match="continues past 3 items"):
        list(pairs)
    ahead = seqtools.prefetch(smap(max, numbers(3), numbers(5)), 1)
    with pytest.raises(EvaluationError, match="continues past 3 items"):
        list(ahead)
