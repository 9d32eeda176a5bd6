"""Tasks of threads: indices that one thread evaluates, and of which an idle thread may take a part.

        todo:   i5  i6  i7  i8  i9  STOP
                ^ the owner takes from here, up to STOP

        todo:   i5  i6  STOP  i7  i8  i9  STOP
                ^ as before             ^ the thief has put in the first STOP, and takes from here

Each step is a single, atomic call of a deque. So the owner needs no lock for an item, and no item
is taken by both: items to the left of the first STOP belong to the owner, those to the right to
the thief, however far the owner has come.
"""

from collections import deque
from typing import Any

from seqtools.engines.base import Job

STOP = -1
"""Marks where the owner of a task stops. No index is negative."""


class StealableTask:
    """Indices of a job that a thread evaluates one by one.

    All fields are guarded by the lock of the pool, except that the owner takes from `todo` and
    appends to `outcomes` without it.
    """

    def __init__(self, job: Job, now: float) -> None:
        indices = job.indices
        self.job = job
        """The job, of which this task has the first `size` items; thieves have taken the others."""
        self.size = len(indices)
        self.todo = deque(indices if isinstance(indices, range) else map(int, indices))
        """Indices that were not begun, and STOP."""
        self.todo.append(STOP)
        self.base = 0
        """The number of items that are done and delivered."""
        self.outcomes: list[Any] = []
        """The values of the items after these."""
        self.delivered = 0
        """The number of `outcomes` that were delivered, and are replaced by `None`."""
        self.began = self.since = now
        self.cancelled = False

    @property
    def done(self) -> int:
        """The number of items that are done."""
        return self.base + len(self.outcomes)

    @property
    def left(self) -> int:
        """The largest possible number of items that were not begun."""
        return max(0, len(self.todo) - 1)

    @property
    def item(self) -> int:
        """The index that is being evaluated, or the last one."""
        return int(self.job.indices[min(self.done, len(self.job.indices) - 1)])

    def cancel(self) -> None:
        """Begin no other item."""
        self.cancelled = True
        self.todo.appendleft(STOP)

    def split(self, keep: int) -> Job | None:
        """Remove and return the last items that were not begun, except about `keep` of them.

        Only one thread at a time may call this. Returns `None` if the owner has begun them all.
        """
        todo = self.todo
        todo.insert(keep, STOP)
        todo.pop()  # the old STOP; or the new one, if the owner has reached the end
        taken = 0
        try:
            while todo[-1] != STOP:
                todo.pop()
                taken += 1
        except IndexError:  # the owner has reached the new STOP
            pass
        if not taken:
            return None
        self.size -= taken
        job, size = self.job, self.size
        return Job(job.id, job.indices[size : size + taken], job.key, job.offset + size)
