"""A prefetch as one reader sees it."""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, repeat
from typing import Any, TypeVar

from seqtools._core.errors import EndOfSequence, reraise
from seqtools._core.indices import Indices
from seqtools._core.sequence import LazySequence
from seqtools.prefetching.interruptible_lock import TAKEN
from seqtools.prefetching.pump import Pump
from seqtools.prefetching.reader import Reader, UnorderedReader
from seqtools.prefetching.run import NOTHING, Run

T = TypeVar("T")

_NO_COPY = "cannot pickle or copy an iterator over a prefetch: do that with the prefetch"


class PrefetchIterator(chain[T]):
    """An iterator over a prefetch, which knows where it stands.

    It takes no step of Python for most items: no interrupt can come between taking an item and
    giving it.
    """

    __slots__ = ("_reading",)

    _reading: "Ordered[T]"

    def state_dict(self) -> dict[str, Any]:
        """Return where it stands: `position` is the number of items that it has read.

        What was read ahead does not count. So `prefetched[position:]` goes on where an iterator
        over all of `prefetched` stood. With `ordered=False` it is the number of items that were
        asked for, and `left` lists the places of those that were not read, as pairs of a first
        place and one past the last.

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
        """Refuse to be pickled or copied: there are workers behind it."""
        raise TypeError(_NO_COPY)

    def __reduce__(self) -> Any:
        """Refuse it too."""
        raise TypeError(_NO_COPY)

    def __setstate__(self, state: Any) -> None:
        """Refuse what `itertools.chain` would do."""
        raise TypeError(_NO_COPY)


class Ordered(LazySequence[T]):
    """A prefetch for one reader, who reads given indices in their order."""

    __slots__ = ("_prefetch", "_pump", "_reader")

    _name = "prefetch"
    _read_once = True
    _kind: type[Reader] = Reader

    def __init__(self, prefetch: LazySequence[T], pump: Pump, indices: Indices) -> None:
        self._reader = self._kind(indices)
        self._pump = pump
        self._prefetch = prefetch
        self._origin = prefetch._origin

    def _size(self) -> int | None:
        return self._prefetch._length()

    def open(self) -> None:
        """Have it share the window from now on, and not from its first read."""
        self._pump.open(self._reader)

    def _get(self, i: int, failed: Run | None = None) -> T | None:  # type: ignore[override]
        """Return the item, or raise what became of it if it `failed`; errors tell `i` by this."""
        if failed is not None:
            self._pump.throw(failed)
            return None
        run = self._reader.cursor.ring[0]
        values = run.values
        if values and not run.failed and run.indices[-len(values)] == i:
            with suppress(IndexError):  # another thread has called refresh()
                return values.popleft()  # type: ignore[no-any-return]
        return self._pump.read(self._reader, i)  # type: ignore[no-any-return]

    def state(self) -> dict[str, Any]:
        """Return where the reader stands."""
        return self._pump.state(self._reader)

    def __iter__(self) -> Iterator[T]:
        """Return an iterator over the indices given, which goes on after an item that failed."""
        ended: list[None] = []
        # One generator after the other, because one that raised is finished; there are no more
        # once `ended` has a length. No step of Python lies in between, which an interrupt
        # could end.
        more = iter(ended.__len__, 1)
        iterator = PrefetchIterator.from_iterable(map(self.attempt, more, repeat(ended)))
        assert isinstance(iterator, PrefetchIterator)  # noqa: S101 -- says so to the type checker
        iterator._reading = self  # noqa: SLF001 -- ours
        self.open()
        return iterator

    def attempt(self, _: int, ended: list[None]) -> Iterator[T]:
        """Yield what comes next, until something is raised or there is no more."""
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
        """Raise what became of an item; return whether this is the end of the sequence."""
        i = int(run.indices[0])
        try:
            self._get(i, run)
        except Exception as error:  # noqa: BLE001 -- user code may raise anything
            try:
                if not isinstance(error, EndOfSequence):
                    reraise(error)
                if not self._reader.endless:
                    self._ended_early(i)
            except Exception:
                run.values = NOTHING  # no step lies in between, in which an interrupt could come
                raise
            return self._end(run)
        return False  # it was dropped at this moment, by another thread or a finalizer

    def _end(self, run: Run) -> bool:
        """Note that there is no item where `run` is; return whether nothing else is to come."""
        self._pump.finish(self._reader, int(run.indices[0]))
        return True

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be pickled or copied: there are workers behind it."""
        raise TypeError(_NO_COPY)

    def __del__(self) -> None:
        """Give the share of the window back."""
        pump = getattr(self, "_pump", None)
        if pump is not None:  # or else it was interrupted before it had any
            pump.leave(self._reader)


class Unordered(Ordered[T]):
    """A prefetch for one reader, who takes items in the order in which they become ready."""

    __slots__ = ()

    _kind = UnorderedReader

    def _end(self, run: Run) -> bool:
        super()._end(run)
        return False  # others before it are still to come
