"""Items evaluated by threads of this process."""

import contextvars
import threading
import warnings
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any

from seqtools._core.errors import WorkerStartError
from seqtools.engines.base import PAUSE, Deliver, GroupOf, Job
from seqtools.engines.resource_errors import start_thread
from seqtools.engines.thread.pool import GRAIN, Pool
from seqtools.engines.thread.slot import UserWork, WorkerSlot
from seqtools.engines.thread.worker import attend

_PATIENCE = 0.5
"""Seconds to wait for threads that evaluate an item, before they are abandoned."""
_MORE_PATIENCE = 0.4
"""Seconds more for threads that are in the end hook: all ends within a second."""


class ThreadEngine:
    """Threads that take jobs from one queue: an idle thread takes the next job.

    If there is none, it takes half of the remaining items of a job that takes long.

    Args:
        get: Evaluates an item.
        nworkers: The number of threads. They start when a job is submitted.
        start_hook: Called first in each thread, with its number if it has a required parameter.
        hints: Called with the indices that are going to be evaluated.
        timeout: Seconds that an item may take.
        probe: Called instead of `get`, with `get` and the index.
        end_hook: Called last in each thread, in the same way.
        deliver: Receives the parts.
        close: Whether threads should evaluate items close to each other, because they share
            something that advances, such as an iterator. Then jobs have one item.
    """

    group_of: GroupOf | None = None
    """`None`: all threads share their memory, so it does not matter which one evaluates an item."""
    news = False

    def __init__(  # noqa: PLR0913, PLR0917 -- what a worker needs
        self,
        get: Callable[[int], Any],
        nworkers: int,
        start_hook: Callable[..., object] | None = None,
        hints: Any = None,
        timeout: float | None = None,
        probe: Callable[[Callable[[int], Any], int], Any] | None = None,
        *,
        end_hook: Callable[..., object] | None = None,
        deliver: Deliver,
        close: bool = False,
    ) -> None:
        self.grain = 0.0 if close else GRAIN
        self.work = UserWork(get, start_hook, hints, timeout, probe, deliver, end_hook)
        """A new `probe` of it applies to items that begin after it was set."""
        self._pool = Pool(self.work, nworkers)
        self._starting = False  # a call is starting threads, or was interrupted while it did

    def __del__(self) -> None:
        """Let the threads of an engine end that was not closed."""
        with suppress(AttributeError):  # `__init__` did not get that far
            self._pool.end(self.work.end_hook)

    @property
    def nworkers(self) -> int:
        """The number of threads, including those that have not started."""
        return self._pool.nworkers

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job] = ()) -> None:
        """Accept jobs; evaluate `urgent` ones before all waiting jobs."""
        pool = self._pool
        if pool.closed:
            return
        for job in urgent:
            pool.put_first(job)
        for job in ahead:
            pool.put(job)
        # Last, because the owner of this engine can close it from now on.
        self._start_missing_or_report()

    def cancel(self, ids: Collection[int]) -> None:
        """Do not begin items of these jobs that no thread has begun."""
        self._pool.cancel(set(ids))

    def withdraw(self) -> list[Job]:
        """Return all that no thread has begun, which is not going to be delivered.

        No interrupt may come in between: a thread that is not the main one has to call this.
        """
        return self._pool.withdraw()

    def resize(self, nworkers: int) -> None:
        """Have so many threads take jobs from now on; others rest once they end theirs.

        Raises:
            WorkerStartError: If there can be no more threads; then it has those that there are.
        """
        pool = self._pool
        pool.nworkers = nworkers
        for number, slot in list(pool.slots.items()):
            if number < nworkers:
                slot.bell.put(None)
        if pool.waiting:
            try:
                self._start_missing()
            except WorkerStartError:
                pool.nworkers = max(1, sum([not slot.free for slot in list(pool.slots.values())]))
                raise

    def look(self) -> float:
        """Deliver finished items of long jobs, and abandon items that timed out."""
        pool, work = self._pool, self.work
        if pool.closed:
            return PAUSE
        if pool.waiting or pool.tasks():
            self._start_missing_or_report()
        pause = pool.look(work.deliver)
        return pause if work.timeout is None else self._expire(pause, work.timeout)

    def waited(self, seconds: float) -> None:
        """Do nothing: the number of workers does not depend on it."""

    def tell(self) -> None:
        """Do nothing: there are no warnings."""

    def close(self, *, wait: bool = True) -> None:
        """Stop all work; with `wait`, give threads a moment to finish their item."""
        pool, end_hook = self._pool, self.work.end_hook
        pool.end(end_hook)
        if self.work.hints is not None:
            self.work.hints.end()
        # at the end of the program, nothing else waits for daemons
        if not wait and (end_hook is None or threading.main_thread().is_alive()):
            return
        busy = [(thread, f"evaluating item {i}") for thread, i in pool.abandoned]
        busy += self._join()
        pool.abandoned.clear()
        names: dict[str, list[str]] = {}
        for thread, what in busy:
            if thread.is_alive():
                names.setdefault(what, []).append(thread.name)
        for what, each in names.items():
            s, are, were = ("s", "are", "they were") if each[1:] else ("", "is", "it was")
            message = (
                f"thread{s} {', '.join(each)} {are} still {what} and cannot be stopped: "
                f"{were} abandoned"
            )
            warnings.warn(message, RuntimeWarning, stacklevel=2)

    def _join(self) -> list[tuple[threading.Thread, str]]:
        """Wait a moment for all threads; return those that still do something, and what.

        Each is returned once: another call leaves it out.
        """
        deadline, own = perf_counter() + _PATIENCE, threading.get_ident()
        busy = []
        for slot in list(self._pool.slots.values()):
            for thread in slot.threads:
                if thread.ident in {None, own}:  # it did not start, or is this thread
                    continue
                thread.join(max(0.0, deadline - perf_counter()))
                if slot.ending:
                    thread.join(max(0.0, deadline + _MORE_PATIENCE - perf_counter()))
                task = slot.task
                if not thread.is_alive():
                    continue
                if slot.ending:
                    busy.append((thread, slot.ending))
                elif task is not None:
                    busy.append((thread, f"evaluating item {task.item}"))
                slot.threads = [each for each in slot.threads if each is not thread]
        return busy

    @property
    def idle(self) -> bool:
        """Whether all submitted items that were not cancelled are delivered."""
        pool = self._pool
        with pool.lock:
            return not (pool.waiting or pool.tasks())

    def busy(self) -> int:
        """Return the number of threads that evaluate a job; abandoned threads do not count."""
        return len(self._pool.tasks())

    def native_ids(self) -> list[int | None]:
        """Return the ids of the threads, as the system knows them."""
        slots = list(self._pool.slots.values())
        return [thread.native_id for slot in slots for thread in slot.threads]

    # Threads

    def _start_missing_or_report(self) -> None:
        try:
            self._start_missing()
        except WorkerStartError as error:
            self.work.deliver(error)

    def _start_missing(self) -> None:
        slots, nworkers = self._pool.slots, self._pool.nworkers
        if len(slots) >= nworkers and not self._starting:
            return
        self._starting = True
        for number in range(nworkers):
            slot = slots.setdefault(number, WorkerSlot(number))
            if slot.free:  # if two threads start one for this slot, one of them ends at once
                self._start(slot)
        self._starting = False

    def _start(
        self, slot: WorkerSlot, instead: tuple[WorkerSlot, tuple[int, float]] | None = None
    ) -> None:
        thread = threading.Thread(
            target=contextvars.copy_context().run,
            args=(attend, self._pool, slot, instead),
            name=f"seqtools-{slot.number}",
            daemon=True,
        )
        slot.threads.append(thread)
        start_thread(thread)

    def _expire(self, pause: float, timeout: float) -> float:
        """Abandon items that timed out; return the seconds until the next check."""
        pause = min(pause, timeout)
        for old in list(self._pool.slots.values()):
            for entry in old.timed[:1]:
                left = entry[1] + timeout - perf_counter()
                if left > 0:
                    pause = min(pause, left)
                    continue
                slot = WorkerSlot(old.number)
                try:
                    # the new thread does the rest, so that no interrupt can come in between
                    self._start(slot, (old, entry))
                except WorkerStartError:  # the next `look` delivers the error, if it happens again
                    self._pool.take_over(old, entry, slot)
                    self._starting = True
        return pause
