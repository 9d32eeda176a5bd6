"""Sequences made from iterables."""

import warnings
from collections.abc import Iterable, Iterator, Sized
from typing import Any, TypeVar

from seqtools._core.checks import check_count, check_iterable
from seqtools._core.indices import Indices, as_list
from seqtools._core.sequence import LazySequence
from seqtools._core.source_code import place
from seqtools._core.streams import Stream
from seqtools._core.traits import Traits

T = TypeVar("T")


class Uniter(LazySequence[T]):
    """Items of an iterable, by index."""

    __slots__ = ("_cache_size", "_iterable", "_n_parallel", "_size_given", "_state", "_traits")

    def __init__(
        self, iterable: Iterable[T], cache_size: int, n_parallel: int, size: int | None
    ) -> None:
        self._iterable, self._cache_size = iterable, cache_size
        self._n_parallel, self._size_given = n_parallel, size
        unknown = size is None and not isinstance(iterable, Sized)
        self._traits = Traits(
            draws_apart=True,
            iterates=True,
            # an iterator cannot go back, and another one may end earlier
            read_once=unknown or isinstance(iterable, Iterator),
            unknown_length=unknown,
        )
        self._forget()

    def _forget(self) -> None:
        self._state = Stream(self._iterable, self._cache_size, self._n_parallel, self)

    def _size(self) -> int | None:
        if self._size_given is None and isinstance(self._iterable, Sized):
            return len(self._iterable)
        return self._size_given

    def _get(self, i: int) -> T:
        state = self._state
        value: T = state.get(i)
        if state.advice:
            self._warn()
        return value

    def _get_many(self, indices: Indices) -> list[T]:
        js = as_list(indices)
        self._state.claim(sorted({*js}))
        return [self._get(j) for j in js]

    def _claim(self, indices: Indices) -> None:
        self._state.claim(indices)

    def _warn(self) -> None:
        advice, self._state.advice = self._state.advice, ""
        message = f"{self._describe()} ({place(*self._origin)}) {advice}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)

    def _made_from(self, indices: Indices) -> list[tuple[Any, Indices | None, bool]]:
        return [(self._iterable, indices, True)]

    def _args(self) -> tuple[Any, ...]:
        return self._iterable, self._cache_size, self._n_parallel, self._size_given

    def _identity(self) -> Any:
        return "uniter"  # caches and numbers of workers may change

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle the recipe; raise `TypeError` for an iterator, which cannot start again."""
        if isinstance(self._iterable, Iterator):
            message = (
                f"uniter() over an iterator ({type(self._iterable).__name__}) cannot be pickled, "
                "because it cannot start again elsewhere: give uniter() an object whose "
                "__iter__ starts again, or use method='thread'"
            )
            raise TypeError(message)
        return super().__reduce_ex__(protocol)


def uniter(
    iterable: Iterable[T], cache_size: int = 0, n_parallel: int = 1, size: int | None = None
) -> LazySequence[T]:
    """Return the items of `iterable` as a sequence.

    Item `i` is reached by advancing an iterator that is before it, or a new one. One thread at
    a time advances an iterator, and threads that read ahead together share one: a `batch`
    takes all of its items at once, and items that a thread skipped are kept for the others. For
    each other thread of the program, as many of them are kept as one read takes, and at least
    16. An item is returned once; requesting it again starts a new iterator or raises an error,
    and a `RuntimeWarning` says so if that happens all the time. Each worker process has its own
    iterators, and iterates over all of `iterable`. After an interrupt, a `prefetch` requests
    the items in progress again: an iterator returns them only if `cache_size` is large enough.

    Args:
        iterable: The iterable. An iterator, which cannot start again, can be read only
            forwards, except for the items kept, and only in the process that made this
            sequence.
        cache_size: Number of most recently used items to keep, at least 0, for all threads.
        n_parallel: Most iterators held at different positions, at least 1: the number of
            positions that are read side by side, which is not the number of threads.
        size: Number of items. `None` means the length of `iterable` if it has one. Otherwise
            the sequence has no length, and ends where `iterable` ends.

    Raises:
        TypeError: If `iterable` cannot be iterated.
        ValueError: If a number is out of range.

    Example:
        >>> squares = uniter((x * x for x in range(5)), cache_size=2)
        >>> squares[3], squares[2], squares[4]
        (9, 4, 16)
        >>> squares[5]
        Traceback (most recent call last):
        IndexError: index 5 is past the end of uniter
    """
    check_iterable(iterable, "iterable")
    kept = check_count(cache_size, 0, "cache_size")
    parallel = check_count(n_parallel, 1, "n_parallel")
    given = None if size is None else check_count(size, 0, "size")
    return Uniter(iterable, kept, parallel, given)
