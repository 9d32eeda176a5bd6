"""Where an engine delivers: a queue of parts, and readers that wait for them."""

from collections import deque

from seqtools._core.errors import WorkerStartError
from seqtools.engines.base import Part
from seqtools.prefetching.reader import NO_JOB, Reader


class Arrivals:
    """What one engine has delivered and nobody has given out.

    Threads of the engine refer to this, and to nothing else of a prefetch. So they keep none
    alive.
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
                reader.bell.ring()

    def wake(self) -> None:
        """Have all readers that wait look again."""
        for reader in self._waiting:
            reader.bell.ring()

    def await_(self, reader: Reader, job: int | None) -> None:
        """Have `reader` woken by what arrives of a job, or by anything if that is `None`."""
        reader.bell.silence()  # it may ring for an earlier wait
        if reader not in self._waiting:
            self._waiting = (*self._waiting, reader)
        reader.awaits = job
        if self.parts:  # this came before the reader could be seen
            reader.bell.ring()

    def leave(self, reader: Reader) -> None:
        """Wake `reader` no more."""
        if reader in self._waiting:
            self._waiting = tuple(other for other in self._waiting if other is not reader)
