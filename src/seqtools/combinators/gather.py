"""Items of sequences in another order, by index arithmetic."""

import operator
from typing import Any, TypeVar

from seqtools._core.checks import WHERE, as_index, check_count, check_integers, check_source
from seqtools._core.errors import EndOfSequence
from seqtools._core.indices import (
    ENDLESS,
    Indices,
    all_below,
    as_array,
    as_list,
    modulo,
    within,
)
from seqtools._core.rearrangement import Rearrangement
from seqtools._core.resume import plain
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, getter, read_many, size_of
from seqtools._core.walk import is_stage

T = TypeVar("T")


class Gather(Rearrangement[T]):
    """Items of a sequence at given indexes."""

    __slots__ = ("_below", "_index_at", "_indexes")

    def __init__(self, sequence: Any, indexes: Any) -> None:
        super().__init__(sequence)
        self._indexes = indexes
        self._index_at = getter(indexes)
        self._below = 0  # all valid indices are below this; 0 until the length is known

    def _forget(self) -> None:
        self._below = 0

    def _size(self) -> int | None:
        return size_of(self._indexes)

    def _get(self, i: int) -> T:
        given = j = self._index_at(i)
        if given.__class__ is not int:
            try:
                j = operator.index(given) if given.__class__ is not bool else None
            except TypeError:
                j = None
            if j is None:
                j = as_index(given, f"indexes[{i}]", WHERE)  # raises the error
        if not 0 <= j < self._below:
            j = self._found(i, j)
        return self._getters[0](j)  # type: ignore[no-any-return]

    def _locate(self, i: int) -> tuple[int, int]:
        return 0, self._found(i, as_index(self._index_at(i), f"indexes[{i}]", WHERE))

    def _found(self, i: int, given: int) -> int:
        """Return the index `given` at place `i`, counted from the beginning."""
        n = size_of(self._sequences[0])
        self._below = ENDLESS if n is None else n
        j = given
        if j < 0 and n is not None:
            j += n
        if j < 0 or (n is not None and j >= n):
            length = "unknown length" if n is None else f"length {n}"
            message = f"indexes[{i}] is {given}, out of range for a sequence of {length}"
            raise IndexError(message)
        return j

    def _runs(self, indices: Indices) -> list[tuple[int, Indices]]:
        n = size_of(self._sequences[0])
        if isinstance(self._indexes, range) and isinstance(indices, range):
            js = within(self._indexes, indices)
            ends = (js[0], js[-1]) if js else ()
            if n is not None and all(-n <= j < 0 for j in ends):
                return [(0, range(js.start + n, js.stop + n, js.step))]  # type: ignore[attr-defined]
            if all(j >= 0 and (n is None or j < n) for j in ends):
                return [(0, js)]
        chosen = _integers(read_many(self._indexes, indices))
        if not all_below(chosen, ENDLESS if n is None else n):
            chosen = as_array([self._locate(i)[1] for i in as_list(indices)])
        return [(0, chosen)]

    def _sources(self) -> tuple[Any, ...]:
        return self._sequences[0], self._indexes

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        plain = isinstance(self._indexes, range | list | tuple) or hasattr(self._indexes, "dtype")
        if not plain or is_stage(self._indexes):  # the reads depend on its values
            return [(self._indexes, indices)]
        try:
            return [(self._sequences[0], self._runs(indices)[0][1]), (self._indexes, indices)]
        except (IndexError, OverflowError, TypeError):  # its reader gets the error
            return [(self._indexes, indices)]

    def _identity(self) -> Any:
        return "gather", "source" if is_stage(self._indexes) else plain(self._indexes)

    def _rebuild(self, *sources: Any) -> "Gather[T]":
        return Gather(*sources)

    def _args(self) -> tuple[Any, ...]:
        return self._sequences[0], self._indexes


def gather(sequence: Source[T], indexes: Source[int]) -> LazySequence[T]:
    """Return the items of `sequence` at `indexes`, in that order.

    Nothing is copied: item `i` is `sequence[indexes[i]]`, so assigning to it assigns
    to `sequence`. `take` is another name for `gather`.

    Args:
        sequence: The sequence to take items from.
        indexes: Integers, of which negative ones count from the end: a list, a range, an
            array, or a lazy sequence, which is read item by item. For a boolean mask, use
            `compress`.

    Raises:
        TypeError: If either is not a sequence, or `indexes` is an array that is not
            one-dimensional or not of integers, or begins with a boolean. A later boolean is
            an `EvaluationError` when it is read.
        IndexError: If `indexes` is a range that exceeds the sequence. Any other index out of
            range is an `EvaluationError` when it is read.

    Example:
        >>> list(gather("abcdef", [5, 0, -2, 0]))
        ['f', 'a', 'e', 'a']
    """
    check_source(sequence)
    check_source(indexes, "indexes")
    check_integers(indexes, "indexes")
    result = Gather[T](sequence, indexes)
    if isinstance(indexes, range) and indexes:
        for i in (0, len(indexes) - 1):
            result._locate(i)  # noqa: SLF001 -- of this module
    return result


take = gather


class Cycle(Rearrangement[T]):
    """A sequence repeated end to end."""

    __slots__ = ("_limit",)

    def __init__(self, sequence: Any, limit: int | None) -> None:
        super().__init__(sequence)
        self._limit = limit
        self._arranged()

    def _arrange(self) -> tuple[int | None]:
        """Return the length of the source; raise `ValueError` if it is empty."""
        n = size_of(self._sequences[0])
        if n == 0 and self._limit != 0:
            message = "cycle() of an empty sequence has no items to repeat: give it limit=0"
            raise ValueError(message)
        return (n,)

    def _size(self) -> int | None:
        return self._limit

    def _locate(self, i: int) -> tuple[int, int]:
        (n,) = self._layout or self._arranged()
        return 0, i if n is None else i % n

    def _get(self, i: int) -> T:
        try:
            return self._getters[0](self._locate(i)[1])  # type: ignore[no-any-return]
        except EndOfSequence:
            message = "cycle() needs the length of a sequence that ends: give it its size"
            raise ValueError(message) from None

    def _runs(self, indices: Indices) -> list[tuple[int, Indices]]:
        (n,) = self._layout or self._arranged()
        return [(0, indices if n is None else modulo(indices, n))]

    def _rebuild(self, *sources: Any) -> "Cycle[T]":
        return Cycle(sources[0], self._limit)

    def _args(self) -> tuple[Any, ...]:
        return self._sequences[0], self._limit


def cycle(sequence: Source[T], limit: int | None = None) -> LazySequence[T]:
    """Return `sequence` repeated end to end, `limit` items long or without end.

    Nothing is copied: item `i` is `sequence[i % len(sequence)]`, so assigning to it
    assigns to `sequence`.

    Args:
        sequence: The items to repeat; may be empty only if `limit` is 0.
        limit: Length of the result. With `None` it has no length, and negative
            indices raise `IndexError`.

    Raises:
        ValueError: If `sequence` is empty, or `limit` is negative.

    Example:
        >>> list(cycle("abc", 5))
        ['a', 'b', 'c', 'a', 'b']
    """
    check_source(sequence)
    limit = None if limit is None else check_count(limit, 0, "limit")
    return Cycle(sequence, limit)


def _integers(given: Any) -> Any:
    """Return `given` as an array of integers; raise `TypeError` if an item is no integer."""
    import numpy as np

    if getattr(getattr(given, "dtype", None), "kind", "") in ("i", "u"):
        return as_array(given)
    classes = set(map(type, given))
    if bool in classes:
        message = f"indexes must be integers, got booleans: {WHERE}"
        raise TypeError(message)
    if classes == {int}:
        return np.array(given, np.int64)
    return np.fromiter(map(operator.index, given), np.int64, len(given))
