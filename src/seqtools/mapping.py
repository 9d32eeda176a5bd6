"""Functions applied to items when they are read."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from seqtools import fusing
from seqtools.checks import check_function, check_source
from seqtools.indices import Indices, as_list
from seqtools.sequence import LazySequence
from seqtools.sources import Source, common_size, getter, read_many, read_row

T = TypeVar("T")


class Smap(LazySequence[T]):
    """Results of a function on the items of sequences."""

    __slots__ = ("_f", "_getters", "_sequences")

    def __init__(self, f: Callable[..., T], *sequences: Any) -> None:
        self._f = f
        self._sequences = sequences
        # where there is one source, it is read by a function made when it is needed
        many = len(sequences) > 1
        self._getters = [getter(sequence) for sequence in sequences] if many else None

    def _size(self) -> int | None:
        return common_size(self._sequences)

    def _get(self, i: int) -> T:
        if self._getters is not None:
            return self._f(*read_row(self._sequences, self._getters, i))
        if self._fused is None:
            self._fused = fusing.reader(self)
        return self._fused(self, i)  # type: ignore[no-any-return]

    def _link(self) -> fusing.Link | None:
        if self._getters is not None:
            return None
        return fusing.Link(self._f, unpacked=False, source=self._sequences[0])

    def _get_many(self, indices: Indices) -> Sequence[T]:
        if self._waits():
            # what comes later may be being loaded while `f` computes what is there
            return [self._get(i) for i in as_list(indices)]
        f = self._f
        # no list(map(…)): a StopIteration of f would end the list
        if self._getters is None:
            return [f(item) for item in read_many(self._sequences[0], indices)]
        columns = [read_many(sequence, indices) for sequence in self._sequences]
        return [f(*items) for items in zip(*columns, strict=True)]

    def _sources(self) -> tuple[Any, ...]:
        return self._sequences

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(sequence, indices) for sequence in self._sequences]

    def _rebuild(self, *sources: Any) -> "Smap[T]":
        return type(self)(self._f, *sources)

    def _args(self) -> tuple[Any, ...]:
        return self._f, *self._sequences


class Starmap(Smap[T]):
    """Results of a function on items that are its arguments."""

    __slots__ = ()

    def _link(self) -> fusing.Link:
        return fusing.Link(self._f, unpacked=True, source=self._sequences[0])

    def _get_many(self, indices: Indices) -> Sequence[T]:
        f = self._f
        return [f(*arguments) for arguments in read_many(self._sequences[0], indices)]


def smap(f: Callable[..., T], *sequences: Source[Any]) -> LazySequence[T]:
    """Return the results of `f` on the items of `sequences`, computed when read.

    Item `i` is `f(sequence[i], …)`, evaluated every time that it is read: see
    `add_cache` to keep results, and `prefetch` to compute them ahead.

    Args:
        f: Called with one item of each sequence.
        sequences: At least one. The finite ones must have the same length; endless
            ones adapt to it.

    Raises:
        TypeError: If `f` cannot be called, or something else is not a sequence.
        ValueError: If the lengths differ.

    Example:
        >>> sums = smap(lambda x, y: x + y, [1, 2, 3], [10, 20, 30])
        >>> sums[1], list(sums)
        (22, [11, 22, 33])
    """
    _check(f, sequences)
    result = Smap(f, *sequences)
    if len(sequences) > 1:
        result._length()
    return result


def starmap(f: Callable[..., T], sequence: Source[Any]) -> LazySequence[T]:
    """Return the results of `f` on items that are tuples of its arguments.

    Item `i` is `f(*sequence[i])`, evaluated every time that it is read.

    Args:
        f: Called with the elements of an item.
        sequence: Tuples, or other iterables of arguments.

    Raises:
        TypeError: If `f` cannot be called, or `sequence` is not a sequence.

    Example:
        >>> list(starmap(pow, [(2, 5), (3, 2), (10, 3)]))
        [32, 9, 1000]
    """
    _check(f, (sequence,))
    return Starmap(f, sequence)


def _check(f: object, sequences: tuple[object, ...]) -> None:
    check_function(f, "f")
    if not sequences:
        message = "smap() needs at least one sequence: smap(f, sequence)"
        raise TypeError(message)
    for sequence in sequences:
        check_source(sequence)
