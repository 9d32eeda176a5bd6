"""Sequences of numbers in given proportions: how near they are, and that they never change."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from seqtools._core.order.proportions import Table, Tree, counts_of, exactly, period

COUNTS = some.lists(some.integers(0, 60), min_size=1, max_size=9).filter(any).map(tuple)
KINDS = pytest.mark.parametrize("kind", [Table, Tree])


@KINDS
@given(counts=COUNTS)
def test_every_prefix_is_near_to_its_shares(
    kind: Callable[[tuple[int, ...]], Any], counts: tuple[int, ...]
) -> None:
    length = sum(counts)
    found, _ = kind(counts).locate_many(np.arange(3 * length))
    prefixes = np.arange(1, 3 * length + 1)
    used = sum(n > 0 for n in counts)
    bound = 1 - 1 / max(2 * used - 2, 1) if kind is Table else 1.5
    for k, n in enumerate(counts):
        distance = np.abs(np.cumsum(found == k) - prefixes * (n / length)).max()
        assert distance <= bound + 1e-9


@KINDS
@given(counts=COUNTS)
def test_all_ways_to_find_a_position_agree(
    kind: Callable[[tuple[int, ...]], Any], counts: tuple[int, ...]
) -> None:
    made, n = kind(counts), 2 * sum(counts) + 1
    seen = [0] * len(counts)
    for t in range(n):
        assert [made.count(k, t) for k in range(len(counts))] == seen
        k, r = made.locate(t)
        assert r == seen[k]
        assert made.position(k, r) == t
        seen[k] += 1
    found, ranks = made.locate_many(np.arange(n))
    assert list(zip(found.tolist(), ranks.tolist(), strict=True)) == [*map(made.locate, range(n))]
    far = 10**15 + np.arange(5)
    found, ranks = made.locate_many(far)
    assert list(zip(found.tolist(), ranks.tolist(), strict=True)) == [
        *map(made.locate, far.tolist())
    ]


def test_a_table_is_as_long_as_it_may_be() -> None:
    counts = (40_001, 9_000, 8_111, 4_000, 2_000, 1_500, 500, 424)
    assert sum(counts) == 1 << 16
    made = period(counts)
    assert isinstance(made, Table)
    found, _ = made.locate_many(np.arange(1 << 16))
    assert tuple(np.bincount(found).tolist()) == counts
    for k, n in enumerate(counts):
        distance = np.cumsum(found == k) - np.arange(1, (1 << 16) + 1) * (n / (1 << 16))
        assert np.abs(distance).max() <= 1 - 1 / 14
    assert isinstance(period((*counts, 1)), Tree)


def test_the_longest_period() -> None:
    counts = counts_of([exactly(weight) for weight in (2**0.5, 3**0.5, 0.01, 7**0.5)])
    assert sum(counts) == 1 << 30
    made = period(counts)
    ts = np.random.default_rng(0).integers(0, 1 << 40, 1000)
    found, ranks = made.locate_many(ts)
    for t, k, r in zip(ts.tolist(), found.tolist(), ranks.tolist(), strict=True):
        assert made.locate(t) == (k, r)
        assert made.position(k, r) == t


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (3, 3),
        (0.7, Fraction(7, 10)),
        (1 / 3, Fraction(1, 3)),
        (1e-9, Fraction(1, 10**9)),
        (0.1234567, Fraction(1234567, 10**7)),
        (np.float32(0.7), Fraction(7, 10)),
        (np.float64(2 / 3), Fraction(2, 3)),
        (np.int64(4), 4),
        (Fraction(1, 7), Fraction(1, 7)),
        (Decimal("0.05"), Fraction(1, 20)),
    ],
)
def test_weights_are_what_was_written(weight: Any, expected: Fraction | int) -> None:
    assert exactly(weight) == expected


def test_tables_stay_the_same() -> None:
    """The order is the same in every version, so that a run goes on where it was."""
    chosen = [period((5, 3, 2, 1)).locate(t)[0] for t in range(22)]
    assert "".join(map(str, chosen)) == GOLDEN_TABLE
    chosen = [Tree((5, 3, 2, 1)).locate(t)[0] for t in range(22)]
    assert "".join(map(str, chosen)) == GOLDEN_TREE


GOLDEN_TABLE = "0102010310201020103102"
GOLDEN_TREE = "1020103010210201030102"
