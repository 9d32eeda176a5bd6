"""The protocol of pools, which start worker processes and report their ends, in the consumer.

There are two implementations, which the engine does not distinguish: `template`, with a template
process, and `spawn`, which needs only subprocesses and pipes.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from seqtools._core.error_path import Step
from seqtools.engines.dispatch.output_display import WorkerOutput
from seqtools.engines.dispatch.scheduler import WorkerQueue
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.arena_reader import ArenaReader
from seqtools.engines.wire.result_messages import ResultReader


class PoolWorker(WorkerQueue):
    """A worker process, as the consumer sees it."""

    __slots__ = (
        "active_since",
        "attached",
        "ending",
        "leases",
        "number",
        "output",
        "path",
        "reader",
        "ready",
        "started_at",
    )

    def __init__(self, number: int, reader: ResultReader, leases: ArenaReader | None) -> None:
        super().__init__()
        self.number, self.reader, self.leases = number, reader, leases
        self.output = WorkerOutput()
        self.ready = False  # whether it has loaded the pipeline
        self.ending = result_messages.ENDED  # what it does at its end, if it is there
        self.attached = True  # whether there may be more to read
        self.started_at = time.monotonic()
        self.active_since = 0.0  # when it began its first task, or answered last
        # path to its current stage, if it reports stages; None until it begins an item
        self.path: tuple[Step, ...] | None = None

    def send(self, task: bytes) -> None:
        """Send it a task; do nothing if it is dead, which an event will report.

        Raises:
            BlockingIOError: If its pipe is full.
        """
        raise NotImplementedError


class ResultsReady(NamedTuple):
    """A worker has sent results."""

    worker: Any


class WorkerEnded(NamedTuple):
    """A worker process has ended."""

    worker: Any
    code: int
    """Its exit code, negative for a signal."""


class PoolEnded(NamedTuple):
    """All workers have ended with the process that they depend on; the pool must start again."""

    code: int | None
    """The exit code of that process, if known."""


class LoadedByEach(NamedTuple):
    """Each worker must load the pipeline itself."""

    reason: str
    """The reason, as text."""


Event = ResultsReady | WorkerEnded | PoolEnded | LoadedByEach


class WorkerPool(Protocol):
    """The worker processes of an engine. One thread at a time calls each method except `wake`."""

    def start(self) -> None:
        """Prepare for workers, at first and after all have ended.

        Raises:
            WorkerStartError: If workers cannot be started.
        """

    def start_worker(self, number: int) -> PoolWorker:
        """Return a new worker."""

    def poll(self, seconds: float | None) -> Any:
        """Wait at most `seconds` for events, and return a value for `events`."""

    def rest(self, seconds: float) -> None:
        """Wait at most `seconds`, ignoring events except `wake`."""

    def wake(self) -> None:
        """Make `poll` or `rest` return.

        Any thread may call it, during any other call, and after the end.
        """

    def events(self, polled: Any) -> Iterator[Event]:
        """Yield the events, results of a worker before its end.

        Raises:
            WorkerStartError: If a worker reports that it cannot evaluate items.
        """

    def kill(self, worker: Any) -> None:
        """Kill a worker; an event reports its end."""

    def release(self, worker: Any) -> None:
        """Close the pipes to a worker."""

    def retire(self, worker: Any) -> None:
        """Ask an idle worker to end; it can be read until it is released."""

    def stop(self, workers: Iterable[Any]) -> None:
        """Ask all `workers` to end, and the process that they depend on; no more events follow."""

    def wait(self, read: Callable[[Any], bool]) -> None:
        """Wait until they have ended, and release them; kill those that do not end.

        Args:
            read: Reads what a worker has sent meanwhile, and returns whether there may be more.
        """
