"""Sequences made from what can only be iterated."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sized
from typing import Any, TypeVar

from seqtools import seeding
from seqtools.checks import check_count, check_iterable
from seqtools.errors import EndOfSequence
from seqtools.sequence import LazySequence

T = TypeVar("T")


class _Reader:
    """An iterator and the index of the item that it gives next."""

    __slots__ = ("items", "position")

    def __init__(self, items: Iterator[Any]) -> None:
        self.items = items
        self.position = 0


class _State:
    """What reading has come to: where iterators stand, and the items kept."""

    __slots__ = ("end", "failure", "kept", "lock", "readers")

    def __init__(self) -> None:
        # Held while an iterator advances: no iterator can be advanced by two threads.
        self.lock = threading.RLock()
        self.readers: list[_Reader] = []  # the one used last at the end
        self.kept: OrderedDict[int, Any] = OrderedDict()
        self.end: int | None = None
        self.failure: tuple[int, BaseException] | None = None


class Uniter(LazySequence[T]):
    """Items of an iterable, by index."""

    __slots__ = ("_cache_size", "_iterable", "_n_parallel", "_size_given", "_state")

    _draws_apart = True

    def __init__(
        self, iterable: Iterable[T], cache_size: int, n_parallel: int, size: int | None
    ) -> None:
        self._iterable, self._cache_size = iterable, cache_size
        self._n_parallel, self._size_given = n_parallel, size
        self._state = _State()

    def _size(self) -> int | None:
        if self._size_given is None and isinstance(self._iterable, Sized):
            return len(self._iterable)
        return self._size_given

    @property
    def _read_once(self) -> bool:  # type: ignore[override]
        """Whether reading items again can fail, or not come as far as the first time."""
        return isinstance(self._iterable, Iterator) or self._length() is None

    @property
    def _unknown_length(self) -> bool:  # type: ignore[override]
        """Whether it has no length although it ends."""
        return self._length() is None

    def _get(self, i: int) -> T:
        state = self._state
        with state.lock:
            if i in state.kept:
                state.kept.move_to_end(i)
                return state.kept[i]  # type: ignore[no-any-return]
            if state.end is not None and i >= state.end:
                raise EndOfSequence
            reader = self._reader_for(i)
            while True:
                position = reader.position
                value = self._advance(reader)
                if self._cache_size:
                    state.kept[position] = value
                    while len(state.kept) > self._cache_size:
                        state.kept.popitem(last=False)
                if position == i:
                    return value

    def _reader_for(self, i: int) -> _Reader:
        """Return the reader that is nearest before item `i`, or one that starts anew."""
        state = self._state
        behind = [reader for reader in state.readers if reader.position <= i]
        once = isinstance(self._iterable, Iterator)
        if behind:
            reader = max(behind, key=lambda r: r.position)
            state.readers.remove(reader)
        else:
            if once and (state.readers or state.failure):
                raise self._gone(i)
            reader = _Reader(iter(self._iterable))
            if len(state.readers) >= self._n_parallel:
                del state.readers[0]
        state.readers.append(reader)
        return reader

    def _advance(self, reader: _Reader) -> T:
        state = self._state
        try:
            value: T = seeding.apart(self, reader.position, next, reader.items)
        except StopIteration:
            state.end = reader.position
            raise EndOfSequence from None
        except BaseException as error:
            # What an iterator does after an error is its own secret: use it no more. A
            # generator ends, even after an interrupt, as if there were no more items.
            state.readers.remove(reader)
            state.failure = reader.position, error
            raise
        reader.position += 1
        return value

    def _gone(self, i: int) -> Exception:
        state = self._state
        if state.failure is not None:
            k, error = state.failure
            message = f"the iterator failed at item {k} and cannot be started anew"
            failed = RuntimeError(message)
            failed.__cause__ = error
            return failed
        message = (
            f"the iterator is past item {i} and cannot be started anew: give uniter() a "
            f"larger cache_size than {self._cache_size}, or an iterable that is not an iterator"
        )
        return RuntimeError(message)

    def _args(self) -> tuple[Any, ...]:
        return self._iterable, self._cache_size, self._n_parallel, self._size_given

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be pickled over an iterator, which can be read in one place only.

        Raises:
            TypeError: If the iterable cannot be started anew where it is unpickled.
        """
        if isinstance(self._iterable, Iterator):
            message = (
                f"uniter() over an iterator ({type(self._iterable).__name__}) cannot be pickled, "
                "because it cannot be started anew elsewhere: give it an object with an "
                "__iter__ that starts anew, or use method='thread'"
            )
            raise TypeError(message)
        return super().__reduce_ex__(protocol)


def uniter(
    iterable: Iterable[T], cache_size: int = 0, n_parallel: int = 1, size: int | None = None
) -> LazySequence[T]:
    """Return the items of `iterable` as a sequence.

    Item `i` is reached by advancing an iterator that stands before it, or a new one;
    the items on the way are made and passed over. One thread at a time advances.

    Args:
        iterable: What to iterate. An iterator, which cannot be started anew, can be
            read forwards only, but for the items kept.
        cache_size: Number of items used last to keep, at least 0.
        n_parallel: Most iterators held at different places at once, at least 1.
        size: Number of items; with `None` that of `iterable` if it has a length.
            Otherwise the sequence has none, and ends where `iterable` does.

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
