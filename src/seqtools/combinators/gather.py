"""Items of sequences in another order, by index arithmetic."""

from typing import Any, TypeVar

from seqtools._core.checks import check_count, check_integers, check_source
from seqtools._core.errors import EndOfSequence
from seqtools._core.gathered import Gather
from seqtools._core.indices import Indices, modulo
from seqtools._core.rearrangement import Rearrangement
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, size_of

T = TypeVar("T")


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

    def _users(self, number: int, js: Any, n: int) -> Any:
        del number
        (period,) = self._layout or self._arranged()
        if not period:
            return js
        import numpy as np

        return np.add.outer(np.arange(0, n, period), js).ravel()

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
