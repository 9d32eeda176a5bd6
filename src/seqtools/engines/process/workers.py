"""The workers of a process engine: keeps their number, replaces them, and sends them tasks."""

import time
from collections.abc import Iterable

from seqtools._core.errors import Failure, WorkerDied, WorkerStartError
from seqtools.engines import fault_injection
from seqtools.engines.base import AHEAD, PAUSE
from seqtools.engines.dispatch.output_display import said
from seqtools.engines.dispatch.pending_warnings import PendingWarnings
from seqtools.engines.dispatch.scheduler import Scheduler, Task
from seqtools.engines.process.launcher import meaning
from seqtools.engines.process.pool import (
    PoolEnded,
    PoolWorker,
    ResultsReady,
    WorkerEnded,
    WorkerPool,
)
from seqtools.engines.process.results import ResultReceiver
from seqtools.engines.process.timeouts import Timeouts
from seqtools.engines.process.worker import MORE_PATIENCE, PATIENCE
from seqtools.engines.wire import result_messages, task_messages

_MOST_DEATHS = 3
"""Deaths for each worker without a result in between, after which the engine fails. Arbitrary."""
_PATIENCE = PATIENCE + MORE_PATIENCE
"""Seconds for a worker that was told to end, before it is killed."""

_AT_THE_END = (
    (result_messages.IN_END_HOOK, "end_hook of"),
    (result_messages.IN_EXIT_FUNCTIONS, "what closes resources at the end of"),
)
"""What workers call at their end, and words for it."""


class Workers:
    """Starts, replaces and ends workers, and sends tasks. Only the operator uses it.

    Args:
        pool: Starts workers, and reports their ends.
        scheduler: Decides which worker gets which tasks.
        receiver: Delivers the results of workers.
        nworkers: The largest number of workers.
        wanted: The initial number of workers.
        timeout: Seconds that an item may take, `None` for no limit.
        hinted: Whether workers get hints about their next tasks.
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
    ) -> None:
        self.pool, self.scheduler, self.receiver = pool, scheduler, receiver
        self.wanted = wanted
        self.all: list[PoolWorker] = []
        self._leaving: dict[PoolWorker, float] = {}  # retired ones, and when they are killed
        self.mode = 0
        """How errors are reported, see `seterr`."""
        self._most_deaths = _MOST_DEATHS * nworkers
        self._timed, self._hinted = timeout is not None, hinted
        self._timeouts = None if timeout is None else Timeouts(timeout, scheduler, receiver, pool)
        self._patience = PAUSE if self._timeouts is None else min(PAUSE, self._timeouts.patience)

    def start(self) -> None:
        """Start all of them.

        Raises:
            WorkerStartError: If they cannot be started.
        """
        self.pool.start()
        self.adjust_number()

    def adjust_number(self) -> None:
        """Start missing workers, and release surplus workers that are idle."""
        while len(self.all) < self.wanted:
            self.all.append(self.pool.start_worker(len(self.all)))
        for worker in self.all[self.wanted :]:
            self.scheduler.unreserve(worker)  # it gets no more tasks
        while len(self.all) > self.wanted and not self.all[-1].assigned:
            worker = self.all.pop()
            self._leaving[worker] = time.monotonic() + _PATIENCE
            self.pool.retire(worker)

    def patience(self) -> float | None:
        """Return the longest time to wait for an event, in seconds."""
        if self._leaving:
            return self._patience
        for worker in self.all:
            if worker.assigned or not worker.ready or not worker.attached:
                return self._patience
        return None

    def handle(self, event: ResultsReady | WorkerEnded | PoolEnded) -> None:
        """Handle an event of the pool.

        Raises:
            WorkerStartError: If too many workers die, or cannot be started.
        """
        if not isinstance(event, PoolEnded) and event.worker in self._leaving:
            more = event.worker.attached and self.receiver.read_output(event.worker)
            if not more or isinstance(event, WorkerEnded):
                self._let_go(event.worker)
        elif isinstance(event, ResultsReady):
            if event.worker.attached:
                self.receiver.read(event.worker)
        elif isinstance(event, PoolEnded):
            for worker in [*self._leaving]:
                self._let_go(worker)
            for worker in self.all:  # they stay in the list, to be released if this fails
                self._requeue(worker, event.code)
            self.all = []
            self.start()
        elif event.worker in self.all:
            self._requeue(event.worker, event.code)
            self.all[event.worker.number] = self.pool.start_worker(event.worker.number)

    def end_overdue(self) -> None:
        """End workers whose item, start or end takes too long."""
        if self._leaving:
            now = time.monotonic()
            for worker in [each for each, deadline in self._leaving.items() if deadline < now]:
                if worker.attached:
                    self.receiver.read_output(worker)
                _tell_slow_ends([worker])
                self.receiver.has_output = True
                self.pool.kill(worker)
                self._let_go(worker)
        if self._timeouts is not None:
            self._timeouts.end_overdue(self.all)

    def _let_go(self, worker: PoolWorker) -> None:
        """Forget a worker that has ended in order, or should have."""
        del self._leaving[worker]
        worker.output.end()
        self.pool.release(worker)

    def _requeue(self, worker: PoolWorker, code: int | None) -> None:
        """Requeue the unanswered items of a worker that died; deliver the item that is the cause.

        Raises:
            WorkerStartError: If too many workers died before it.
        """
        if worker.attached:
            self.receiver.read(worker)  # its finished items
        worker.output.end()
        self.pool.release(worker)
        alone = bool(worker.assigned) and worker.assigned[0].alone
        began = worker.ready and not (alone and worker.path is None)
        culprit = self.scheduler.died(worker, began=began)
        fault_injection.reach("consumer-requeued")
        damage = worker.reader.damage
        how = meaning(code) if damage is None else f"its data was damaged: {damage}"
        if culprit is not None:
            job, offset, index = culprit
            why = f"a worker process died twice while it evaluated item {index}: {how}"
            self.receiver.fail(job, offset, Failure(WorkerDied(why), worker.path or ()))
        self.receiver.deaths_in_a_row += 1
        if self.receiver.deaths_in_a_row > self._most_deaths:
            raise WorkerStartError(f"worker processes die before they evaluate anything: {how}")

    def send_tasks(self) -> None:
        """Send tasks to workers that have little work."""
        workers = [worker for worker in self.all[: self.wanted] if worker.attached]
        for worker, task in self.scheduler.assign(workers):
            if len(worker.assigned) == 1:
                worker.active_since = time.monotonic()
            if fault_injection.armed:
                fault_injection.reach("consumer-task")
            try:
                worker.send(self._message(worker, task))
            except BlockingIOError:
                self.scheduler.refused(worker)
                return
            if fault_injection.armed:
                fault_injection.reach("consumer-task-sent")

    def _message(self, worker: PoolWorker, task: Task) -> bytes:
        indices, ahead = task.indices, list[int]()
        # an item that may kill the worker must not be loaded by a thread that reads ahead
        if self._hinted and not task.alone:
            ahead = [*indices[:AHEAD], *self.scheduler.upcoming(worker)]
        return task_messages.task(
            task.number, indices, self.mode, ahead, timed=self._timed, watched=task.alone
        )

    def end(self) -> None:
        """End all workers, and receive their last output."""
        fault_injection.reach("consumer-close")
        self.scheduler.clear(self.all)
        workers, self.all = [*self.all, *self._leaving], []
        self._leaving.clear()
        deadline = time.monotonic() + _PATIENCE
        self.pool.stop(workers)
        fault_injection.reach("consumer-closed")
        try:
            self.pool.wait(self.receiver.read_output)
            if time.monotonic() >= deadline:
                _tell_slow_ends(workers)
        finally:
            for worker in workers:
                self.pool.release(worker)


def _tell_slow_ends(workers: Iterable[PoolWorker]) -> None:
    """Have a reader warn of `workers` that were killed in what they call at their end."""
    for ending, what in _AT_THE_END:
        numbers = [str(worker.number) for worker in workers if worker.ending == ending]
        if numbers:
            es, s, were = ("es", "s", "were") if numbers[1:] else ("", "", "was")
            message = (
                f"{what} worker process{es} {', '.join(numbers)} did not end within "
                f"{_PATIENCE:g} s, and the worker{s} {were} killed: keep it short"
            )
            said.append(PendingWarnings([message]).tell)
