"""Items of an iterable by index, for threads that ask for what is near each other.

One thread at a time advances an iterator. Threads that read ahead together do not ask in order:
the one that is given batch 1 may come before the one that is given batch 0. So

- a thread claims what it is going to read, and is given all of it in one turn: its block;
- what was passed over on the way is there for the others, until one of them asks for it.

An item is given once; to ask for it again is to start an iterator anew. Besides the block of each
thread and what the user wants kept, there is room for each other thread of the program for as much
as one of them claimed at once: each of them is at one item of its own. No thread waits for another
one to come.

Every item comes with its index from the iterator, by one call, so that an interrupt can lose an
item, but never have one given for another.
"""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from seqtools._core import seeding
from seqtools._core.at_fork import renew_in_children
from seqtools._core.errors import EndOfSequence
from seqtools._core.indices import Indices, runs

_FEWEST = 16
"""Items that a thread may be about to ask for where none are claimed. Arbitrary."""
_SPREAD = 4
"""So many times as many items as a thread claims there is room for, if these are not in a row."""
_OFTEN, _FEW = 4, 1000
"""Items are made again too often from here on: so many for each that is given, and a few more
that nobody notices. Arbitrary: to read all of them in several epochs is one for each."""
_MISSING: Any = object()
_END = -1, None


class _Position:
    """An iterator, and the index of the item that it gives next."""

    __slots__ = ("busy", "inbox", "items", "position")

    def __init__(self, items: Iterator[Any]) -> None:
        self.items = enumerate(items)
        self.position = 0
        self.inbox: dict[int, Any] = {}  # what it gave just now
        self.busy = False  # in the midst of giving an item, or interrupted there: not to be used


class _Own(threading.local):
    """What a thread has claimed and not read, and the error with which that ended."""

    def __init__(self) -> None:
        self.block: dict[int, Any] = {}
        self.error: tuple[int, Exception] | None = None


class Stream:
    """An iterable, how far iterators over it have come, and what they passed over."""

    __slots__ = (
        "__weakref__", "_again", "_back", "_cache_size", "_claimed", "_end", "_failure",
        "_furthest", "_given", "_iterable", "_kept", "_n_parallel", "_once", "_own", "_passed",
        "_reach", "_readers", "_shared", "_stage", "_started", "_told", "advice", "lock",
    )  # fmt: skip

    def __init__(
        self, iterable: Iterable[Any], cache_size: int, n_parallel: int, stage: Any
    ) -> None:
        self._iterable, self._cache_size = iterable, cache_size
        self._n_parallel = n_parallel
        self._stage = weakref.ref(stage)  # whose random numbers those of its items are
        self._once = isinstance(iterable, Iterator)
        self._end: int | None = None
        self._reach = _FEWEST
        self._given = self._again = self._furthest = self._back = 0
        self._told = False
        self.advice = ""
        """What to tell the user, once."""
        self._begin()
        renew_in_children(self)

    def _begin(self) -> None:
        # Held while an iterator advances: no iterator can be advanced by two threads.
        self.lock = threading.RLock()
        self._readers: list[_Position] = []  # the one used last at the end
        self._started = False
        self._failure: tuple[int, BaseException | None] | None = None
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._passed: OrderedDict[int, Any] = OrderedDict()
        self._claimed = False
        self._shared = False  # whether a thread other than the main one reads
        self._own = _Own()

    def renew(self) -> None:
        """See `at_fork`: an iterator may read a file, whose place is that of the parent."""
        self._begin()
        if self._once:
            self._failure = 0, None

    def get(self, i: int) -> Any:
        """Return item `i`.

        Raises:
            EndOfSequence: If there are no more than `i` items.
            RuntimeError: If an iterator would have to be started anew, and cannot be.
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
        """Have this thread alone be given `indices`, which ascend, as far as they still come.

        Nothing is started anew for that. An error is for who reads the item.
        """
        with self.lock:
            own = self._own
            if not indices or all(j in own.block for j in indices):
                return
            self._claimed = True
            self._passed.update(own.block)  # what it did not read is anybody's
            own.block, own.error = {}, None
            spread = indices[-1] + 1 - indices[0]
            self._reach = max(self._reach, min(spread, _SPREAD * len(indices)))
            try:
                for run in runs(indices):
                    self._take(run, own.block)
            except EndOfSequence:
                pass
            except Exception as error:  # noqa: BLE001 -- an iterator may raise anything
                own.error = self._failure[0] if self._failure else 0, error

    def _take(self, run: range, block: dict[int, Any]) -> None:
        """Move the items of a run to `block`: those passed over, and those that still come."""
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

    # Items that are there

    def _at_hand(self, i: int) -> Any:
        """Return item `i` if it is there, and what is there for this thread alone first."""
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
        """Keep `items` as those used last."""
        kept = self._kept
        for i, value in items.items():
            kept[i] = value
            kept.move_to_end(i)
        while len(kept) > self._cache_size:
            kept.popitem(last=False)

    def _room(self) -> int:
        """Return how many items there is room for that were passed over.

        None as long as the main thread is the only one that reads, which has errors of a program
        without threads not depend on what threads there are besides.
        """
        if not self._shared:
            self._shared = threading.current_thread() is not threading.main_thread()
        return self._reach * (threading.active_count() - 1) if self._shared else 0

    def _trim(self, needed: int) -> None:
        """Drop what was passed over long ago, but for so many that are `needed`."""
        if self._passed:
            room = max(needed, self._room())
            while len(self._passed) > room:
                self._passed.popitem(last=False)

    # Iterators

    def _read(self, i: int) -> Any:
        """Return item `i`, which is not there."""
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
        """Return item `i`, which is what `reader` gives next."""
        reader.busy = True
        try:
            k, value = next(reader.items, _END)
        except BaseException as error:
            self._fail(reader, error)
            raise
        reader.busy = False
        if k == i:
            reader.position = k + 1
            self._note(k, k + 1)
            return value
        if k < 0:
            self._end = reader.position
            raise EndOfSequence
        # An interrupt came before it was noted that the item was given.
        self._drop(reader)
        value = self._at_hand(i)
        return self._read(i) if value is _MISSING else value

    def _pass_over(self, reader: _Position, stop: int, needed: int) -> None:
        """Advance `reader` to item `stop`, and have so many before that there, if `needed`.

        Raises:
            EndOfSequence: If there are not so many.
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
        """Take what `reader` gave as passed over, and note where it stands."""
        if inbox := reader.inbox:
            self._passed.update(inbox)
            if self._cache_size:
                self._keep(inbox)
            began, reader.position = reader.position, next(reversed(inbox)) + 1
            self._note(began, reader.position)
            reader.inbox = {}

    def _note(self, began: int, ended: int) -> None:
        """Note that items were made, perhaps again."""
        if ended > self._furthest:
            self._again += max(0, self._furthest - began)
            self._furthest = ended
        else:
            self._again += ended - began

    def _fail(self, reader: _Position, error: BaseException) -> None:
        # What an iterator does after an error is its own secret: use it no more. A
        # generator ends, even after an interrupt, as if there were no more items.
        self._drop(reader)
        self._settle(reader)
        self._failure = reader.position, error

    def _drop(self, reader: _Position) -> None:
        self._readers = [r for r in self._readers if r is not reader]

    def _reader_before(self, i: int) -> _Position:
        """Return the reader that is nearest before item `i`, or one that starts anew."""
        error = self._own.error
        if error is not None and i >= error[0]:
            self._own.error = None
            raise error[1]
        reader = self._nearest(i)
        if reader is None:
            if self._once and (self._started or self._failure is not None):
                raise self._gone(i)
            self._back = max(self._back, self._furthest - i)
            if self._again > _FEW + _OFTEN * self._given and not self._told:
                self._told, self.advice = True, self._advise()
            reader = self._start()
        return reader

    def _nearest(self, i: int) -> _Position | None:
        """Return the reader that is nearest before item `i`, noted as the one used last."""
        usable = [reader for reader in self._readers if not reader.busy]
        for reader in usable:
            self._settle(reader)  # in case that this was interrupted
        before = [reader for reader in usable if reader.position <= i]
        if not before:
            return None
        nearest = max(before, key=lambda reader: reader.position)
        # by one assignment: an interrupt finds one list or the other
        self._readers = [*(reader for reader in usable if reader is not nearest), nearest]
        return nearest

    def _start(self) -> _Position:
        items = iter(self._iterable)
        reader = _Position(seeding.each_apart(self._stage, items) if seeding.used else items)
        others = self._n_parallel - 1
        self._readers = [*(self._readers[-others:] if others else ()), reader]
        self._started = True
        return reader

    # Words

    def _advise(self) -> str:
        return (
            f"evaluated {self._again:,} items again to return {self._given:,}, because its "
            "iterator had passed these: read items in order, or give uniter() a cache_size of up "
            f"to {self._back:,}, an n_parallel as large as the number of positions that are read "
            "side by side, or list(iterable)"
        )

    def _gone(self, i: int) -> Exception:
        if self._failure is None:
            message = (
                f"the iterator is past item {i} and cannot start again: give uniter() a "
                f"larger cache_size than {self._cache_size}, or an iterable that is not an iterator"
            )
            return RuntimeError(message)
        k, error = self._failure
        if error is None:
            message = (
                "an iterator cannot be read in a forked process, because it may share a file with "
                "its parent process: give uniter() an iterable that is not an iterator"
            )
            return RuntimeError(message)
        failed = RuntimeError(f"the iterator failed at item {k} and cannot start again")
        failed.__cause__ = error
        return failed
