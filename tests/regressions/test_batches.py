"""Batches: their padding, and the one read that each is of its source."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seqtools import EvaluationError, LazySequence, batch, concatenate, cycle, gather, smap, unbatch

# Padding fills the last batch up, never adds to a full one, and is never rounded.


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


# No batches have no items, whatever the size of the last one is said to be.


def test_empty() -> None:
    assert len(unbatch([], 4)) == 0
    assert len(unbatch([], 4, 2)) == 0
    assert list(unbatch([], 4, 2)) == []


# A batch is one read of its source where that can do it, through the stages between.


class Counting(np.ndarray[Any, Any]):
    """An array that knows how it was indexed."""

    keys: list[Any]

    def __getitem__(self, key: Any) -> Any:
        self.keys.append(key)
        return np.asarray(self)[key]


def counting() -> Counting:
    array = np.arange(20).view(Counting)
    array.keys = []
    return array


class Dataset:
    """Has the bulk read of torch and Hugging Face."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def __len__(self) -> int:
        return 20

    def __getitem__(self, i: int) -> int:
        raise AssertionError(f"item {i} was read singly")

    def __getitems__(self, indices: list[int]) -> list[int]:
        assert type(indices) is list
        assert all(type(i) is int for i in indices)
        self.calls.append(indices)
        return [10 * i for i in indices]


THROUGH: dict[str, tuple[Callable[[Any], Any], list[int]]] = {
    "nothing": (lambda s: s, [0, 1, 2, 3]),
    "slice": (lambda s: concatenate([s])[2:], [2, 3, 4, 5]),
    "slice with steps": (lambda s: concatenate([s])[::3], [0, 3, 6, 9]),
    "slice backwards": (lambda s: concatenate([s])[::-1], [19, 18, 17, 16]),
    "gather": (lambda s: gather(s, [5, -1, 5, 0]), [5, 19, 5, 0]),
    "gather by range": (lambda s: gather(s, range(3, 9)), [3, 4, 5, 6]),
    "gather by array": (lambda s: gather(s, np.array([7, 1, -2, 2])), [7, 1, 18, 2]),
    "gather of gather": (lambda s: gather(gather(s, range(9, -1, -1)), [0, 1, 2, 3]), [9, 8, 7, 6]),
    "concatenate": (lambda s: concatenate([s, s]), [0, 1, 2, 3]),
    "cycle": (lambda s: cycle(gather(s, [4, 5])), [4, 5, 4, 5]),
    "smap": (lambda s: smap(lambda x: x, s), [0, 1, 2, 3]),
    "all": (lambda s: smap(lambda x: x, gather(concatenate([s, s])[1:], range(20))), [1, 2, 3, 4]),
}


@pytest.mark.parametrize("name", THROUGH)
def test_array_is_indexed_once(name: str) -> None:
    through, indices = THROUGH[name]
    array = counting()
    assert batch(through(array), 4)[0] == indices
    assert len(array.keys) == 1


@pytest.mark.parametrize("name", THROUGH)
def test_dataset_is_called_once(name: str) -> None:
    through, indices = THROUGH[name]
    dataset = Dataset()
    assert batch(through(dataset), 4)[0] == [10 * i for i in indices]
    assert dataset.calls == [indices]


def test_all_batches() -> None:
    dataset, array = Dataset(), counting()
    assert [len(b) for b in batch(dataset, 8)] == [8, 8, 4]
    assert [len(b) for b in batch(array, 8)] == [8, 8, 4]
    assert [len(calls) for calls in dataset.calls] == [8, 8, 4]
    assert array.keys == [slice(0, 8, 1), slice(8, 16, 1), slice(16, 20, 1)]


def test_collate_fn_is_given_what_was_read() -> None:
    seen = []
    source: LazySequence[Any] = gather(np.arange(20), range(10))[2:]
    assert batch(source, 4, collate_fn=seen.append)[1] is None
    assert isinstance(seen[0], np.ndarray)
    assert seen[0].tolist() == [6, 7, 8, 9]


def test_item_of_a_failed_bulk_read_is_found() -> None:
    def fail(x: int) -> int:
        if x == 5:
            raise ValueError(x)
        return int(x)

    with pytest.raises(EvaluationError) as caught:
        batch(smap(fail, np.arange(20)), 4)[1]
    assert [(s.stage, s.index) for s in caught.value.path] == [("batch", 1), ("smap(fail)", 5)]


def test_bulk_read_of_a_wrong_length() -> None:
    class Short(Dataset):
        def __getitem__(self, i: int) -> int:
            return 10 * i

        def __getitems__(self, indices: list[int]) -> list[int]:
            return super().__getitems__(indices)[1:]

    # what is read again singly is right, so nothing is lost but time
    with pytest.warns(RuntimeWarning, match="must return an item for each index, got 3 for 4"):
        assert batch(Short(), 4)[0] == [0, 10, 20, 30]
