"""Packs and padded batches against the textbook, item by item."""

from bisect import bisect_left, insort
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as draw

from seqtools.tables import packing


def parts(table: tuple[Any, Any]) -> list[list[int]]:
    items, starts = table
    assert starts[0] == 0
    assert starts[-1] == len(items)
    return [items[a:b].tolist() for a, b in pairwise(starts)]


def check_order(found: list[list[int]], n: int) -> None:
    assert sorted(i for part in found for i in part) == list(range(n))
    assert all(part and part == sorted(part) for part in found)
    assert [part[0] for part in found] == sorted(part[0] for part in found)


def best_fit_decreasing(lengths: list[int], capacity: int) -> list[int]:
    """Return the sums of all packs, as the textbook has it."""
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        k = bisect_left(rooms, length)
        room = rooms.pop(k) if k < len(rooms) else capacity
        insort(rooms, room - length)
    return sorted(capacity - room for room in rooms)


def cases(least: int) -> Any:
    def of(capacity: int) -> Any:
        return draw.tuples(draw.lists(draw.integers(least, capacity)), draw.just(capacity))

    return draw.integers(1, 60).flatmap(of)


@given(cases(1))
def test_packs_are_those_of_the_textbook(case: tuple[list[int], int]) -> None:
    lengths, capacity = case
    found = parts(packing.packed(lengths, capacity))
    check_order(found, len(lengths))
    sums = [sum(lengths[i] for i in part) for part in found]
    assert sorted(sums) == best_fit_decreasing(lengths, capacity)


@given(cases(0))
def test_items_without_length_are_spread(case: tuple[list[int], int]) -> None:
    lengths, capacity = case
    found = parts(packing.packed(lengths, capacity))
    check_order(found, len(lengths))
    assert all(sum(lengths[i] for i in part) <= capacity for part in found)
    without = [sum(lengths[i] == 0 for i in part) for part in found]
    assert max(without, default=0) - min(without, default=0) <= 1


@given(draw.lists(draw.integers(0, 10**9)), draw.integers(10**9, 10**9 + 70_000))
def test_a_large_capacity(lengths: list[int], capacity: int) -> None:
    found = parts(packing.packed(lengths, capacity))
    check_order(found, len(lengths))
    assert all(sum(lengths[i] for i in part) <= capacity for part in found)
    coarse = best_fit_decreasing([length for length in lengths if length], capacity)
    assert len(found) <= len(coarse) * 1.3 + 1


@pytest.mark.parametrize("capacity", [65_537, 100_003, 2**40 + 1])
def test_the_longest_that_fits_is_alone(capacity: int) -> None:
    assert parts(packing.packed([1, capacity, capacity // 2], capacity)) == [[0, 2], [1]]


@pytest.mark.parametrize("capacity", [2048, 8192])
def test_density(capacity: int) -> None:
    lengths = np.random.default_rng(0).lognormal(5.5, 1.0, 100_000).astype(int).clip(8, 2048)
    _, starts = packing.packed(lengths, capacity)
    assert lengths.sum() / ((len(starts) - 1) * capacity) > 0.999
    items, starts = packing.padded(lengths, 16 * capacity)
    sizes = np.maximum.reduceat(lengths[items], starts[:-1]) * np.diff(starts)
    assert lengths.sum() / sizes.sum() > 0.99


def fewest_batches(lengths: list[int], capacity: int) -> int:
    """Return how many parts a sorted list needs, by trying all cuts."""
    ordered = sorted(lengths)
    fewest = [0]
    for stop in range(1, len(ordered) + 1):
        starts = [s for s in range(stop) if (stop - s) * ordered[stop - 1] <= capacity]
        fewest.append(1 + min(fewest[s] for s in starts))
    return fewest[-1]


@given(cases(1), draw.integers(1, 9))
def test_padded_batches(case: tuple[list[int], int], multiple_of: int) -> None:
    lengths, capacity = case
    capacity += multiple_of
    rounded = [-(-length // multiple_of) * multiple_of for length in lengths]
    found = parts(packing.padded(lengths, capacity, multiple_of))
    check_order(found, len(lengths))
    assert all(len(part) * max(rounded[i] for i in part) <= capacity for part in found)
    assert len(found) == fewest_batches(rounded, capacity)


def test_lengths_of_zero_in_batches() -> None:
    assert parts(packing.padded([0, 0, 0, 2], 2)) == [[0, 1], [2], [3]]
