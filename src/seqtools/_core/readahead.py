"""Reads items in background threads before their readers need them."""

import contextvars
import threading
import weakref
from collections.abc import Hashable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from seqtools._core.at_fork import renew_in_children

_MOST_FAILURES = 3
"""Consecutive failures after which a thread ends. Arbitrary."""

PAUSE = 0.5
"""Longest wait without a break, in seconds: see `seqtools.engines.base.PAUSE`."""


_excluded: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
"""Stages, by identity, of which nothing is read ahead."""


def exclude(stage: Any) -> None:
    """Read nothing ahead of `stage` in this process from now on."""
    _excluded[id(stage)] = stage


class Wanted:
    """The indices that an owner is going to read, and its position among them."""

    __slots__ = ("_at", "_indices")

    def __init__(self, indices: Sequence[int]) -> None:
        self._indices = indices
        self._at = 0

    def first(self, n: int) -> Sequence[int]:
        """Return the next `n` indices."""
        part = self._indices[self._at : self._at + n]
        return part if isinstance(part, range) else [int(i) for i in part]

    def reached(self, i: int, within: int) -> bool:
        """Skip the indices before `i`, which is being read; return whether there were any."""
        for k, j in enumerate(islice(self.first(within), within)):
            if j == i:
                self._at += k
                return k > 0
        return False


class ReadAheadThread:
    """A thread that reads the items that one owner wants of one cache, while there is room.

    It refers weakly to the stage, and ends with the stage or with the owner. An error of a read is
    dropped, because the reader of the item gets it.
    """

    def __init__(self, stage: Any) -> None:
        self._stage = weakref.ref(stage, self._gone)
        self._changed = threading.Condition()
        self._ended = False
        self._failed: set[int] = set()  # since the last hint
        self._failures = 0  # in a row
        # for example the context of `decimal` that a start hook has set for its thread
        run = contextvars.copy_context().run
        thread = threading.Thread(
            target=run, args=(self._run,), name="seqtools-reader", daemon=True
        )
        thread.start()

    def begin(self) -> None:
        """Begin with a new hint."""
        self._failed.clear()
        self.wake()

    def wake(self) -> None:
        """Search again for an item to read."""
        with self._changed:
            self._changed.notify_all()

    def end(self) -> None:
        """End the thread after its current read."""
        self._ended = True
        self.wake()

    def _gone(self, _: object) -> None:
        self._ended = True
        # The garbage collector may call this in a thread that holds the lock. Then the reading
        # thread ends after its next wait.
        if self._changed.acquire(blocking=False):
            try:
                self._changed.notify_all()
            finally:
                self._changed.release()

    def _run(self) -> None:
        while not self._ended and self._failures < _MOST_FAILURES:
            stage: Any = self._stage()
            i = None if stage is None else stage._next_ahead(self._failed)  # noqa: SLF001 -- a cache
            if i is None:
                del stage
                with self._changed:
                    if not self._ended:
                        self._changed.wait(PAUSE)
                continue
            try:
                stage._read_alone(i)  # noqa: SLF001
            except BaseException:  # noqa: BLE001 -- the reader of the item gets the error
                self._failures += 1
                self._failed.add(i)
            else:
                self._failures = 0
            del stage


class ReadAhead:
    """The indices that owners want of a stage, and the threads that read them."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """See `at_fork`: a child has no threads, and owners repeat their hints."""
        # The garbage collector may end an owner here, which needs the lock in the same thread.
        self._lock = threading.RLock()
        self._wanted: dict[Hashable, Wanted] = {}
        self._readers: dict[Hashable, ReadAheadThread] = {}

    def __bool__(self) -> bool:
        """Return whether anything is wanted."""
        return bool(self._wanted)

    def want(self, owner: Hashable, indices: Sequence[int], stage: Any) -> None:
        """Replace the indices that `owner` wants; without indices, end its thread."""
        if not self.room or _excluded.get(id(stage)) is stage:
            return
        with self._lock:
            reader = self._readers.get(owner)
            if not len(indices):
                self._wanted.pop(owner, None)
                self._readers.pop(owner, None)
            else:
                self._wanted[owner] = Wanted(indices)
                if reader is None:
                    with suppress(RuntimeError):  # if no thread can start, nothing is read ahead
                        self._readers[owner] = ReadAheadThread(stage)
        if reader is not None:
            reader.begin() if len(indices) else reader.end()

    def soon(self) -> list[int]:
        """Return the indices for which there is room, in the order in which they are needed."""
        with self._lock:
            wanted = list(self._wanted.values())
        share = max(1, self.room // max(1, len(wanted)))
        columns = [each.first(share) for each in wanted]
        return list(dict.fromkeys(i for column in columns for i in column))

    def reached(self, i: int) -> None:
        """Note that `i` is being read, and wake threads for which this makes room."""
        with self._lock:
            moved = [each.reached(i, self.room) for each in list(self._wanted.values())]
            readers = list(self._readers.values()) if any(moved) else []
        for reader in readers:
            reader.wake()
