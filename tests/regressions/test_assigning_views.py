"""Items of an array are views of it, and are assigned as the values that they had."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seqtools import batch, collate, concatenate, gather


def rows() -> Any:
    return np.arange(12).reshape(4, 3)


def records() -> Any:
    return np.array([(k, k / 2) for k in range(4)], [("number", "i8"), ("half", "f8")])


def concatenated(array: Any) -> Any:
    return concatenate([array])


def gathered(array: Any) -> Any:
    return gather(array, range(4))


def swap(g: Any) -> None:
    g[[0, 3]] = g[[3, 0]]


def reverse(g: Any) -> None:
    g[:] = g[::-1]


def reverse_batches(g: Any) -> None:
    batches = batch(g, 2)
    batches[:] = [pair[::-1] for pair in batches[::-1]]


def reverse_one_batch(g: Any) -> None:
    pairs = batch(g, 2)
    pairs[1] = pairs[1][::-1]


def reverse_pairs(g: Any) -> None:
    halves = collate([g[:2], g[2:]])
    halves[:] = [(b, a) for a, b in halves]


@pytest.mark.parametrize("make", [rows, records])
@pytest.mark.parametrize(
    ("assign", "order"),
    [
        (swap, [3, 1, 2, 0]),
        (reverse, [3, 2, 1, 0]),
        (reverse_batches, [3, 2, 1, 0]),
        (reverse_one_batch, [0, 1, 3, 2]),
        (reverse_pairs, [2, 3, 0, 1]),
    ],
)
@pytest.mark.parametrize("through", [concatenated, gathered])
def test_views_of_an_array_are_assigned_as_they_were(
    make: Callable[[], Any],
    assign: Callable[[Any], None],
    order: list[int],
    through: Callable[[Any], Any],
) -> None:
    array = make()
    assign(through(array))
    assert array.tolist() == make()[order].tolist()


def test_objects_of_lists_stay_the_same_ones() -> None:
    array = rows()
    stored = [array[0], [array[1]], "c"]
    items = concatenate([list(stored)])
    items[:] = items[::-1]
    assert all(a is b for a, b in zip(items, stored[::-1], strict=True))
    pairs = collate([stored[:], rows()[:3]])
    pairs[[0, 1]] = pairs[[1, 0]]
    assert pairs[0][0] is stored[1]
