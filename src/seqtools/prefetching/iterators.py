"""Iterators over a prefetch."""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, repeat
from typing import Any, TypeVar

from seqtools._core.errors import EndOfSequence, reraise
from seqtools._core.indices import Indices
from seqtools._core.positions import ended_early
from seqtools._core.sequence import LazySequence
from seqtools._core.traits import Traits
from seqtools.prefetching.interruptible_lock import TAKEN
from seqtools.prefetching.pump import Pump
from seqtools.prefetching.reader import Reader, UnorderedReader
from seqtools.prefetching.run import NOTHING, Run

T = TypeVar("T")

_NO_COPY = "cannot pickle or copy an iterator over a prefetch: pickle or copy the prefetch"


class PrefetchIterator(chain[T]):
    """An iterator over a prefetch, with `state_dict`.

    Most items need no step of Python code, so that no interrupt can come between taking an item
    and returning it.
    """

    __slots__ = ("_reading",)

    _reading: "Ordered[T]"

    def state_dict(self) -> dict[str, Any]:
        """Return `position`, the number of items that this iterator has returned.

        Items that were evaluated ahead do not count. So `prefetched[position:]` continues an
        iterator over all of `prefetched`. With `ordered=False`, `position` is the number of
        requested items, and `left` lists those before it that were not returned, as pairs of
        start and stop.

        Example:
            >>> from seqtools import prefetch
            >>> letters = prefetch("abcdef", nworkers=2)
            >>> iterator = iter(letters)
            >>> next(iterator), next(iterator), iterator.state_dict()
            ('a', 'b', {'position': 2})
            >>> letters.close()
        """
        return self._reading.state()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be pickled or copied, because it has workers."""
        raise TypeError(_NO_COPY)


class Ordered(LazySequence[T]):
    """A prefetch for one reader that reads given indices in order."""

    __slots__ = ("_prefetch", "_pump", "_reader")

    _name = "prefetch"
    _traits = Traits(read_once=True)
    _kind: type[Reader] = Reader

    def __init__(self, prefetch: LazySequence[T], pump: Pump, indices: Indices) -> None:
        self._reader = self._kind(indices)
        self._pump = pump
        self._prefetch = prefetch
        self._origin = prefetch._origin

    def _size(self) -> int | None:
        return self._prefetch._length()

    def open(self) -> None:
        """Give the reader its share of the window now, not at its first read."""
        self._pump.open(self._reader)

    def _get(self, i: int, failed: Run | None = None) -> T | None:
        """Return the item, or raise its error if it `failed`; error paths take `i` from here."""
        if failed is not None:
            self._pump.throw(failed)
            return None
        run = self._reader.cursor.ring[0]
        values = run.values
        if values and not run.failed and run.indices[-len(values)] == i:
            with suppress(IndexError):  # another thread has called refresh()
                return values.popleft()  # type: ignore[no-any-return]
        return self._pump.read(self._reader, i)  # type: ignore[no-any-return]

    def _draw_index(self, i: int) -> int:
        return self._prefetch._draw_index(i)

    def state(self) -> dict[str, Any]:
        """Return the position of the reader."""
        return self._pump.state(self._reader)

    def __iter__(self) -> Iterator[T]:
        """Return an iterator over the indices that continues after an item that failed."""
        ended: list[None] = []
        # One generator after the other, because a generator that raised is finished. `ended` has
        # a length after the last one. No Python code runs in between, which an interrupt could
        # end.
        more = iter(ended.__len__, 1)
        iterator = PrefetchIterator.from_iterable(map(self.attempt, more, repeat(ended)))
        assert isinstance(iterator, PrefetchIterator)  # noqa: S101 -- says so to the type checker
        iterator._reading = self  # noqa: SLF001 -- ours
        self.open()
        return iterator

    def attempt(self, _: int, ended: list[None]) -> Iterator[T]:
        """Yield the next items, until one raises an error or there are no more."""
        pump, reader = self._pump, self._reader
        while (run := pump.next(reader)) is not None:
            if run is TAKEN:
                message = (
                    "cannot iterate over a prefetch in a signal handler or a finalizer that "
                    "interrupted a read of the same prefetch: read it by index here"
                )
                raise RuntimeError(message)
            if not run.failed:
                with suppress(IndexError):  # another thread has called refresh()
                    yield from map(deque.popleft, repeat(run.values, len(run.values)))  # type: ignore[arg-type]
            elif self._passes(run):
                break
        ended.append(None)

    def _passes(self, run: Run) -> bool:
        """Raise the error of an item; return whether it is the end of the sequence."""
        i = int(run.indices[0])
        try:
            self._get(i, run)
        except Exception as error:  # noqa: BLE001 -- user code may raise anything
            try:
                if not isinstance(error, EndOfSequence):
                    reraise(error)
                if not self._reader.endless:
                    ended_early(self, i)
            except Exception:
                run.values = NOTHING  # no interrupt can come before `raise`
                raise
            return self._end(run)
        return False  # another thread or a finalizer has just dropped it

    def _end(self, run: Run) -> bool:
        """Note that the source ends at `run`; return whether no items remain."""
        self._pump.finish(self._reader, int(run.indices[0]))
        return True

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be pickled or copied, because it has workers."""
        raise TypeError(_NO_COPY)

    def __del__(self) -> None:
        """Release its share of the window."""
        pump = getattr(self, "_pump", None)
        if pump is not None:  # None if `__init__` was interrupted
            pump.leave(self._reader)


class Unordered(Ordered[T]):
    """A prefetch for one reader that takes items in the order in which they become ready."""

    __slots__ = ()

    _kind = UnorderedReader

    def _end(self, run: Run) -> bool:
        super()._end(run)
        return False  # earlier items may still arrive
