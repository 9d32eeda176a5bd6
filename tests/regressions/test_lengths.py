"""Lengths that differ, change, or are not known: nothing is cut off silently."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import (
    EvaluationError,
    LazySequence,
    arange,
    batch,
    case,
    collate,
    concatenate,
    cycle,
    gather,
    interleave,
    repeat,
    smap,
    split,
    switch,
    unbatch,
    uniter,
)

# Finite sequences of different lengths are an error when a stage is made, which states them.

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
    stage, told = name.partition(",")[0], "must have the same length, got lengths 3, endless, 4"
    with pytest.raises(ValueError, match=rf"^sequences of {stage}.* {told}$"):
        MAKERS[name]()


def test_the_endless_adapt() -> None:
    assert list(smap(pow, [1, 2, 3], repeat(2))) == [1, 4, 9]
    assert len(collate([repeat(1), "ab", repeat(2)])) == 2
    with pytest.raises(TypeError, match="has no length"):
        len(smap(pow, repeat(1), repeat(2)))


def test_only_the_last_part_of_a_concatenation_may_be_endless() -> None:
    with pytest.raises(ValueError, match=r"got one as sequences\[0\]"):
        concatenate([repeat(1), [2]])


# Sequences that end, but where is not known before, do not end silently with the shortest.


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
    with pytest.raises(ValueError, match=r"where sequences\[1\] ends: give it its size"):
        interleave([1, 2], numbers(3))
    assert list(interleave([1, 2], uniter(iter("abc"), size=3))) == [1, "a", 2, "b", "c"]


def test_in_batches_and_ahead() -> None:
    pairs = seqtools.batch(smap(max, numbers(3), numbers(5)), 2)
    with pytest.raises(EvaluationError, match="continues past 3 items"):
        list(pairs)
    ahead = seqtools.prefetch(smap(max, numbers(3), numbers(5)), 1)
    with pytest.raises(EvaluationError, match="continues past 3 items"):
        list(ahead)


# What stages keep of the lengths of their sources is asked again by `refresh`.


@pytest.mark.parametrize(
    "make",
    [
        lambda a: seqtools.cycle(a, 9),
        lambda a: seqtools.concatenate([a, a]),
        lambda a: seqtools.interleave(a, [7, 8]),
        lambda a: seqtools.unbatch(seqtools.batch(a, 3), 3),
        lambda a: seqtools.batch(a, 2),
        lambda a: seqtools.smap(lambda x, y: (x, y), a, seqtools.repeat(0)),
    ],
    ids=["cycle", "concatenate", "interleave", "unbatch", "batch", "smap"],
)
def test_a_source_that_grew(make: Callable[[Any], LazySequence[Any]]) -> None:
    source = [1, 2, 3]
    p = seqtools.prefetch(make(source), 1)
    assert list(p) == list(make([1, 2, 3]))
    source += [4, 5, 6]
    p.refresh()
    assert list(p) == list(make([1, 2, 3, 4, 5, 6]))


# Nothing is cut off silently: what has fewer items than it said is an error, not an end.


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
        with pytest.raises(ValueError, match="2 items were chosen, so assign as many values"):
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
