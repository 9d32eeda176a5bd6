"""`without`: arguments, many items, and what is the same as in the whole sequence."""

from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import without


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([1, 5], IndexError, r"indices\[1\] is 5, out of range for a sequence of length 5"),
        ([-6], IndexError, r"indices\[0\] is -6, out of range"),
        (np.array([0, 9]), IndexError, r"indices\[1\] is 9, out of range"),
        (3, TypeError, r"must be a list or an array of integers, got 3: use \[3\]"),
        ("abc", TypeError, "must be a list or an array of integers, got 'abc'"),
        ([True, False], TypeError, "indices must be integers, got booleans"),
        (np.array([True] * 5), TypeError, r"got a mask: use compress\(sequence, ~mask\)"),
        ([0.5], TypeError, r"indices must be integers, got 0.5 as indices\[0\]"),
        ([[1]], TypeError, r"indices must be integers, got \[1\]"),
    ],
)
def test_bad_indices(indices: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        without(range(5), indices)


def test_a_negative_index_needs_a_length() -> None:
    with pytest.raises(IndexError, match=r"indices\[0\] is -1, but a sequence without length"):
        without(seqtools.repeat(1), [-1])


def test_no_sequence() -> None:
    with pytest.raises(TypeError, match="sequence must be a sequence, got set"):
        without({1, 2}, [0])  # type: ignore[arg-type]


def test_many_items() -> None:
    rng = np.random.default_rng(0)
    banned = rng.integers(0, 100_000, 5_000)
    kept = np.delete(np.arange(100_000), banned)
    p = without(seqtools.arange(100_000), banned)
    assert list(p) == kept.tolist()
    at = rng.integers(0, len(kept), 300)
    assert [p[int(i)] for i in at] == kept[at].tolist()
    assert list(p[::-7]) == kept[::-7].tolist()


def test_items_draw_as_in_the_whole_sequence() -> None:
    def noise(item: int, rng: np.random.Generator) -> tuple[int, float]:
        return item, rng.random()

    drawn = list(seqtools.smap(noise, range(8), rng=7))
    some = list(seqtools.smap(noise, without(range(8), [2, 5]), rng=7))
    assert some == [drawn[k] for k in (0, 1, 3, 4, 6, 7)]


def test_a_copy_of_the_indices_is_kept() -> None:
    banned = np.array([1, 3])
    p = without("abcde", banned)
    banned[:] = 0
    assert list(p) == ["a", "c", "e"]


def test_negative_indices_count_from_the_end() -> None:
    assert list(without("abcde", [-1, 0, -5, 4])) == ["b", "c", "d"]


def test_repr_shows_what_is_left_out() -> None:
    assert "without" in repr(without(range(5), [3, 1]))
