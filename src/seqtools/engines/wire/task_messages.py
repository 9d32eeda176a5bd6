"""Tasks, the messages by which a worker is asked for items, byte by byte.

A task is a header, then unless it is a range one integer an index, and the same for what comes
next. Results are in `result_messages`.
"""

import os
import select
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

from seqtools.engines import fault_injection
from seqtools.engines.wire.headers import Header

TASK = Header("IqqqB??qqq")  # block, indices, mode, timed, watched; what comes next
# Indices are a start, stop and step;
# where the step is 0, a list of so many as the start says follows.

LONGEST_LIST = 400
"""Indices in a list, so that a task is written in one piece: less than PIPE_BUF bytes."""


def task(  # noqa: PLR0913 -- what a task consists of
    block: int,
    indices: Sequence[int],
    mode: int,
    ahead: Sequence[int] = (),
    *,
    timed: bool = False,
    watched: bool = False,
) -> bytes:
    """Return the message that asks for `indices`, and tells of those that come next.

    Both are ranges, or lists of `LONGEST_LIST` and 64 indices at most.
    """
    head = TASK.pack(block, *_place(indices), mode, timed, watched, *_place(ahead))
    if not ahead and isinstance(indices, range):
        return head
    return head + b"".join(_listed(p) for p in (indices, ahead) if not isinstance(p, range))


def _listed(indices: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(indices)}q", *indices)


def _place(indices: Sequence[int]) -> tuple[int, int, int]:
    if isinstance(indices, range):
        return indices.start, indices.stop, indices.step
    return len(indices), 0, 0


class TaskMessage(NamedTuple):
    """What a worker is asked for."""

    block: int
    indices: Sequence[int]
    mode: int
    timed: bool
    """Whether it is to be known which item is being evaluated."""
    watched: bool
    """Whether it is to be told which stage is."""
    ahead: Sequence[int]
    """What comes next, in order of need, for whichever worker."""


class TaskReader:
    """Reads tasks in a worker, waiting for them."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._buffer = b""
        self.while_idle: tuple[float, Callable[[], None]] | None = None
        """What to call each time that so many seconds were without a task."""

    def read(self) -> TaskMessage | None:
        """Return the next task, `None` when there is nobody to ask any more.

        Raises:
            DamagedMessage: If what comes is no task.
        """
        if fault_injection.armed:
            fault_injection.reach("idle")
        head = self.take(TASK.size)
        if head is None:
            return None
        block, start, stop, step, mode, timed, watched, *ahead = TASK.unpack(head)
        indices = self._indices(start, stop, step)
        return TaskMessage(block, indices, mode, timed, watched, self._indices(*ahead))

    def _indices(self, start: int, stop: int, step: int) -> Sequence[int]:
        if step:
            return range(start, stop, step)
        if not start:
            return ()
        # written in one piece with its header, so it is there
        return struct.unpack(f"<{start}q", self.take(8 * start) or b"")

    def take(self, n: int) -> bytes | None:
        """Return the next `n` bytes, waiting for them; `None` at the end."""
        while len(self._buffer) < n:
            more = self._more()
            if not more:
                return None
            self._buffer += more
        taken, self._buffer = self._buffer[:n], self._buffer[n:]
        return taken

    def _more(self) -> bytes:
        """Wait for something to be read, and return it; nothing at the end."""
        if self.while_idle is not None:
            seconds, call = self.while_idle
            while not select.select([self._fd], [], [], seconds)[0]:
                call()  # again and again: values are dropped meanwhile
        return os.read(self._fd, 1 << 16)
