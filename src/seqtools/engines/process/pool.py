"""What starts worker processes and tells what became of them: the side of the consumer.

There are two ways, and the engine knows neither: `forking`, where there is a template
process, and `spawn`, which needs nothing but subprocesses and pipes.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from seqtools._core.errors import Step
from seqtools.engines.process.output_display import WorkerOutput
from seqtools.engines.process.scheduler import WorkerQueue
from seqtools.engines.wire.arena_reader import ArenaReader
from seqtools.engines.wire.result_messages import ResultReader


class _Serving(threading.local):
    serves = False


serving = _Serving()
"""In a thread that an engine has for its own needs, `serves` is true: such a thread waits for no
engine to end, because that may wait for the thread. It closes engines where the garbage collector
happens to run in it."""


class PoolWorker(WorkerQueue):
    """A worker process, from outside."""

    __slots__ = (
        "attached",
        "heard",
        "hired",
        "leases",
        "number",
        "path",
        "reader",
        "ready",
        "since",
    )

    keeps = False
    """Whether what it has sent is kept, and can be read when it has ended."""

    def __init__(self, number: int, reader: ResultReader, leases: ArenaReader | None) -> None:
        super().__init__()
        self.number, self.reader, self.leases = number, reader, leases
        self.heard = WorkerOutput()
        self.ready = False  # it has loaded the pipeline
        self.attached = True  # there may be more to read
        self.hired = time.monotonic()
        # to the stage that it is at, where it tells; None if it has not begun an item since
        self.path: tuple[Step, ...] | None = None
        self.since = 0.0  # when it began with its first task, or answered last

    def send(self, task: bytes) -> None:
        """Give it a task; nothing if it is dead, which is going to be told.

        Raises:
            BlockingIOError: If it takes no more for now.
        """
        raise NotImplementedError


class ResultsReady(NamedTuple):
    """There are results to be read."""

    worker: Any


class WorkerEnded(NamedTuple):
    """A worker process has ended."""

    worker: Any
    code: int
    """Its exit code, negative for a signal."""


class PoolEnded(NamedTuple):
    """All workers have ended, as what they depend on has; to be started again."""

    code: int


class LoadedByEach(NamedTuple):
    """Each worker has to load the pipeline for itself."""

    reason: str
    """Why, in words."""


Event = ResultsReady | WorkerEnded | PoolEnded | LoadedByEach


class WorkerPool(Protocol):
    """The worker processes of an engine; all but `wake` is called by one thread at a time."""

    def start(self) -> None:
        """Prepare for workers, at first and after all have ended.

        Raises:
            WorkerStartError: If there cannot be any.
        """

    def hire(self, number: int) -> PoolWorker:
        """Return a new worker."""

    def poll(self, seconds: float | None) -> Any:
        """Wait for something to happen, for so long at most, and return it for `events`."""

    def rest(self, seconds: float) -> None:
        """Wait, whatever happens, for so long at most."""

    def wake(self) -> None:
        """Have `poll` return, or `rest`.

        It may be called by any thread, at any step of another call, and when all has ended.
        """

    def events(self, polled: Any) -> Iterator[Event]:
        """Yield what has happened, results of a worker before its end.

        Raises:
            WorkerStartError: If a worker says that it can evaluate nothing.
        """

    def dismiss(self, worker: Any) -> None:
        """End a worker, which is told by an event as any end."""

    def let_go(self, worker: Any) -> None:
        """Close what there is to reach a worker."""

    def stop(self, workers: Iterable[Any]) -> None:
        """Have all `workers` end, and what they depend on; nothing is told any more."""

    def wait(self) -> None:
        """Wait for that; kill what does not end."""
