"""Tasks, the messages from the consumer to a worker, byte by byte.

A task is a header; then, unless its indices are a range, an integer for each index; and the same
for the indices that come next. Results are in `result_messages`.
"""

import os
import select
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from seqtools.engines import fault_injection
from seqtools.engines.wire.headers import Header

TASK = Header("IqqqB??qqq")  # block, indices, mode, timed, watched; what comes next
# Indices are a start, stop and step. If the step is 0, the start is the length of a list that
# follows the header.

LONGEST_LIST = 400
"""Most indices of a list. A task is shorter than PIPE_BUF bytes, so it is written in one piece."""


def task(  # noqa: PLR0913 -- what a task consists of
    block: int,
    indices: Sequence[int],
    mode: int,
    ahead: Sequence[int] = (),
    *,
    timed: bool = False,
    watched: bool = False,
) -> bytes:
    """Return the message that asks for `indices`; those of `ahead` come next.

    Both are ranges, or lists of at most `LONGEST_LIST` and 64 indices.
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
    """A task, in a worker."""

    block: int
    indices: Sequence[int]
    mode: int
    timed: bool
    """Whether the worker notes which item it evaluates."""
    watched: bool
    """Whether the worker reports which stage it evaluates."""
    ahead: Sequence[int]
    """The indices that come next, in order, for any worker."""


class TaskReader:
    """Reads tasks in a worker, and waits for them."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._buffer = b""
        self._poller: Any = None
        self.while_idle: tuple[float, Callable[[], None]] | None = None
        """Seconds, and what to call each time that no task came for so long."""

    def read(self) -> TaskMessage | None:
        """Wait for the next task, and return it; `None` when the consumer has closed the pipe.

        Raises:
            DamagedMessage: If the bytes are no task.
        """
        if fault_injection.armed:
            fault_injection.reach("idle")
        head = self.take(TASK.size)
        if head is None:
            return None
        block, start, stop, step, mode, timed, watched, *ahead = TASK.unpack(head)
        indices = self._indices(start, stop, step)
        return TaskMessage(block, indices, mode, timed, watched, self._indices(*ahead))

    def is_closed(self) -> bool:
        """Return whether the consumer has closed the pipe: it wants no answers to more tasks."""
        if self._poller is None:
            self._poller = select.poll()
            self._poller.register(self._fd, 0)
        return bool(self._poller.poll(0))

    def _indices(self, start: int, stop: int, step: int) -> Sequence[int]:
        if step:
            return range(start, stop, step)
        if not start:
            return ()
        # It was written in one piece with its header, so `take` does not have to wait.
        return struct.unpack(f"<{start}q", self.take(8 * start) or b"")

    def take(self, n: int) -> bytes | None:
        """Wait for the next `n` bytes, and return them; `None` at the end."""
        while len(self._buffer) < n:
            more = self._more()
            if not more:
                return None
            self._buffer += more
        taken, self._buffer = self._buffer[:n], self._buffer[n:]
        return taken

    def _more(self) -> bytes:
        """Wait for bytes, and return them; none at the end."""
        if self.while_idle is not None:
            seconds, call = self.while_idle
            while not select.select([self._fd], [], [], seconds)[0]:
                call()  # repeatedly, because the consumer drops values meanwhile
        return os.read(self._fd, 1 << 16)
