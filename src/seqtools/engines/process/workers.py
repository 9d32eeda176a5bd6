"""The workers of a process engine: keeps their number, and sends them tasks."""

import time

from seqtools.engines import fault_injection
from seqtools.engines.base import AHEAD, PAUSE
from seqtools.engines.process.background_threads import KnownReasons
from seqtools.engines.process.deaths import DeathHandler
from seqtools.engines.process.pool import (
    Event,
    LoadedByEach,
    PoolWorker,
    ResultsReady,
    WorkerEnded,
    WorkerPool,
)
from seqtools.engines.process.results import ResultReceiver
from seqtools.engines.process.scheduler import Scheduler, Task
from seqtools.engines.process.timeouts import Timeouts
from seqtools.engines.wire import task_messages


class Workers:
    """Starts, replaces and ends workers, and sends tasks. Base class of `Operator`, its only user.

    Args:
        pool: Starts workers, and reports their ends.
        scheduler: Decides which worker gets which tasks.
        receiver: Delivers the results of workers.
        nworkers: The largest number of workers.
        wanted: The initial number of workers.
        timeout: Seconds that an item may take, `None` for no limit.
        hinted: Whether workers get hints about their next tasks.
        known: Records why each worker loads the pipeline itself.
    """

    def __init__(  # noqa: PLR0913 -- what it works with
        self,
        pool: WorkerPool,
        scheduler: Scheduler,
        receiver: ResultReceiver,
        nworkers: int,
        wanted: int,
        *,
        timeout: float | None,
        hinted: bool,
        known: KnownReasons,
    ) -> None:
        self.pool, self.receiver, self.known = pool, receiver, known
        self.wanted = wanted
        self.workers: list[PoolWorker] = []
        self.deaths = DeathHandler(scheduler, receiver, pool, nworkers)
        self._scheduler = scheduler
        self._timed, self._hinted = timeout is not None, hinted
        self._timeouts = None if timeout is None else Timeouts(timeout, scheduler, receiver, pool)
        self._patience = PAUSE if self._timeouts is None else min(PAUSE, self._timeouts.patience)
        self._mode = 0  # how errors are reported, see `seterr`

    def _start_pool(self) -> None:
        self.pool.start()
        self._adjust_number()

    def _adjust_number(self) -> None:
        """Start missing workers, and release surplus workers that are idle."""
        while len(self.workers) < self.wanted:
            self.workers.append(self.pool.hire(len(self.workers)))
        for worker in self.workers[self.wanted :]:
            self._scheduler.release(worker)  # it gets no more tasks
        while len(self.workers) > self.wanted and not self.workers[-1].dealt:
            self.pool.let_go(self.workers.pop())

    def _handle(self, event: Event) -> None:
        if isinstance(event, ResultsReady):
            if event.worker.attached:
                self.receiver.read(event.worker)
        elif isinstance(event, WorkerEnded):
            self._replace(event.worker, event.code)
        elif isinstance(event, LoadedByEach):
            self.known.add(event.reason)
            self.receiver.deliver(None)
        else:
            self._replace_all(event.code)

    def _replace(self, worker: PoolWorker, code: int) -> None:
        if worker in self.workers:
            self._settle(worker, code)
            self.workers[worker.number] = self.pool.hire(worker.number)

    def _replace_all(self, code: int) -> None:
        for worker in self.workers:  # they stay in the list, to be released if this fails
            self._settle(worker, code)
        self.workers = []
        self._start_pool()

    def _settle(self, worker: PoolWorker, code: int) -> None:
        """Requeue the items of a worker that died.

        Raises:
            WorkerStartError: If too many workers died before it.
        """
        error = self.deaths.settle(worker, code)
        if error is not None:
            raise error

    def _send_tasks(self) -> None:
        """Send tasks to workers that have little work."""
        workers = [worker for worker in self.workers[: self.wanted] if worker.attached]
        for worker, task in self._scheduler.deal(workers):
            if len(worker.dealt) == 1:
                worker.since = time.monotonic()
            if fault_injection.armed:
                fault_injection.reach("consumer-deal")
            try:
                worker.send(self._message(worker, task))
            except BlockingIOError:
                self._scheduler.refused(worker)
                return
            if fault_injection.armed:
                fault_injection.reach("consumer-dealt")

    def _message(self, worker: PoolWorker, task: Task) -> bytes:
        indices, ahead = task.indices, list[int]()
        # an item that may kill the worker must not be loaded by a thread that reads ahead
        if self._hinted and not task.alone:
            ahead = [*indices[:AHEAD], *self._scheduler.upcoming(worker)]
        return task_messages.task(
            task.number, indices, self._mode, ahead, timed=self._timed, watched=task.alone
        )

    def _end_workers(self) -> None:
        """End all workers, and receive their last output."""
        fault_injection.reach("consumer-close")
        self._scheduler.clear(self.workers)
        workers, self.workers = self.workers, []
        for worker in workers:
            if worker.attached and not worker.keeps:
                self.receiver.read_output(worker)
        self.pool.stop(workers)
        fault_injection.reach("consumer-closed")
        self.pool.wait()
        for worker in workers:
            if worker.keeps:
                self.receiver.read_output(worker)
