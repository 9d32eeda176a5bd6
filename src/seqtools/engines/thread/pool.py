"""The state that the threads of an engine share: waiting jobs, and the task of each thread.

Threads refer to the pool and not to the engine: while they are idle, they have no reference to
objects of the user. So an object that holds its own prefetch can be garbage-collected.

`lock` guards all fields of tasks. It is reentrant, because signal handlers in the main thread and
finalizers may acquire it while the same thread holds it. No thread waits while it holds it.
"""

import threading
import weakref
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from itertools import islice
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any

from seqtools._core.errors import Failure, ItemTimeout
from seqtools.engines.base import PAUSE, Deliver, Job, Part
from seqtools.engines.thread.slot import UserWork, WorkerSlot
from seqtools.engines.thread.stealing import StealableTask

GRAIN = 0.005
"""Seconds of work that are worth a task: as long as a thread keeps the interpreter's lock.
Measured: items that compute for 100 µs take 196 µs with 0.5 ms, 113 with 2 ms, 106 with this."""
STUCK = 4 * GRAIN
"""Seconds after which idle threads may take a part of a task."""
_SOON = 0.02
"""Seconds until the next check for long tasks, if jobs are waiting. Arbitrary."""
_REMEMBERED = 4096
"""Number of begun jobs whose keys are remembered. Arbitrary: as many as a window has."""

Key = tuple[int, int]
"""The id and the offset of a job: a job that is submitted again has the same key."""


class Pool:
    """Threads that take jobs from one queue: an idle thread takes the next."""

    def __init__(self, work: UserWork, nworkers: int) -> None:
        self.work = weakref.ref(work)  # the engine ends the pool when it is gone
        self.nworkers = nworkers
        self.closed = False
        self.end_hook: Callable[..., object] | None = None
        """What threads call at the end, known only then: idle threads keep no object of a user."""
        self.lock = threading.RLock()
        self.waiting: dict[Key, Job] = {}
        """Jobs that no thread has begun. Jobs that are only in the queues were cancelled."""
        self.urgent: deque[Job] = deque()
        self.queue: SimpleQueue[Job | None] = SimpleQueue()
        """Idle threads wait here; `None` wakes one of them to look for a task."""
        self.slots: dict[int, WorkerSlot] = {}
        self.abandoned: list[tuple[threading.Thread, int]] = []
        """Abandoned threads, and their items."""
        self._begun: dict[Key, None] = {}
        self._resting: list[None] = []  # one for each thread that waits
        self._watch: list[None] = [None]  # taken by the thread that waits to steal

    # Calls of the engine

    def put(self, job: Job) -> None:
        """Add `job`. Adding it again has no effect."""
        self.queue.put(self.waiting.setdefault((job.id, job.offset), job))

    def put_first(self, job: Job) -> None:
        """Add `job` before all waiting jobs."""
        self.urgent.append(self.waiting.setdefault((job.id, job.offset), job))
        self.queue.put(None)

    def cancel(self, ids: Collection[int]) -> None:
        """Begin no item of these jobs."""
        with self.lock:
            for key in [key for key in list(self.waiting) if key[0] in ids]:
                self.waiting.pop(key, None)
            for task in self.tasks():
                if task.job.id in ids:
                    task.cancel()

    def withdraw(self) -> list[Job]:
        """Return what nobody has begun, and forget it."""
        with self.lock:
            keys = [key for key in list(self.waiting) if key not in self._begun]  # or came twice
            return [self.waiting.pop(key) for key in keys]

    def tasks(self) -> list[StealableTask]:
        """Return the tasks in evaluation."""
        found = [slot.task for slot in list(self.slots.values())]
        return [task for task in found if task is not None]

    def look(self, deliver: Deliver) -> float:
        """Deliver finished items of running tasks, and return the seconds until the next check."""
        now, stuck = perf_counter(), False
        pause = _SOON if self.waiting else PAUSE  # a long task may begin
        for slot in list(self.slots.values()):
            task = slot.task
            if task is None:
                continue
            self._deliver_so_far(slot, task, now, deliver)
            if not task.left:
                continue  # the thread delivers the last item
            stuck = stuck or now - task.began >= STUCK
            # for items that turned slow: some looks for each of them
            pause = min(pause, max(STUCK, (now - task.since) / 8))
        if stuck:
            self._wake()
        return pause

    def end(self, end_hook: Callable[..., object] | None) -> None:
        """Have all threads call `end_hook` and end; nothing is delivered from now on."""
        self.end_hook = end_hook
        self.closed = True
        self.waiting.clear()
        self.urgent.clear()
        with self.lock:  # no thread is delivering now
            for task in self.tasks():
                task.cancel()
        for slot in list(self.slots.values()):
            self.queue.put(None)
            slot.bell.put(None)

    def take_over(self, old: WorkerSlot, entry: tuple[int, float], slot: WorkerSlot) -> bool:
        """Abandon the current item of the thread in `old`; `slot` continues with the rest.

        Return False if the item has just finished, or if another thread does the same.
        """
        work = self.work()
        if work is None:
            return False
        with self.lock:
            try:
                old.timed.remove(entry)
            except ValueError:
                return False
            task, old.task = old.task, None
            assert task is not None  # noqa: S101 -- says so to the type checker
            thread = old.threads[0]
            self.slots[slot.number] = slot
            self.abandoned.append((thread, entry[0]))
            rest = task.split(0)
            if rest is not None and not task.cancelled:
                slot.task = StealableTask(rest, perf_counter())
            if not self.closed:
                assert work.timeout is not None  # noqa: S101 -- as above
                error = _too_long(entry[0], work.timeout, thread.name)
                _deliver(task, Failure(error), work.deliver, perf_counter())
        return True

    # Calls of the threads

    def next(self, slot: WorkerSlot) -> StealableTask | None:
        """Return the next task, waiting for it; `None` at the end."""
        while not self.closed:
            if slot.number >= self.nworkers and slot.task is None:
                if self.waiting:
                    self.queue.put(None)  # this thread was woken instead of another
                slot.bell.get()
            elif slot.task is not None or self._found(slot):
                return slot.task
        return None

    def _found(self, slot: WorkerSlot) -> bool:
        """Look for a task, and wait if there is none; return whether `slot` has one."""
        job: Job | None = None
        if self.urgent:
            with suppress(IndexError):  # another thread was faster
                job = self.urgent.popleft()
        job = job or self._wait(slot)
        if job is None:
            return slot.task is not None
        if slot.number >= self.nworkers:
            self.urgent.appendleft(job)
            return False
        key = (job.id, job.offset)
        with self.lock:
            job = self.waiting.pop(key, None)
            if job is None or key in self._begun:  # it was withdrawn, or submitted twice
                return False
            self._remember(key)
            slot.task = StealableTask(job, perf_counter())
        return True

    def _remember(self, key: Key) -> None:
        begun = self._begun
        begun[key] = None
        if len(begun) > 2 * _REMEMBERED:
            for old in list(islice(begun, _REMEMBERED)):
                del begun[old]

    def _wait(self, slot: WorkerSlot) -> Job | None:
        """Return the next job of the queue; `None` to look for a task again."""
        try:
            return self.queue.get_nowait()
        except Empty:
            pass
        watches = True
        try:
            self._watch.pop()
        except IndexError:  # one is enough
            watches = False
        pause = self._steal(slot) if watches else None
        self._resting.append(None)
        try:
            return None if slot.task is not None else self.queue.get(timeout=pause)
        except Empty:
            return None
        finally:
            self._resting.pop()
            if watches:
                self._watch.append(None)

    def _wake(self) -> None:
        """Wake an idle thread to look for a task."""
        if self._resting and self.queue.empty():
            self.queue.put(None)

    def _steal(self, slot: WorkerSlot) -> float | None:
        """Take half of the remaining items of a long task, for `slot`.

        Return the seconds until the next attempt, `None` if no task has items to take.
        """
        with self.lock:
            now, pause, most = perf_counter(), None, 0
            for task in self.tasks():
                wait = task.began + STUCK - now
                if not task.left or task.cancelled:
                    continue
                if wait > 0:
                    pause = wait if pause is None else min(wait, pause)
                elif task.left > most:
                    most, slowest = task.left, task
            if most:
                job = slowest.split(most // 2)
                if job is not None:
                    slot.task = StealableTask(job, now)
                pause = 0.0
        if slot.task is not None:
            self._wake()  # another thread may take items too
        return pause

    def deliver(self, slot: WorkerSlot, task: StealableTask, failed: Any, deliver: Deliver) -> bool:
        """Deliver the items finished since the last call; return whether the task continues."""
        with self.lock:
            if self.closed:
                slot.task = None
                return False
            goes_on = failed is not None and task.done + 1 < task.size and not task.cancelled
            if not goes_on:
                slot.task = None  # before it is delivered, because the reader may call `busy`
            _deliver(task, failed, deliver, perf_counter())
        return goes_on

    def _deliver_so_far(
        self, slot: WorkerSlot, task: StealableTask, now: float, deliver: Deliver
    ) -> None:
        """Deliver the finished items of a running task."""
        with self.lock:
            if slot.task is task and not self.closed:
                first = task.delivered
                # If this is interrupted, the items are delivered again, and ignored.
                _deliver_values(task, deliver, now)
                task.outcomes[first : task.delivered] = [None] * (task.delivered - first)


def _deliver(task: StealableTask, failed: Any, deliver: Deliver, now: float) -> None:
    """Deliver the values of a task, and then the outcome `failed`, if it is not `None`."""
    _deliver_values(task, deliver, now)
    done = task.done
    if failed is not None:
        deliver(Part(task.job.id, task.job.offset + done, [failed], failed=True))
        done += 1
    task.base, task.outcomes, task.delivered, task.since = done, [], 0, now


def _deliver_values(task: StealableTask, deliver: Deliver, now: float) -> None:
    first, n = task.delivered, len(task.outcomes)
    if first < n:
        now = max(now, task.since)  # that of a look may be from before the task began
        offset = task.job.offset + task.base + first
        deliver(Part(task.job.id, offset, task.outcomes[first:n], now - task.since))
        task.delivered, task.since = n, now


def _too_long(i: int, timeout: float, name: str) -> ItemTimeout:
    return ItemTimeout(
        f"item {i} took longer than timeout={timeout:g} seconds in thread {name}, "
        "which cannot be stopped and was replaced"
    )
