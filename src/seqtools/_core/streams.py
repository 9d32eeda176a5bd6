"""Items of an iterable by index, for threads that read near each other.

One thread at a time advances an iterator. Threads that read ahead do not read in order: the thread
that evaluates batch 1 may come before the one that evaluates batch 0. So

- a thread claims the items that it is going to read, and takes all of them at once, as its block;
- items that the iterator passed are kept for other threads.

Each item is returned once; another request for it starts a new iterator. Besides the blocks and the
items that the user wants kept, each other thread of the program may need as many passed items as
the largest claim, and so many are kept. No thread waits until another one reads.

One call returns an item together with its index, so an interrupt can lose an item, but no item is
returned for another index.
"""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from seqtools._core.at_fork import renew_in_children
from seqtools._core.chance import seeding
from seqtools._core.errors import EndOfSequence, is_of_item
from seqtools._core.indices import Indices, runs
from seqtools._core.stream_messages import advice, gone

_FEWEST = 16
"""Passed items to keep for each thread if no claim was larger. Arbitrary."""
_SPREAD = 4
"""Passed items to keep for each item of a claim whose items are not consecutive."""
_OFTEN, _FEW = 4, 1000
"""Items evaluated again from which a warning says so: a factor for each returned item, and a few
more that nobody notices. Arbitrary."""
_MISSING: Any = object()
_END = -1, None


class _Position:
    """An iterator, and the index of the item that it returns next."""

    __slots__ = ("busy", "inbox", "items", "position")

    def __init__(self, items: Iterator[Any]) -> None:
        self.items = enumerate(items)
        self.position = 0
        self.inbox: dict[int, Any] = {}  # the items that it returned just now
        self.busy = False  # it is advancing, or was interrupted while it did: it must not be used


class _Own(threading.local):
    """The claimed and unread items of a thread, and the error that ended the claim."""

    def __init__(self) -> None:
        self.block: dict[int, Any] = {}
        self.error: tuple[int, BaseException] | None = None


class Stream:
    """An iterable, iterators over it, and the items that they passed."""

    __slots__ = (
        "__weakref__", "_advised", "_again", "_cache_size", "_claimed", "_end", "_failure",
        "_given", "_iterable", "_kept", "_n_parallel", "_once", "_own", "_passed", "_reach",
        "_readers", "_shared", "_stage", "_started", "advice", "lock",
    )  # fmt: skip

    def __init__(
        self, iterable: Iterable[Any], cache_size: int, n_parallel: int, stage: Any
    ) -> None:
        self._iterable, self._cache_size = iterable, cache_size
        self._n_parallel = n_parallel
        self._stage = weakref.ref(stage)  # its items draw the random numbers of that stage
        self._once = isinstance(iterable, Iterator)
        self._end: int | None = None
        self._reach = _FEWEST
        self._given = self._again = 0
        self._advised = False
        self.advice = ""
        """A warning for the user, if there is one."""
        self._begin()
        renew_in_children(self)

    def _begin(self) -> None:
        # Held while an iterator advances, because two threads must not advance one iterator.
        self.lock = threading.RLock()
        self._readers: list[_Position] = []  # the last one was used last
        self._started = False
        self._failure: tuple[int, BaseException | None] | None = None
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._passed: OrderedDict[int, Any] = OrderedDict()
        self._claimed = False
        self._shared = False  # whether a thread other than the main one reads
        self._own = _Own()

    def renew(self) -> None:
        """See `at_fork`: an iterator may share the position in a file with the parent."""
        self._begin()
        if self._once:
            self._failure = 0, None

    def get(self, i: int) -> Any:
        """Return item `i`.

        Raises:
            EndOfSequence: If there are no more than `i` items.
            RuntimeError: If a new iterator is needed and cannot be started.
        """
        with self.lock:
            value = _MISSING
            if self._claimed or self._passed or self._cache_size:
                value = self._at_hand(i)
            if value is _MISSING:
                value = self._read(i)
            self._given += 1
            if self._cache_size:
                self._keep({i: value})
            return value

    def claim(self, indices: Indices) -> None:
        """Reserve `indices`, which ascend, for this thread, as far as no new iterator is needed.

        An error of the iterator is raised when this thread reads the item.
        """
        with self.lock:
            own = self._own
            if not indices or all(j in own.block for j in indices):
                return
            self._claimed = True
            self._passed.update(own.block)  # other threads may take the unread items
            own.block, own.error = {}, None
            spread = indices[-1] + 1 - indices[0]
            self._reach = max(self._reach, min(spread, _SPREAD * len(indices)))
            try:
                for run in runs(indices):
                    self._take(run, own.block)
            except EndOfSequence:
                pass
            except BaseException as error:
                if not is_of_item(error):
                    raise
                own.error = self._failure[0] if self._failure else 0, error

    def _take(self, run: range, block: dict[int, Any]) -> None:
        """Move the items of `run` to `block`: those that were passed, and those that follow."""
        first = next((j for j in run if j not in self._passed and j not in self._kept), None)
        try:
            if first is not None:
                reader = self._nearest(first)
                if reader is None and not self._started and self._failure is None:
                    reader = self._start()
                if reader is not None:
                    self._pass_over(reader, run.stop, len(run))
        finally:
            for j in run:
                value = self._passed.pop(j, _MISSING)
                if value is _MISSING:
                    value = self._kept.get(j, _MISSING)
                if value is not _MISSING:
                    block[j] = value
            self._trim(0)

    # Kept items

    def _at_hand(self, i: int) -> Any:
        """Return item `i` if it is claimed by this thread, passed or kept."""
        if self._claimed:
            value = self._own.block.pop(i, _MISSING)
            if value is not _MISSING:
                return value
        if self._passed:
            value = self._passed.pop(i, _MISSING)
            if value is not _MISSING:
                return value
        return self._kept.get(i, _MISSING)

    def _keep(self, items: dict[int, Any]) -> None:
        """Keep `items`, which were used last."""
        kept = self._kept
        for i, value in items.items():
            kept[i] = value
            kept.move_to_end(i)
        while len(kept) > self._cache_size:
            kept.popitem(last=False)

    def _room(self) -> int:
        """Return how many passed items to keep.

        It is 0 while only the main thread reads, so that the errors of a program do not depend on
        threads that do not read.
        """
        if not self._shared:
            self._shared = threading.current_thread() is not threading.main_thread()
        return self._reach * (threading.active_count() - 1) if self._shared else 0

    def _trim(self, needed: int) -> None:
        """Drop the oldest passed items, except as many as are `needed`."""
        if self._passed:
            room = max(needed, self._room())
            while len(self._passed) > room:
                self._passed.popitem(last=False)

    # Iterators

    def _read(self, i: int) -> Any:
        """Return item `i`, which is not kept."""
        if self._end is not None and i >= self._end:
            raise EndOfSequence
        readers = self._readers
        if readers and readers[-1].position == i and not readers[-1].busy:
            reader = readers[-1]
        else:
            reader = self._reader_before(i)
            self._pass_over(reader, i, 0)
        return self._next(reader, i)

    def _next(self, reader: _Position, i: int) -> Any:
        """Return item `i`, which `reader` returns next."""
        reader.busy = True
        try:
            k, value = next(reader.items, _END)
        except BaseException as error:
            self._fail(reader, error)
            raise
        reader.busy = False
        if k == i:
            reader.position = k + 1
            return value
        if k < 0:
            self._end = reader.position
            raise EndOfSequence
        # An interrupt came after the iterator had advanced, and before its position was updated.
        self._drop(reader)
        value = self._at_hand(i)
        return self._read(i) if value is _MISSING else value

    def _pass_over(self, reader: _Position, stop: int, needed: int) -> None:
        """Advance `reader` to item `stop`, and keep at least `needed` items before it.

        Raises:
            EndOfSequence: If there are fewer items.
        """
        while reader.position < stop:
            began = reader.position
            many = min(stop - began, max(needed, self._cache_size, _FEWEST))
            reader.busy = True
            try:
                reader.inbox.update(islice(reader.items, many))
            except BaseException as error:
                self._fail(reader, error)
                raise
            reader.busy = False
            self._settle(reader)
            self._trim(needed)
            if reader.position < began + many:
                self._end = reader.position
                raise EndOfSequence

    def _settle(self, reader: _Position) -> None:
        """Add the items that `reader` returned to the passed ones, and update its position."""
        if inbox := reader.inbox:
            self._passed.update(inbox)
            if self._cache_size:
                self._keep(inbox)
            reader.position = next(reversed(inbox)) + 1
            reader.inbox = {}

    def _fail(self, reader: _Position, error: BaseException) -> None:
        # An iterator that failed is not used any more. A generator, for example, ends after an
        # error or an interrupt as if there were no more items.
        self._drop(reader)
        self._settle(reader)
        self._failure = reader.position, error

    def _drop(self, reader: _Position) -> None:
        self._readers = [r for r in self._readers if r is not reader]

    def _reader_before(self, i: int) -> _Position:
        """Return the reader that is nearest before item `i`, or a new one."""
        error = self._own.error
        if error is not None and i >= error[0]:
            self._own.error = None
            raise error[1]
        reader = self._nearest(i)
        if reader is None:
            if self._once and (self._started or self._failure is not None):
                raise gone(i, self._cache_size, self._failure)
            self._again += i if self._started else 0
            if self._again > _FEW + _OFTEN * self._given and not self._advised:
                self._advised = True
                back = max((r.position for r in self._readers), default=i) - i
                self.advice = advice(self._again, self._given, back)
            reader = self._start()
        return reader

    def _nearest(self, i: int) -> _Position | None:
        """Return the reader that is nearest before item `i`; it counts as the last one used."""
        usable = [reader for reader in self._readers if not reader.busy]
        for reader in usable:
            self._settle(reader)  # an interrupt may have prevented it
        before = [reader for reader in usable if reader.position <= i]
        if not before:
            return None
        nearest = max(before, key=lambda reader: reader.position)
        # a single assignment, which no interrupt can divide
        self._readers = [*(reader for reader in usable if reader is not nearest), nearest]
        return nearest

    def _start(self) -> _Position:
        items = iter(self._iterable)
        reader = _Position(seeding.each_apart(self._stage, items) if seeding.used else items)
        others = self._n_parallel - 1
        self._readers = [*(self._readers[-others:] if others else ()), reader]
        self._started = True
        return reader
