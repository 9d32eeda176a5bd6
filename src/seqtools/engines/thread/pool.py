"""What the threads of an engine share: jobs that wait, and who evaluates what.

The threads know this, and not the engine: while they rest, they have no reference to what the
user has given. So an object that owns its own prefetch can be collected as garbage.

`lock` guards all that is said here of tasks. It is reentrant, because it is also taken in the main
thread, where a signal handler may come in between and look as well, and by finalizers. Nobody
waits while holding it.
"""

import threading
import weakref
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from itertools import islice, repeat
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any

from seqtools._core.errors import Failure, ItemTimeout
from seqtools.engines.base import PAUSE, Deliver, Job, Part
from seqtools.engines.thread.stealing import StealableTask

GRAIN = 0.005
"""Seconds of work that are worth a task: as long as a thread keeps the lock of the interpreter.
Measured: items that compute for 100 µs take 196 µs with 0.5 ms, 113 with 2 ms, 106 with this."""
STUCK = 4 * GRAIN
"""Seconds after which what is left of a task is shared with idle threads."""
_SOON = 0.02
"""Seconds after which to look for tasks that take long, if some are to begin. Arbitrary."""
_REMEMBERED = 4096
"""Jobs that are known by name after they were begun. Arbitrary: as many as a window has."""

Key = tuple[int, int]
"""The number of a job, and the offset: what is submitted again is the same job."""


class UserWork:
    """What the user wants to be done."""

    def __init__(  # noqa: PLR0913, PLR0917 -- what a worker needs
        self,
        get: Callable[[int], Any],
        hook: Callable[..., object] | None,
        hints: Any,
        timeout: float | None,
        probe: Callable[[Callable[[int], Any], int], Any] | None,
        deliver: Deliver,
    ) -> None:
        self.get, self.hook, self.hints = get, hook, hints
        self.timeout, self.probe, self.deliver = timeout, probe, deliver


class WorkerSlot:
    """The place of a worker: one thread works there."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.free = [None]  # removed by the thread that takes it, if several are started
        self.threads: list[threading.Thread] = []  # that are to take it
        self.task: StealableTask | None = None
        # With a timeout: the item that is evaluated, and when it began. Whoever removes it answers.
        self.timed: list[tuple[int, float]] = []
        self.bell: SimpleQueue[None] = SimpleQueue()  # for a thread that is one too many

    def answers(self) -> bool:
        """Return whether the thread is to answer; if not, it took too long, and another does."""
        try:
            self.timed.pop()
        except IndexError:
            return False
        return True


class Pool:
    """Threads that take jobs from one queue: an idle thread takes the next."""

    def __init__(self, work: UserWork, nworkers: int) -> None:
        # without an engine, nobody has a use for threads
        self.work = weakref.ref(work, lambda _: self.end())
        self.nworkers = nworkers
        self.closed = False
        self.lock = threading.RLock()
        self.waiting: dict[Key, Job] = {}
        """What nobody has begun. What is in the queues only is not wanted any more."""
        self.urgent: deque[Job] = deque()
        self.queue: SimpleQueue[Job | None] = SimpleQueue()
        """In which idle threads wait; `None` has one of them look around."""
        self.slots: dict[int, WorkerSlot] = {}
        self.abandoned: list[tuple[threading.Thread, int]] = []
        """Threads that were given up, and the items they are at."""
        self._begun: dict[Key, None] = {}
        self._resting: list[None] = []  # one for each thread that waits
        self._watch: list[None] = [None]  # taken by the one that waits for something to steal

    # What an engine does

    def put(self, job: Job) -> None:
        """Take on `job`. To do so again has no effect."""
        self.queue.put(self.waiting.setdefault((job.id, job.offset), job))

    def put_first(self, job: Job) -> None:
        """Take on `job` before all that wait."""
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

    def withdraw_to(self, taken: list[Job | None]) -> None:
        """Move what nobody has begun to the end of `taken`."""
        with self.lock:
            waiting, begun = self.waiting, self._begun
            keys = [key for key in list(waiting) if key not in begun]  # others came twice
            taken.extend(map(waiting.pop, keys, repeat(None)))  # one step to an interrupt

    def tasks(self) -> list[StealableTask]:
        """Return what is being evaluated."""
        found = [slot.task for slot in list(self.slots.values())]
        return [task for task in found if task is not None]

    def look(self, deliver: Deliver) -> float:
        """Deliver what there is of tasks that go on, and return when to look again."""
        now, stuck = perf_counter(), False
        pause = _SOON if self.waiting else PAUSE  # a task may begin that takes long
        for slot in list(self.slots.values()):
            task = slot.task
            if task is None:
                continue
            self._tell_so_far(slot, task, now, deliver)
            if not task.left:
                continue  # the last item comes by itself
            stuck = stuck or now - task.began >= STUCK
            # for items that turned slow: some looks for each of them
            pause = min(pause, max(STUCK, (now - task.since) / 8))
        if stuck:
            self._wake()
        return pause

    def end(self) -> None:
        """Have all threads end; nothing is delivered from now on."""
        self.closed = True
        self.waiting.clear()
        self.urgent.clear()
        with self.lock:  # nobody delivers something just now
            for task in self.tasks():
                task.cancel()
        for slot in list(self.slots.values()):
            self.queue.put(None)
            slot.bell.put(None)

    def take_over(self, old: WorkerSlot, entry: tuple[int, float], slot: WorkerSlot) -> bool:
        """Give up the item that the thread at `old` is at, and have `slot` go on with the rest.

        Return False if the item has come to its end just now, or if somebody else does this.
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

    # What threads do

    def next(self, slot: WorkerSlot) -> StealableTask | None:
        """Return what to do next, waiting for it; `None` at the end."""
        while not self.closed:
            if slot.number >= self.nworkers and slot.task is None:
                if self.waiting:
                    self.queue.put(None)  # this thread was woken in place of another
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
            if job is None or key in self._begun:  # it was withdrawn; or submitted twice
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
        """Return what comes next in the queue; `None` to look around again."""
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
        """Have an idle thread look around."""
        if self._resting and self.queue.empty():
            self.queue.put(None)

    def _steal(self, slot: WorkerSlot) -> float | None:
        """Take half of what is left of a task that takes long, for `slot`.

        Return after how many seconds to try again, `None` if nobody has anything to take.
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
            self._wake()  # there may be something for another one
        return pause

    def tell(self, slot: WorkerSlot, task: StealableTask, failed: Any, deliver: Deliver) -> bool:
        """Deliver what was evaluated since the last time; return whether the task goes on."""
        with self.lock:
            if self.closed:
                slot.task = None
                return False
            goes_on = failed is not None and task.done + 1 < task.size and not task.cancelled
            if not goes_on:
                slot.task = None  # before it is delivered: the reader may count who is busy
            _deliver(task, failed, deliver, perf_counter())
        return goes_on

    def _tell_so_far(
        self, slot: WorkerSlot, task: StealableTask, now: float, deliver: Deliver
    ) -> None:
        """Deliver what there is of a task by now."""
        with self.lock:
            outcomes, told = task.outcomes, task.told
            n = len(outcomes)
            if n <= told or slot.task is not task or self.closed:
                return
            offset = task.job.offset + task.base + told
            # If this is interrupted, these are delivered again with the others, and ignored.
            deliver(Part(task.job.id, offset, outcomes[told:n], now - task.since))
            task.told = n
            task.since = now
            outcomes[told:n] = [None] * (n - told)


def _deliver(task: StealableTask, failed: Any, deliver: Deliver, now: float) -> None:
    """Deliver what a task has, and then what has `failed`, if that is not `None`."""
    job, told, outcomes = task.job, task.told, task.outcomes
    offset, done = job.offset + task.base, task.done
    if told < len(outcomes):
        values = outcomes[told:] if told else outcomes
        deliver(Part(job.id, offset + told, values, now - task.since))
    if failed is not None:
        deliver(Part(job.id, job.offset + done, [failed], failed=True))
        done += 1
    task.base, task.outcomes, task.told, task.since = done, [], 0, now


def _too_long(i: int, timeout: float, name: str) -> ItemTimeout:
    return ItemTimeout(
        f"item {i} took longer than timeout={timeout:g} seconds in thread {name}, "
        "which cannot be stopped and was replaced"
    )
