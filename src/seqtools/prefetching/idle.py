"""The list of prefetches with workers, and a thread that ends idle workers.

One thread watches all prefetches while any of them may become idle. It sleeps until the first idle
timeout can have passed.
"""

import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Protocol

from seqtools._core.at_fork import renew_in_children
from seqtools.engines.dispatch.output_display import said
from seqtools.engines.resource_errors import start_thread
from seqtools.prefetching.interruptible_lock import TAKEN, InterruptibleLock

FOREVER = threading.TIMEOUT_MAX


class Owner(Protocol):
    """An object that has workers, or had some."""

    def rest(self) -> float | None:
        """End workers after the idle timeout; return the seconds until the next check.

        `None` means that no further check is needed.
        """

    def close(self) -> None:
        """End the workers."""


class IdleWatch(InterruptibleLock):
    """The owners of workers, and the thread that watches them."""

    def __init__(self) -> None:
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """See `seqtools._core.at_fork`: a child has no workers."""
        super().__init__()
        self._owners: weakref.WeakSet[Owner] = weakref.WeakSet()
        self._calls: SimpleQueue[None] = SimpleQueue()  # the garbage collector may call `put`
        self._thread: threading.Thread | None = None
        self._looked_at: Owner | None = None  # it is not among the owners during its check

    def __iter__(self) -> Iterator[Owner]:
        """Return an iterator over the owners with workers, and perhaps some whose workers ended."""
        owners: list[Owner] = []
        self._take_turn(self._list, owners)
        return iter(owners)

    def _list(self, owners: list[Owner]) -> None:
        owners.extend(self._owners)
        if self._looked_at is not None and self._looked_at not in self._owners:
            owners.append(self._looked_at)

    def _begin_with(self, owner: Owner) -> None:
        # an owner that starts workers from now on adds itself again
        self._owners.discard(owner)
        self._looked_at = owner

    def _end_with(self, owner: Owner, wait: float | None) -> None:
        if wait is not None:
            self._owners.add(owner)
        self._looked_at = None

    def add(self, owner: Owner, *, timed: bool) -> bool:
        """Note that `owner` has workers, and watch it if `timed`.

        Returns False if a signal handler called this in the middle of the same call: try again.

        Raises:
            WorkerStartError: If the thread cannot be started.
        """
        added: bool = self._take_turn(self._add, owner, timed) is not TAKEN
        self._calls.put(None)
        return added

    def _add(self, owner: Owner, timed: bool) -> None:  # noqa: FBT001 -- as it is called
        self._owners.add(owner)
        if timed and self._thread is None:
            thread = threading.Thread(target=self._run, name="seqtools-idle", daemon=True)
            start_thread(thread)
            self._thread = thread

    def look(self) -> None:
        """Check all owners now, because one of them has no workers any more."""
        self._calls.put(None)

    def _run(self) -> None:
        wait: float | None = 0.0
        while wait is not None:
            with suppress(Empty):
                self._calls.get(timeout=wait)
            wait = self._look()
        self._calls.put(None)  # a second thread, started by an interrupted call, ends too

    def _look(self) -> float | None:
        """Return the seconds until the next check; `None` if there is no owner to watch."""
        waits, owners = [], list(self)
        if self._thread is not threading.current_thread():
            return None  # the call that started it was interrupted before it stored the thread
        for owner in owners:
            self._take_turn(self._begin_with, owner)
            wait = _rested(owner)
            self._take_turn(self._end_with, owner, wait)
            if wait is not None:
                waits.append(wait)
        first = min(waits, default=FOREVER)
        ended: bool = self._take_turn(self._over, first)
        return None if ended else first

    def _over(self, first: float) -> bool:
        """Return whether there is no owner to watch."""
        if first != FOREVER or not self._calls.empty():
            return False
        self._thread = None
        return True


def _rested(owner: Owner) -> float | None:
    """Return what `rest` returns; have a reader raise a warning that filters make an error."""
    try:
        return owner.rest()
    except Warning as warning:
        said.append(partial(_throw, warning))
        return 0.0


def _throw(warning: Warning) -> None:
    raise warning


_watch = IdleWatch()


def watch() -> IdleWatch:
    """Return the watch of this process."""
    return _watch
