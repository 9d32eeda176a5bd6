"""Items that take longer than `timeout`, and workers that take too long to start."""

import time
from collections.abc import Iterable

from seqtools._core.errors import Failure, ItemTimeout, WorkerStartError
from seqtools.engines.dispatch.scheduler import Scheduler
from seqtools.engines.process.pool import PoolWorker, WorkerPool
from seqtools.engines.process.results import ResultReceiver

_START_SECONDS = 60.0
"""Seconds that a worker may take to start, if items have a timeout. Importing large libraries from
a slow disk takes half of it. Arbitrary."""
_SLOWER = 10
"""A worker may take this many times as long to start as others, plus a second. Arbitrary."""


class Timeouts:
    """Ends workers whose item or start takes too long, so that they are replaced.

    Args:
        timeout: Seconds that an item may take.
        scheduler: Requeues the items of such a worker.
        receiver: Reads its last results, and delivers the error of the item that timed out.
        pool: Ends it.
    """

    def __init__(
        self, timeout: float, scheduler: Scheduler, receiver: ResultReceiver, pool: WorkerPool
    ) -> None:
        self._timeout, self._pool = timeout, pool
        self._scheduler, self._receiver = scheduler, receiver
        self.patience = max(timeout / 8, 0.001)
        """Seconds between two checks."""

    def end_overdue(self, workers: Iterable[PoolWorker]) -> None:
        """End those of `workers` whose item or start takes too long.

        Raises:
            WorkerStartError: If a worker does not start.
        """
        for worker in workers:
            if not worker.ready:
                self._check_start(worker)
            elif self._timed_out_place(worker) is not None:
                self._receiver.read(worker)  # results that it has sent before now
                place = self._timed_out_place(worker)
                if place is not None and worker.attached:
                    job, offset, index = self._scheduler.timed_out(worker, place)
                    message = (
                        f"item {index} took longer than timeout={self._timeout:g} seconds in "
                        f"worker process {worker.number}, which was replaced"
                    )
                    self._receiver.fail(job, offset, Failure(ItemTimeout(message)))
                    self._pool.kill(worker)

    def _check_start(self, worker: PoolWorker) -> None:
        """End a worker whose start takes too long."""
        took = time.monotonic() - worker.started_at
        if took > _START_SECONDS:
            message = (
                f"worker process {worker.number} was not ready after {_START_SECONDS:g} "
                "seconds: start_hook, or loading the pipeline, hangs"
            )
            raise WorkerStartError(message)
        slowest = self._receiver.slowest
        if slowest is not None and took > 1 + _SLOWER * slowest and worker.attached:
            self._pool.kill(worker)

    def _timed_out_place(self, worker: PoolWorker) -> int | None:
        """Return the offset, in the unanswered part of its task, of an item that timed out."""
        if not worker.assigned:
            return None
        task = worker.assigned[0]
        place, since = 0, worker.active_since
        if worker.leases is not None:
            number, at, began = worker.leases.progress.read()
            if number == task.number and at >= task.answered:
                place, since = at - task.answered, began
        if time.monotonic() - since <= self._timeout:
            return None
        return min(place, len(task.indices) - 1)  # the worker may have written anything there
