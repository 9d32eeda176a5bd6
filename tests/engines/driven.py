"""An engine on its own, given indices by a test, which waits for what it delivers."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any

from seqtools._core.errors import WorkerStartError
from seqtools.engines.base import Deliver, Job, Part

_ids = count(1)


class Driven:
    """An engine, and what it has delivered.

    Args:
        make: Returns the engine, given its `deliver`.
    """

    def __init__(self, make: Callable[[Deliver], Any]) -> None:
        self._delivered: SimpleQueue[Part | WorkerStartError | None] = SimpleQueue()
        self._expected: dict[tuple[int, int], int] = {}
        self.parts: list[Part] = []
        """All parts, in the order in which they came."""
        self.engine = make(self._delivered.put)

    def submit(self, indices: Sequence[int], *, urgent: bool = False) -> int:
        """Ask for a job with `indices`, and return its number."""
        job = Job(next(_ids), indices)
        self._expected.update({(job.id, k): i for k, i in enumerate(indices)})
        if urgent:
            self.engine.submit([], [job])
        else:
            self.engine.submit([job])
        return job.id

    def collect(self, n: int) -> dict[int, Any]:
        """Return the outcomes of the next `n` items, by their indices; none comes twice.

        Raises:
            WorkerStartError: If the engine delivers that.
        """
        found: dict[int, Any] = {}
        while len(found) < n:
            part = self._next()
            if part is not None:
                for k, outcome in enumerate(part.outcomes, part.offset):
                    index = self._expected.pop((part.job, k))
                    assert index not in found
                    found[index] = outcome
        assert len(found) == n
        return found

    def has_news(self) -> None:
        """Wait until the engine tells that there is something else than items."""
        while self._next() is not None:
            pass

    def close(self) -> None:
        """Close the engine, after which nothing more may come."""
        self.engine.close()
        while not self._delivered.empty():
            self._delivered.get()
        self.engine = None

    def _next(self) -> Part | None:
        while True:
            try:
                part = self._delivered.get(timeout=self.engine.look())
            except Empty:
                continue
            if isinstance(part, WorkerStartError):
                raise part
            if part is not None:
                assert not part.failed or len(part.outcomes) == 1
                self.parts.append(part)
            return part


@contextmanager
def still(engine: Any) -> Iterator[None]:
    """Have the operator of a process engine do nothing meanwhile."""
    begun, go_on = threading.Event(), threading.Event()

    def wait(_: Any) -> None:
        begun.set()
        go_on.wait()

    engine._operator.note(wait)
    while not begun.wait(0.05) and not engine._operator._ended:
        pass
    try:
        yield
    finally:
        go_on.set()
