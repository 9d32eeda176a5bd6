"""Waiting tasks, and the choice of a task for a worker.

Tasks with the same key share something, such as a file. One worker should evaluate all of them,
because another worker would load the file again. A worker continues with the key that it began
with, and other workers avoid that key as long as there are several keys that no worker has. The
last of those keys is for all workers, so that they finish at the same time.
"""

from collections import deque
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from heapq import merge
from itertools import chain, islice
from operator import attrgetter, index

from seqtools.engines.base import AHEAD, Job


class Task:
    """Consecutive items of a job. A worker evaluates them from the first to the last.

    Args:
        job: The id of the job.
        offset: Offset of the first of these items in the job.
        indices: The items that are not answered yet: a range, or a list of integers.
        key: Identifies what these items share with those of other tasks, or `None`.
        alone: Whether its worker must get no other task, because this one may kill the worker.
    """

    __slots__ = ("alone", "answered", "indices", "job", "key", "number", "offset", "wanted")

    def __init__(
        self,
        job: int,
        offset: int,
        indices: Sequence[int],
        key: Hashable = None,
        *,
        alone: bool = False,
    ) -> None:
        self.job, self.offset, self.indices, self.key = job, offset, indices, key
        self.alone = alone
        self.answered = 0
        """The number of items that were answered since it was sent; `indices` are the others."""
        self.number = 0
        """The number of this task among all that were sent; less than 2 to the power of 32."""
        self.wanted = True
        """Whether it is requeued if its worker dies."""

    def __repr__(self) -> str:
        """Return its fields."""
        return f"Task({self.job}, {self.offset}, {self.indices!r}, {self.key!r})"

    def piece(self, start: int, stop: int, *, alone: bool = False) -> "Task":
        """Return a task for its items from `start` to `stop`."""
        indices = self.indices[start:stop]
        piece = Task(self.job, self.offset + start, indices, self.key, alone=alone)
        piece.wanted = self.wanted
        return piece

    def parts(self, length: int, *, alone: bool = False) -> "list[Task]":
        """Return tasks of at most `length` items for all of its items."""
        starts = range(0, len(self.indices), length)
        return [self.piece(k, k + length, alone=alone) for k in starts]

    def drop(self, n: int) -> None:
        """Forget its first `n` items, which are answered."""
        self.offset += n
        self.answered += n
        self.indices = self.indices[n:]


class WorkerQueue:
    """The tasks of a worker: those that were sent to it, and those that are reserved for it."""

    __slots__ = ("assigned", "items", "key", "next_key", "reserved")

    def __init__(self) -> None:
        self.assigned: deque[Task] = deque()
        """Tasks that it was sent and has not answered. It evaluates the first of them."""
        self.items = 0
        """The number of items of these tasks."""
        self.reserved: deque[Task] = deque()
        """Tasks that it probably gets next. An idle worker may take the last of them."""
        self.key: Hashable = None
        """The key of the last task that it was sent or that is reserved for it."""
        self.next_key: Hashable = None
        """Its next key, if that was decided."""


_job = attrgetter("job")
_place = attrgetter("job", "offset")


class TaskQueue:
    """Tasks that no worker has, by key, in the order in which the keys arrived.

    Args:
        hinted: Whether workers get hints about their next tasks. Then the next key of a worker is
            decided early.
    """

    def __init__(self, *, hinted: bool = False) -> None:
        self._hinted = hinted
        self._by_key: dict[Hashable, deque[Task]] = {}

    def __bool__(self) -> bool:
        """Return whether there is any task."""
        return bool(self._by_key)

    def __iter__(self) -> Iterator[Task]:
        """Yield the tasks, key by key."""
        return chain.from_iterable(self._by_key.values())

    def has(self, key: Hashable) -> bool:
        """Return whether there is a task with `key`."""
        return key in self._by_key

    def add(self, task: Task) -> None:
        """Add `task`.

        A task without a key means that items share nothing that the window knows of. Then all
        tasks are for all workers, in order.
        """
        if task.key is None and self._by_key and None not in self._by_key:
            self._by_key = {None: deque(sorted(self, key=_place))}
        queue = self._by_key.get(task.key)
        if queue is None:
            self._by_key[task.key] = deque((task,))
        else:
            queue.append(task)

    def put_back(self, tasks: Iterable[Task]) -> None:
        """Add `tasks` that were taken from this queue before, in about their former places.

        Earlier jobs have lower ids.
        """
        returned: dict[Hashable, deque[Task]] = {}
        for task in tasks:
            returned.setdefault(task.key, deque()).append(task)
        for key, queue in returned.items():
            queue_here = self._by_key.pop(key, ())
            returned[key] = deque(merge(queue, queue_here, key=_place))
        self._by_key = {**returned, **self._by_key}

    def take(self, worker: WorkerQueue, workers: Sequence[WorkerQueue]) -> Task:
        """Remove and return the next task for `worker`; there must be a task."""
        waiting = self._by_key
        key = worker.key
        queue = waiting.get(key)
        if queue is None:
            worker.key = key = self._next_key(worker, workers)
            worker.next_key = None
            queue = waiting[key]
        task = queue.popleft()
        if not queue:
            del waiting[key]
        if self._hinted and waiting and worker.next_key not in waiting:
            # a worker that has no key yet chooses first
            chosen = all(other.key is not None for other in workers)
            worker.next_key = self._free_key(workers) if chosen else None
        return task

    def upcoming(self, worker: WorkerQueue) -> list[int]:
        """Return up to `AHEAD` indices that `worker` probably gets next.

        They are of both its key and its next key, because what the items of the latter share may
        take long to load.
        """
        here = chain(
            worker.reserved, self._by_key.get(worker.key, ()) if worker.key is not None else ()
        )
        next_ones = self._by_key.get(worker.next_key, ()) if worker.next_key is not None else ()
        most = AHEAD // 2 if next_ones else AHEAD
        return [*_first(here, most), *_first(next_ones, most)]

    def drop(self, jobs: Collection[int]) -> int:
        """Remove all tasks of `jobs`, and return their number."""
        dropped = 0
        for key, queue in list(self._by_key.items()):
            dropped += drop(queue, jobs)
            if not queue:
                del self._by_key[key]
        return dropped

    def clear(self) -> None:
        """Remove all tasks."""
        self._by_key.clear()

    def _next_key(self, worker: WorkerQueue, workers: Sequence[WorkerQueue]) -> Hashable:
        waiting = self._by_key
        if worker.next_key is not None and worker.next_key in waiting:
            return worker.next_key
        if len(waiting) == 1:
            return next(iter(waiting))
        key = self._free_key([other for other in workers if other is not worker])
        if key is not None or None in waiting:
            return key
        return max(waiting, key=lambda key: len(waiting[key]))

    def _free_key(self, workers: Sequence[WorkerQueue]) -> Hashable:
        """Return the first key that none of `workers` has, `None` if it is the only one."""
        held = {key for worker in workers for key in (worker.key, worker.next_key)}
        held.discard(None)  # items that share nothing are for all workers
        free = list(islice((key for key in self._by_key if key not in held), 2))
        return free[0] if len(free) > 1 else None


def tasks_of(job: Job, longest: int) -> list[Task]:
    """Return the tasks of `job`: one, unless it is a list of more than `longest` indices."""
    indices = job.indices
    if not isinstance(indices, range):
        indices = [*map(index, indices)]  # elements of an array are not plain integers
        first = indices[0]
        run = range(first, first + len(indices))
        if indices[-1] == run[-1] and indices == [*run]:
            indices = run
        elif len(indices) > longest:
            return Task(job.id, job.offset, indices, job.key).parts(longest)
    return [Task(job.id, job.offset, indices, job.key)]


def drop(tasks: deque[Task], jobs: Collection[int]) -> int:
    """Remove the tasks of `jobs` from `tasks`, and return their number."""
    found = sum(map(jobs.__contains__, map(_job, tasks)))
    if found:
        kept = [task for task in tasks if task.job not in jobs]
        tasks.clear()
        tasks.extend(kept)
    return found


def _first(tasks: Iterable[Task], n: int) -> list[int]:
    return list(islice(chain.from_iterable([task.indices for task in islice(tasks, n)]), n))
