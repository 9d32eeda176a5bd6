"""The queue of parts that an engine delivers, and the readers that wait for them."""

from collections import deque

from seqtools._core.errors import WorkerStartError
from seqtools.engines.base import Part
from seqtools.prefetching.reader import NO_JOB, Reader


class Arrivals:
    """Parts that one engine has delivered and that were not distributed to runs yet.

    Threads of the engine refer to this object and to nothing else of a prefetch, so they do not
    keep the prefetch alive.
    """

    __slots__ = ("_waiting", "parts")

    def __init__(self) -> None:
        self.parts: deque[Part | WorkerStartError] = deque()
        self._waiting: tuple[Reader, ...] = ()

    def deliver(self, part: Part | WorkerStartError | None) -> None:
        """Take a part from any thread, and wake readers that wait for it; `None` wakes all."""
        if part is not None:
            self.parts.append(part)
        job = part.job if isinstance(part, Part) else None
        for reader in self._waiting:
            awaits = reader.awaits
            if awaits != NO_JOB and (awaits is None or job is None or awaits == job):
                reader.wakeup.set()

    def wake(self) -> None:
        """Wake all readers that wait."""
        for reader in self._waiting:
            reader.wakeup.set()

    def await_(self, reader: Reader, job: int | None) -> None:
        """Wake `reader` when a part of `job` arrives, or any part if `job` is `None`."""
        reader.wakeup.clear()  # it may be set from an earlier wait
        if reader not in self._waiting:
            self._waiting = (*self._waiting, reader)
        reader.awaits = job
        if self.parts:  # these came before `_waiting` contained the reader
            reader.wakeup.set()

    def leave(self, reader: Reader) -> None:
        """Stop waking `reader`."""
        if reader in self._waiting:
            self._waiting = tuple(other for other in self._waiting if other is not reader)
