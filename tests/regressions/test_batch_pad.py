"""Padding fills the last batch up, never adds to a full one, and is never rounded."""

from typing import Any

import numpy as np
import pytest

from seqtools import EvaluationError, batch


def test_full_batches_are_not_padded() -> None:
    assert list(batch(list(range(8)), 4, pad=-1)) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_zero_and_false_are_values_to_pad_with() -> None:
    assert list(batch([1, 2, 3], 2, pad=0)) == [[1, 2], [3, 0]]
    assert list(batch([True], 2, pad=False)) == [[True, False]]


def test_pad_of_another_type_than_the_array() -> None:
    assert batch(np.array([1, 2, 3]), 2, pad=0.5)[1] == [3, 0.5]
    assert batch(np.array([1, 2, 3], np.uint8), 2, pad=-1, collate_fn=list)[1] == [3, -1]
    assert batch(np.array([1]), 2, pad="none", collate_fn=list)[0] == [1, "none"]


def test_an_array_stays_one_of_its_type() -> None:
    def whole(items: np.ndarray) -> np.ndarray:
        return items

    pixels = batch(np.ones((3, 2), np.uint8), 2, pad=0, collate_fn=whole)[1]
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [[1, 1], [0, 0]]
    fractions = batch(np.ones(3, np.float32), 2, pad=7, collate_fn=whole)[1]
    assert fractions.dtype == np.float32
    assert fractions.tolist() == [1, 7]


def test_pad_that_the_type_cannot_hold_is_an_error() -> None:
    pixels = batch(np.ones(3, np.uint8), 2, pad=300, collate_fn=np.sum)
    with pytest.raises(EvaluationError, match="300"):
        pixels[1]


@pytest.mark.parametrize(
    ("dtype", "pad"),
    [("u1", -1), ("i8", True), ("?", 1), ("U1", "xyz")],
)
def test_what_an_array_cannot_hold_is_no_part_of_it(dtype: str, pad: Any) -> None:
    array = np.array([0, 1, 1], dtype)
    last = batch(array, 2, pad=pad, collate_fn=lambda items: items)[1]
    assert type(last) is list
    assert last[0] == array[2]
    assert last[1] is pad
