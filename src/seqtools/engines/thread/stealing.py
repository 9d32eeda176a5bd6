"""Tasks of threads: indices that one thread evaluates, and of which others may take a part.

        todo:   i5  i6  i7  i8  i9  STOP
                ^ the owner takes from here, up to STOP

        todo:   i5  i6  STOP  i7  i8  i9  STOP
                ^ as before             ^ the thief has put in the first STOP, and takes from here

Each of these steps is a single call of a deque, which other threads see as a whole. So the owner
needs no lock for an item, and no item is taken by both: what is left of the first STOP is the
owner's, what is right of it is the thief's, wherever the owner has got to in the meantime.
"""

from collections import deque
from typing import Any

from seqtools.engines.base import Job

STOP = -1
"""Where the owner of a task ends. No index is negative."""


class StealableTask:
    """Indices of a job that a thread evaluates one by one.

    All fields are to be read and changed with the lock of the engine, except that the owner takes
    from `todo` and appends to `outcomes`.
    """

    __slots__ = ("base", "began", "cancelled", "job", "outcomes", "since", "size", "todo", "told")

    def __init__(self, job: Job, now: float) -> None:
        indices = job.indices
        self.job = job
        """What to evaluate: the first `size` items of it, because others were taken by thieves."""
        self.size = len(indices)
        self.todo = deque(indices if isinstance(indices, range) else map(int, indices))
        """Indices that were not begun, and STOP."""
        self.todo.append(STOP)
        self.base = 0
        """So many items are over and told of."""
        self.outcomes: list[Any] = []
        """The values of those that follow."""
        self.told = 0
        """So many of `outcomes` were delivered, and are not kept here any more."""
        self.began = self.since = now
        self.cancelled = False

    @property
    def done(self) -> int:
        """How many items are over."""
        return self.base + len(self.outcomes)

    @property
    def left(self) -> int:
        """How many items were not begun, at most."""
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
        """Return the last items that were not begun, such that about so many are kept.

        To be called by one thread at a time. It is `None` if the owner has begun them by now.
        """
        todo = self.todo
        todo.insert(keep, STOP)
        todo.pop()  # the STOP that was there; or the new one, if the owner is through
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
