"""`Prefetch`: a sequence whose items are evaluated ahead of its reader."""

import os
import sys
import threading
import weakref
from contextlib import suppress
from typing import Any, TypeVar

from seqtools._core import lengths
from seqtools._core.chance import seeding
from seqtools._core.display.short import short
from seqtools._core.indices import ENDLESS, Indices
from seqtools._core.iteration import SequenceIterator, iterate, iterator_of
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, getter, size_of
from seqtools._core.stage import prepare, remade
from seqtools._core.traits import Traits
from seqtools._core.views import Slice
from seqtools._core.walk import draw_index_of, drawing_apart, traits_upstream
from seqtools.engines.base import Deliver, Engine, here
from seqtools.engines.cluster.kinds import is_factory
from seqtools.engines.process.background_threads import KnownReasons
from seqtools.prefetching import marks
from seqtools.prefetching.iterators import Ordered, PrefetchWalk, Unordered
from seqtools.prefetching.options import Options
from seqtools.prefetching.pump import Pump
from seqtools.prefetching.reader import RandomReader
from seqtools.prefetching.status import Status

T = TypeVar("T")


class Prefetch(LazySequence[T]):
    """The items of a sequence, evaluated ahead by workers."""

    __slots__ = ("_mark", "_options", "_sequence", "_state", "_traits")

    def __init__(self, sequence: Source[T], options: Options, mark: bytes | None = None) -> None:
        self._sequence = sequence
        self._options = options
        self._mark = mark or os.urandom(8)
        """Identifies this prefetch and its copies, so that a worker process knows its own."""
        self._traits = Traits(
            reads_ahead=True,
            elementwise=True,
            acts_on_hints=options.nworkers != 0,
            read_once=True,  # its cursor drops items that were read
        )
        self._state = _State(self)
        lengths.refreshable = True

    def _size(self) -> int | None:
        if self._options.nworkers:
            # Workers need the tables. They are made here, where a Ctrl-C can interrupt a scan.
            prepare(self._sequence)
        return size_of(self._sequence)

    def _get(self, i: int) -> T:
        # Values in the run of this thread are read without a lock; errors are not.
        seat: _ThreadReader | None = getattr(self._state.seats, "own", None)
        if seat is not None and not seeding.used:
            run = seat.reader.cursor.ring[0]
            values = run.values
            if values and not run.failed and run.indices[-len(values)] == i:
                with suppress(IndexError):  # another thread has called refresh()
                    return values.popleft()  # type: ignore[no-any-return]
        return self._read(i)

    def _read(self, i: int) -> T:
        pump = self._state.pump
        if not self._options.nworkers:
            return pump.inline(i)  # type: ignore[no-any-return]
        if self._is_within():
            return self._get_within(i)
        seat = self._seat()  # held until it was read: `refresh` gives another one to the next
        return pump.read(seat.reader, i)  # type: ignore[no-any-return]

    def _is_within(self) -> bool:
        """Return whether this thread is evaluating an item of this prefetch, or one with a seed.

        Then items are evaluated inline: another worker may be waiting for this one, and in another
        thread or process, random numbers would depend on earlier draws there.
        """
        return (
            marks.now(self._mark)
            or (seeding.used and seeding.token() is not None)
            or getattr(here, "get", None) is self._state.pump.inline
        )

    def _get_within(self, i: int) -> T:
        within: set[int] = self._state.seats.__dict__.setdefault("within", set())
        if i in within:
            message = f"item {i} is needed to make item {i}"
            raise RecursionError(message)
        within.add(i)
        try:
            return self._state.pump.inline(i)  # type: ignore[no-any-return]
        finally:
            within.discard(i)

    def _seat(self) -> "_ThreadReader":
        """Return the reader with which this thread reads by index."""
        seats = self._state.seats
        seat: _ThreadReader | None = getattr(seats, "own", None)
        if seat is None:
            follower = RandomReader(self._length(), self._options.max_cached or self._options.first)
            seat = seats.own = _ThreadReader(self._state.pump, follower)
        return seat

    def _hint(self, owner: Any, indices: Indices) -> None:
        if not self._options.nworkers:
            if self._options.seed is None:  # with a seed, nothing is drawn in the background
                super()._hint(owner, indices)
        elif self._is_within():
            pass
        elif len(indices) or hasattr(self._state.seats, "own"):
            seat = self._seat()
            seat.pump.aim(seat.reader, indices)

    def _set(self, i: int, value: Any) -> None:
        del value
        message = (
            f"items of a prefetch cannot be assigned: assign item {i} of its source "
            f"{short(self._sequence)}, then call refresh()"
        )
        raise TypeError(message)

    def _sources(self) -> tuple[Any, ...]:
        return (self._sequence,)

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(self._sequence, indices)]

    def _identity(self) -> Any:
        seed = self._options.seed
        return None if seed is None else ("seed", seed)

    def _rebuild(self, *sources: Any) -> "Prefetch[T]":
        copy: Prefetch[T] = Prefetch(sources[0], self._options)
        self._state.copies.add(copy)
        return copy

    def _opened(self, indices: Indices) -> LazySequence[T]:
        if not self._options.nworkers or self._is_within():
            return self
        reading = Ordered(self, indices)
        reading.open()
        return reading

    def __iter__(self) -> SequenceIterator[T]:
        """Return an iterator that continues after an item that failed."""
        n = self._length()
        return self._run_through(range(ENDLESS if n is None else n))

    def __reversed__(self) -> SequenceIterator[T]:
        """Return an iterator over the items from the last to the first."""
        return self._run_through(range(len(self) - 1, -1, -1))

    def _run_through(self, indices: range) -> SequenceIterator[T]:
        if not self._options.nworkers or self._is_within() or sys.is_finalizing():
            return iterate(self, indices)
        return iterator_of(
            PrefetchWalk(self, indices, Ordered if self._options.ordered else Unordered)
        )

    def _slice(self, key: slice) -> LazySequence[T]:
        if self._options.ordered or not self._options.nworkers:
            return super()._slice(key)
        return UnorderedSlice(self, self._places(key))

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self._options

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle the arguments, the place where it was made, and its mark.

        Raises:
            TypeError: If another process cannot use its executor or client.
        """
        where = self._options.where
        if where is not None and not is_factory(where):
            message = f"only this process has {short(where)}: give a function that makes one"
            raise TypeError(message)
        return remade, (Prefetch, (*self._args(), self._mark), self._origin)

    def _as_call(self) -> str:
        """Return the call that makes this sequence, without its source."""
        return f"prefetch({self._options})"

    def _status(self) -> Status:
        """Return the state of the workers and of the window."""
        return self._state.pump.load()

    def _remark(self) -> str:
        """Return the chosen workers and the reason, if `nworkers="auto"` chose them.

        Also return that they load nothing in the background, if a seed prevents it.
        """
        choice, remarks = self._state.choice, []
        if choice is not None:
            remarks.append(choice.remark())
        options = self._options
        would = options.nworkers and options.readahead
        if options.seed is not None and would and traits_upstream(self._sequence).acts_on_hints:
            remarks.append("loads nothing in the background, because of seed=")
        return "; ".join(remarks)

    def refresh(self) -> None:
        """Use the source as it is now, and drop the items that were evaluated ahead.

        Workers end, and new ones start with a new copy of the source when an item is read. The
        source may have become longer or shorter: stages between follow, and prefetches among
        them are refreshed; a slice that has become too long raises `ValueError` when it is used.
        Caches keep their items. Iterators continue at their position, and end where they would
        have ended.
        """
        lengths.refresh(self)
        for copy in list(self._state.copies):
            copy.refresh()

    def _forget(self) -> None:
        self._state.seats = threading.local()  # who reads by index reads on up to the new end
        self._state.pump.close(forget=True)

    def close(self) -> None:
        """End the workers; new ones start when an item is read."""
        self._state.pump.close()
        for copy in list(self._state.copies):
            copy.close()

    def __enter__(self) -> "Prefetch[T]":
        """Return this sequence."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the workers."""
        self.close()


class UnorderedSlice(Slice[T]):
    """A slice of a prefetch whose items come in the order in which they become ready."""

    __slots__ = ()

    _name = "slice"

    def _slice(self, key: slice) -> LazySequence[T]:
        inner = super()._slice(key)
        return UnorderedSlice(*inner._args())  # type: ignore[misc]

    def __iter__(self) -> SequenceIterator[T]:
        """Return an iterator over the items in the order in which they become ready."""
        return self._sequence._run_through(self._indices)  # type: ignore[no-any-return]  # noqa: SLF001

    def __reversed__(self) -> SequenceIterator[T]:
        """Return an iterator over the items as they become ready, requested from the end."""
        return self._sequence._run_through(self._indices[::-1])  # type: ignore[no-any-return]  # noqa: SLF001


class _ThreadReader:
    """The reader of a thread that reads by index; it ends with the thread."""

    __slots__ = ("pump", "reader")

    def __init__(self, pump: Pump, reader: RandomReader) -> None:
        self.pump, self.reader = pump, reader
        pump.open(reader)

    def __del__(self) -> None:
        pump = getattr(self, "pump", None)
        if pump is not None:  # or else it was interrupted before it had any
            pump.leave(self.reader)


class _State:
    """The state of a prefetch: its workers, and the readers of threads that read by index."""

    __slots__ = ("choice", "copies", "pump", "seats")

    def __init__(self, prefetch: Prefetch[Any]) -> None:
        options, source = prefetch._options, prefetch._sequence  # noqa: SLF001 -- ours
        get = get_apart = getter(source)
        if options.seed is not None:
            given = getter(source), options.seed, drawing_apart(source), draw_index_of(source)
            get = seeding.Seeded(*given, keep=True)
            get_apart = seeding.Seeded(*given, keep=False)
        mark = prefetch._mark  # noqa: SLF001 -- ours
        self.choice = choice = options.choice()
        known = KnownReasons()
        marked = marks.MarkedThread if options.is_cluster else marks.Marked
        # nothing here may refer to the prefetch, or it would never be garbage-collected
        pid = os.getpid()

        def make(deliver: Deliver) -> Engine:
            if os.getpid() != pid:
                options.check_fork()
            prepare(source)  # mostly they are there; a refresh elsewhere may have dropped them
            evaluate = marked(get_apart, marks.all_now(mark))
            return options.engine(source, get, evaluate, choice, known, deliver)

        self.pump = Pump(
            make,
            lambda: options.window(choice),
            get,
            options.idle_timeout,
        )
        self.seats = threading.local()
        self.copies: weakref.WeakSet[Prefetch[Any]] = weakref.WeakSet()
        """Prefetches that an iterator reads instead, after the number of ranks has changed."""
        weakref.finalize(prefetch, self.pump.ending.end)
