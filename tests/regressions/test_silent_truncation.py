"""Nothing is cut off silently: what has fewer items than it said is an error, not an end."""

from typing import Any

import numpy as np
import pytest

from seqtools import (
    EvaluationError,
    LazySequence,
    arange,
    batch,
    collate,
    concatenate,
    cycle,
    gather,
    smap,
    split,
    unbatch,
    uniter,
)


def fails(sequence: LazySequence[Any], i: int, message: str) -> EvaluationError:
    with pytest.raises(EvaluationError, match=message) as caught:
        sequence[i]
    with pytest.raises(EvaluationError, match=message):
        list(sequence)
    return caught.value


def test_iterable_that_is_shorter_than_said() -> None:
    letters = uniter(iter("abc"), cache_size=9, size=5)
    assert len(letters) == 5
    error = fails(letters, 3, "should have 5 items, but .* ended before item 3")
    assert error.index == 3
    assert error.stage == "uniter"


def test_iterable_that_is_shorter_than_its_neighbours() -> None:
    letters = uniter(iter("abc"), cache_size=9)
    fails(collate([letters, range(4)]), 3, "collate should have 4 items")
    fails(gather(letters, [0, 3]), 1, "gather should have 2 items")
    fails(letters[:4], 3, "slice should have 4 items")
    fails(batch(letters[:4], 2), 1, "batch should have 2 items")


def test_iterable_that_cannot_be_cycled() -> None:
    letters = uniter(iter("abc"), cache_size=9)
    fails(cycle(letters, 4), 3, "needs the length of a sequence that ends: give it its size")
    fails(cycle(letters), 3, "needs the length of a sequence")
    assert list(cycle(letters, 3)) == ["a", "b", "c"]


def test_list_that_shrank() -> None:
    for make in (
        lambda source: smap(abs, source),
        lambda source: gather(source, [3]),
        lambda source: batch(source, 4),
        lambda source: concatenate([source, "ab"]),
        lambda source: split(source, [2])[1],
        lambda source: unbatch(batch(source, 2), 2),
    ):
        source = [0, 1, 2, 3]
        sequence: LazySequence[Any] = make(source)
        n = len(sequence)
        del source[1:]
        with pytest.raises(EvaluationError):
            list(sequence)
        assert len(sequence) == n


def test_batches_of_another_size() -> None:
    fails(unbatch([[1, 2], [3]], 2), 2, "batch 1 should have 2 items, got 1")
    fails(unbatch([[1, 2, 9], [3, 4]], 2), 0, "batch 0 should have 2 items, got 3")
    fails(unbatch([[1, 2], [3, 4]], 2, 1), 2, "batch 1 should have 1 items, got 2")


def test_bulk_read_that_gives_fewer() -> None:
    class Dataset(list[int]):
        """Says that it can read in bulk, and leaves items out."""

        def __getitems__(self, indices: list[int]) -> list[int]:
            return [i for i in indices if i % 2]

    # a list is read as one, so this is none
    class Wrapped:
        def __init__(self) -> None:
            self.items = Dataset(range(4))

        def __len__(self) -> int:
            return 4

        def __getitem__(self, i: int) -> int:
            raise OSError(i)

        def __getitems__(self, indices: list[int]) -> list[int]:
            return self.items.__getitems__(indices)

    fails(batch(Wrapped(), 2), 0, "OSError")


def test_slice_assignment_of_another_length() -> None:
    source = [0, 1, 2, 3]
    view = concatenate([source])
    for values in ([], [9], [9, 9, 9], arange(5), cycle([9])):
        with pytest.raises(ValueError, match="a slice of 2 items must be assigned as many"):
            view[1:3] = values
    assert source == [0, 1, 2, 3]


def test_batch_of_another_length() -> None:
    batches = batch([0, 1, 2], 2)
    for i, value in ((0, [9]), (1, [9, 9])):
        with pytest.raises(ValueError, match=f"batch {i} has"):
            batches[i] = value
    padded = batch([0, 1, 2], 2, pad=-1)
    padded[1] = [7, -1]
    assert list(padded) == [[0, 1], [7, -1]]


def test_indexes_that_are_no_integers() -> None:
    """An index is not rounded, and a text is none, whether items are read singly or in bulk."""
    for indexes in ([1.5], [1.0], ["1"], [None], [[1]]):
        chosen = gather("abc", indexes)  # type: ignore[arg-type]
        fails(chosen, 0, "TypeError")
        fails(batch(chosen, 1), 0, "TypeError")
        assert chosen._reads(range(1)) == [(indexes, range(1))]
    fails(gather("abc", [1 << 70]), 0, "out of range")
    fails(batch(gather("abc", [1 << 70]), 1), 0, "out of range")
    assert gather("abc", [1 << 70])._reads(range(1))[0][0] == [1 << 70]


@pytest.mark.parametrize(
    ("indexes", "message"),
    [
        (np.array([True, False]), r"got an array of bool: use numpy.flatnonzero\(mask\)"),
        (np.array([1.0]), "got an array of float64"),
        (np.array(["1"]), "got an array of <U1"),
        (np.array([[1], [2]]), r"must have one dimension, got an array of shape \(2, 1\)"),
    ],
    ids=["mask", "fractions", "texts", "matrix"],
)
def test_arrays_that_are_no_indexes(indexes: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        gather("abc", indexes)


def test_no_indexes() -> None:
    assert list(gather("abc", np.array([]))) == []  # of floats, as numpy makes it
    assert list(batch(gather("abc", []), 2)) == []
