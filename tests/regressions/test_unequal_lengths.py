"""Finite sequences of different lengths are an error when a stage is made, which states them."""

from collections.abc import Callable
from typing import Any

import pytest

from seqtools import case, collate, concatenate, repeat, smap, switch

LONG = [1, 2, 3, 4]

MAKERS: dict[str, Callable[[], Any]] = {
    "smap": lambda: smap(max, [1, 2, 3], repeat(0), LONG),
    "collate": lambda: collate([[1, 2, 3], repeat(0), LONG]),
    "collate, mapping": lambda: collate({"x": [1, 2, 3], "y": repeat(0), "z": LONG}),
    "switch": lambda: switch([0, 0, 0], repeat(0), LONG),
    "case": lambda: case([0, 0, 0], repeat(0), LONG),
}


@pytest.mark.parametrize("name", MAKERS)
def test_lengths_are_stated(name: str) -> None:
    with pytest.raises(ValueError, match=r"must have the same length, got lengths 3, endless, 4$"):
        MAKERS[name]()


def test_the_endless_adapt() -> None:
    assert list(smap(pow, [1, 2, 3], repeat(2))) == [1, 4, 9]
    assert len(collate([repeat(1), "ab", repeat(2)])) == 2
    with pytest.raises(TypeError, match="has no length"):
        len(smap(pow, repeat(1), repeat(2)))


def test_only_the_last_part_of_a_concatenation_may_be_endless() -> None:
    with pytest.raises(ValueError, match=r"got one as sequences\[0\]"):
        concatenate([repeat(1), [2]])
