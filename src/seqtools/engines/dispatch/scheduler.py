"""Decides which worker gets which tasks, and which item is to blame when a worker dies.

A state machine without processes, clocks and locks: `Workers` sends the assigned tasks, and reports
what happened to them. Tasks are not cut again, because the window has cut jobs to a few
milliseconds of work. Workers get tasks in this order:

1. Items that may have killed a worker, one by one, each sent to a worker without other tasks. No
   other task is sent before these, so that workers become free for them.
2. Urgent jobs.
3. Tasks that were requeued from a worker.
4. Tasks that are reserved for the worker, if workers act on hints.
5. Waiting tasks, in the order of `affinity`.
6. Tasks that are reserved for another worker, if this one is idle.
"""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, islice
from typing import TypeVar

from seqtools.engines.base import AHEAD, Job
from seqtools.engines.dispatch.affinity import Task, TaskQueue, WorkerQueue, drop, tasks_of
from seqtools.engines.wire.task_messages import LONGEST_LIST

__all__ = ["Scheduler", "Task", "WorkerQueue"]

_ASSIGNED_SECONDS = 0.02
"""Seconds of work sent to a worker ahead of time: enough while the operator waits for the
interpreter's lock a few times, 5 ms each. Arbitrary."""
_MOST_ASSIGNED = 16
"""Most tasks sent to a worker ahead of time: as many as fit in the smallest pipe."""

H = TypeVar("H", bound=WorkerQueue)


class Scheduler:
    """Distributes tasks to workers.

    Every item of a job that was not cancelled is answered, timed out, or named as a culprit once.
    Until then it is in exactly one task, which waits or was sent to a worker.

    Args:
        grain: Seconds of work that are worth a message.
        hinted: Whether workers act on hints about their next tasks. Then tasks are reserved for
            each worker: if all workers got the same hints, most would load items in vain.
        most: Most tasks sent to a worker ahead of time.
        longest: Most indices of a task, unless they are a range.
    """

    def __init__(
        self,
        grain: float,
        *,
        hinted: bool = False,
        most: int = _MOST_ASSIGNED,
        longest: int = LONGEST_LIST,
    ) -> None:
        self._grain = grain
        self._hinted = hinted
        self._most, self._longest = most, longest
        self.ahead = True
        """Whether a worker that has a task gets another one, to go on with."""
        self._suspects: deque[Task] = deque()
        self._urgent: deque[Task] = deque()
        self._again: deque[Task] = deque()  # requeued
        self._waiting = TaskQueue(hinted=hinted)
        self._left = 0  # tasks that wait, except suspects
        self._died_once: set[tuple[int, int]] = set()  # job and offset of items, see `died`
        # Seconds of an item: a moving average, which assumes slow items before one is known.
        self._seconds = _ASSIGNED_SECONDS
        self._last_number = 0

    def __bool__(self) -> bool:
        """Return whether tasks wait."""
        return bool(self._left or self._suspects)

    @property
    def suspects(self) -> int:
        """The number of waiting items that may kill a worker."""
        return len(self._suspects)

    # Requests to the engine

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job] = ()) -> None:
        """Accept jobs; `urgent` ones come before all waiting jobs."""
        for job in urgent:
            tasks = tasks_of(job, self._longest)
            self._urgent += tasks
            self._left += len(tasks)
        for job in ahead:
            for task in tasks_of(job, self._longest):
                self._waiting.add(task)
                self._left += 1

    def cancel(self, ids: Collection[int], workers: Sequence[WorkerQueue]) -> None:
        """Forget waiting tasks of these jobs; do not requeue tasks that `workers` have."""
        jobs = frozenset(ids)
        for queue in (self._urgent, self._again, *[worker.reserved for worker in workers]):
            self._left -= drop(queue, jobs)
        self._left -= self._waiting.drop(jobs)
        drop(self._suspects, jobs)
        for task in chain.from_iterable([worker.assigned for worker in workers]):
            if task.job in jobs:
                task.wanted = False
        if self._died_once:
            self._died_once = {place for place in self._died_once if place[0] not in jobs}

    def clear(self, workers: Sequence[WorkerQueue]) -> None:
        """Forget all waiting tasks."""
        self._waiting.clear()
        for queue in (self._urgent, self._again, *[worker.reserved for worker in workers]):
            queue.clear()
        self._left = 0
        self._suspects.clear()

    # Tasks for workers

    def assign(self, workers: Sequence[H]) -> Iterator[tuple[H, Task]]:
        """Assign tasks to workers with little work, first to that with the least; yield them."""
        while self._suspects:
            idle = next((worker for worker in workers if not worker.assigned), None)
            if idle is None:
                return
            yield idle, self._assign(idle, self._suspects.popleft())
        while self._left:
            worker = self._next_worker(workers)
            if worker is None:
                return
            task = self._next_task(worker, workers)
            if task is not None:
                self._left -= 1
                yield worker, self._assign(worker, task)
            elif not worker.assigned:
                return  # only tasks for workers that are not in `workers` are left

    def upcoming(self, worker: WorkerQueue) -> list[int]:
        """Return up to `AHEAD` indices that a worker probably gets next."""
        return self._waiting.upcoming(worker)

    def upcoming_in_turn(self, n: int) -> list[int]:
        """Return up to `AHEAD` indices that a worker probably gets next if `n` workers take turns.

        A task has just been sent, and `n - 1` others follow before the next one of its worker.
        """
        tasks = islice(self._waiting, n - 1, None, n)
        return list(
            islice(chain.from_iterable([task.indices for task in islice(tasks, AHEAD)]), AHEAD)
        )

    def seconds_of_work(self, worker: WorkerQueue) -> float:
        """Return the estimated seconds of work that a worker has."""
        return worker.items * self._seconds

    # Events

    def answered(self, worker: WorkerQueue, task: Task, n: int, seconds: float) -> Task:
        """Return a task of the next `n` items of `task`, which were answered after `seconds`."""
        if seconds:
            # Only half way, because one item may take much longer than others.
            self._seconds += 0.5 * (seconds / n - self._seconds)
        worker.items -= n
        if n == len(task.indices):
            worker.assigned.remove(task)
        else:
            whole, task = task, task.piece(0, n)
            whole.drop(n)
        if self._died_once:
            self._died_once.difference_update([(task.job, task.offset + k) for k in range(n)])
        return task

    def suspect(self, task: Task) -> None:
        """Requeue the items of `task` one by one: one of them made the whole answer unusable."""
        if task.wanted:
            self._suspects += task.parts(1, alone=True)

    def returned(self, worker: WorkerQueue, task: Task) -> None:
        """Requeue the rest of a task of a worker, which has become slow."""
        worker.assigned.remove(task)
        worker.items -= len(task.indices)
        length = max(1, int(self._grain / max(self._seconds, 1e-9)))
        self._requeue(task.parts(length, alone=task.alone))

    def refused(self, worker: WorkerQueue) -> None:
        """Requeue the last task that `assign` yielded for a worker, because it cannot be sent.

        Continuing with `assign` would yield the same task again.
        """
        self.requeue(worker, worker.assigned[-1])

    def requeue(self, worker: WorkerQueue, task: Task) -> None:
        """Requeue a task that a worker was sent: nothing is known of its items."""
        worker.assigned.remove(task)
        worker.items -= len(task.indices)
        self._requeue([task])

    def timed_out(self, worker: WorkerQueue, at: int = 0) -> tuple[int, int, int]:
        """Requeue a worker's unanswered items, except the current one, which timed out.

        Args:
            worker: The queue of the worker, which gets no more tasks.
            at: Offset of the current item in the unanswered part of the first task.

        Returns:
            Job, offset and index of the item that timed out.
        """
        task = worker.assigned.popleft()
        culprit = task.job, task.offset + at, task.indices[at]
        self._died_once.discard(culprit[:2])
        rest = task.piece(0, at), task.piece(at + 1, len(task.indices))
        self._requeue_all(worker, *[part for part in rest if len(part.indices)])
        return culprit

    def died(self, worker: WorkerQueue, *, began: bool) -> tuple[int, int, int] | None:
        """Requeue the unanswered items of a worker that died.

        Any item of its first task may be the cause, if it `began` that task. From now on, each of
        these items is evaluated alone.

        Returns:
            Job, offset and index of the item that killed two workers, if there is one. A death
            counts only if no other item can be its cause: of several items that a worker had,
            most were not begun.
        """
        first = worker.assigned.popleft() if worker.assigned and began else None
        self._requeue_all(worker)
        return None if first is None else self._blame(first)

    def lost(self, worker: WorkerQueue, task: Task, deaths: int = 1) -> tuple[int, int, int] | None:
        """Requeue a task of a worker that may have caused so many `deaths`; see `died`."""
        worker.assigned.remove(task)
        worker.items -= len(task.indices)
        return self._blame(task, deaths)

    def _blame(self, task: Task, deaths: int = 1) -> tuple[int, int, int] | None:
        if not task.wanted:
            return None
        place = task.job, task.offset
        if task.alone and (deaths > 1 or place in self._died_once):
            self._died_once.discard(place)
            return *place, task.indices[0]
        if len(task.indices) == 1:
            self._died_once.add(place)
        self._suspects += task.parts(1, alone=True)
        return None

    def unreserve(self, worker: WorkerQueue) -> None:
        """Requeue the tasks that are reserved for a worker that gets no more tasks."""
        self._waiting.put_back(worker.reserved)
        worker.reserved.clear()
        worker.key = worker.next_key = None

    # Implementation

    def _next_worker(self, workers: Sequence[H]) -> H | None:
        """Return the worker with the least work, of those for which there are tasks."""
        for_all = bool(self._urgent or self._again or self._waiting)
        # If fewer tasks are left for each worker than this one would have, they are kept for the
        # workers that finish first, so that all finish at the same time.
        share = self._left // len(workers) if workers else 0
        found = None
        for worker in workers:
            if found is not None and worker.items >= found.items:
                continue
            assigned = worker.assigned
            if not assigned:
                found = worker
            elif assigned[0].alone or not self.ahead or not (for_all or worker.reserved):
                continue
            elif len(assigned) < 2:  # noqa: PLR2004 -- one to do, one to go on with
                found = worker
            elif len(assigned) < self._most:
                enough = _ASSIGNED_SECONDS if len(assigned) < share else 2 * self._grain
                if worker.items * self._seconds < enough:
                    found = worker
        return found

    def _next_task(self, worker: WorkerQueue, workers: Sequence[WorkerQueue]) -> Task | None:
        """Return the next task of a worker, `None` if all are reserved for other workers."""
        if self._hinted and not worker.reserved:
            self._reserve(workers)  # even if it gets another task: it gets hints of these
        if self._urgent:
            return self._urgent.popleft()
        if self._again:
            return self._again.popleft()
        if worker.reserved:
            task = worker.reserved.popleft()
            self._reserve(workers)  # now, because hints are sent with each task
            return task
        if self._waiting:
            return self._waiting.take(worker, workers)
        if not worker.assigned:
            other = max(workers, key=lambda other: len(other.reserved))
            if other.reserved:
                return (
                    other.reserved.pop()
                )  # the last one, because that worker has loaded least for it
        return None

    def _reserve(self, workers: Sequence[WorkerQueue]) -> None:
        """Reserve tasks for the workers, about `AHEAD` items for all of them together.

        Each task goes to the worker that has the fewest items. So tasks are assigned in turn,
        and the tasks of a worker are close together.
        """
        if not self._waiting:
            return
        share = max(1, AHEAD // len(workers))
        held = [sum([len(task.indices) for task in worker.reserved]) for worker in workers]
        while self._waiting and (least := min(held)) < share:
            k = held.index(least)
            task = self._waiting.take(workers[k], workers)
            workers[k].reserved.append(task)
            held[k] += len(task.indices)

    def _assign(self, worker: WorkerQueue, task: Task) -> Task:
        # A task out of order does not change the key of a worker that still has tasks of its key.
        if not worker.reserved and not self._waiting.has(worker.key):
            worker.key = task.key
        self._last_number = task.number = (self._last_number + 1) & 0xFFFFFFFF
        worker.assigned.append(task)
        worker.items += len(task.indices)
        return task

    def _requeue(self, tasks: Collection[Task]) -> None:
        """Requeue `tasks` before all waiting tasks."""
        for task in reversed([task for task in tasks if task.wanted]):
            (self._suspects if task.alone else self._again).appendleft(task)
            self._left += not task.alone

    def _requeue_all(self, worker: WorkerQueue, *first: Task) -> None:
        """Requeue the tasks `first`, and after them all tasks of a worker."""
        self._requeue([*first, *worker.assigned])
        worker.assigned.clear()
        worker.items = 0
        self.unreserve(worker)
