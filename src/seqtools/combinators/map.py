"""Functions applied to items when they are read."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from seqtools._core import fusing
from seqtools._core.checks import check_function, check_source
from seqtools._core.indices import Indices, as_list
from seqtools._core.rows import listed
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, common_size, getter, read_many, read_row, size_of
from seqtools._core.traits import Traits
from seqtools._core.walk import summary

T = TypeVar("T")


class Smap(LazySequence[T]):
    """Results of a function on the items of a sequence."""

    __slots__ = ("_f", "_sequences")

    _traits = Traits(elementwise=True)

    def __init__(self, f: Callable[..., T], *sequences: Any) -> None:
        self._f = f
        self._sequences = sequences

    def _size(self) -> int | None:
        return size_of(self._sequences[0])

    def _link(self) -> fusing.Link | None:
        return fusing.APPLIED, self._f, self._sequences[0]

    def _get_many(self, indices: Indices) -> Sequence[T]:
        if (self._summary or summary(self)).traits.acts_on_hints:
            # while `f` computes an item, the stage upstream may load the next ones
            return [self._get(i) for i in as_list(indices)]
        return self._results(indices)

    def _results(self, indices: Indices) -> list[T]:
        f = self._f
        # no list(map(…)): a StopIteration of f would end the list
        return [f(item) for item in read_many(self._sequences[0], indices)]

    def _sources(self) -> tuple[Any, ...]:
        return self._sequences

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(sequence, indices) for sequence in self._sequences]

    def _rebuild(self, *sources: Any) -> "Smap[T]":
        return type(self)(self._f, *sources)

    def _args(self) -> tuple[Any, ...]:
        return self._f, *self._sequences


class SmapMany(Smap[T]):
    """Results of a function on the items of several sequences side by side."""

    __slots__ = ("_getters",)

    _name = "smap"

    def __init__(self, f: Callable[..., T], *sequences: Any) -> None:
        super().__init__(f, *sequences)
        self._getters = [getter(sequence) for sequence in sequences]

    def _size(self) -> int | None:
        return common_size(self, self._sequences)

    def _link(self) -> None:
        return None

    def _get(self, i: int) -> T:
        return self._f(*read_row(self._sequences, self._getters, i))

    def _results(self, indices: Indices) -> list[T]:
        f = self._f
        columns = [read_many(sequence, indices) for sequence in self._sequences]
        return [f(*items) for items in zip(*columns, strict=True)]


class Starmap(Smap[T]):
    """Results of a function on items that are its arguments."""

    __slots__ = ()

    def _link(self) -> fusing.Link:
        return fusing.UNPACKED, self._f, self._sequences[0]

    def _results(self, indices: Indices) -> list[T]:
        f = self._f
        return [
            f(*(item if item.__class__ is tuple else listed(item)))
            for item in read_many(self._sequences[0], indices)
        ]


def smap(f: Callable[..., T], *sequences: Source[Any]) -> LazySequence[T]:
    """Return the results of `f` on the items of `sequences`, computed when read.

    Item `i` is `f(sequence[i], …)`, evaluated every time that it is read: see
    `add_cache` to keep results, and `prefetch` to compute them ahead.

    Args:
        f: Called with one item of each sequence.
        sequences: At least one. The finite ones must have the same length; endless
            ones adapt to it.

    Raises:
        TypeError: If `f` cannot be called, or another argument is not a sequence.
        ValueError: If the lengths differ.

    Example:
        >>> sums = smap(lambda x, y: x + y, [1, 2, 3], [10, 20, 30])
        >>> sums[1], list(sums)
        (22, [11, 22, 33])
    """
    _check(f, sequences)
    if len(sequences) == 1:
        return Smap(f, *sequences)
    result = SmapMany(f, *sequences)
    result._length()
    return result


def starmap(f: Callable[..., T], sequence: Source[Any]) -> LazySequence[T]:
    """Return the results of `f` on items that are tuples of its arguments.

    Item `i` is `f(*sequence[i])`, evaluated every time that it is read.

    Args:
        f: Called with the elements of an item.
        sequence: Tuples, or other iterables of arguments.

    Raises:
        TypeError: If `f` cannot be called, or `sequence` is not a sequence. An item that is
            a dict, a set or a table is an `EvaluationError` when it is read.

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
