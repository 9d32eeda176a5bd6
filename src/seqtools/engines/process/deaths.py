"""What happens when a worker dies: its items are requeued, and one may be found to be the cause."""

from seqtools._core.errors import Failure, WorkerDied, WorkerStartError
from seqtools.engines import fault_injection
from seqtools.engines.process.launcher import meaning
from seqtools.engines.process.pool import PoolWorker, WorkerPool
from seqtools.engines.process.results import ResultReceiver
from seqtools.engines.process.scheduler import Scheduler

_MOST_DEATHS = 3
"""Deaths for each worker without a result in between, after which the engine fails. Arbitrary."""


class DeathHandler:
    """Handles the death of workers.

    Args:
        scheduler: Requeues their items.
        receiver: Reads their last results.
        pool: Releases them.
        nworkers: The largest number of workers.
    """

    def __init__(
        self, scheduler: Scheduler, receiver: ResultReceiver, pool: WorkerPool, nworkers: int
    ) -> None:
        self._scheduler, self._receiver, self._pool = scheduler, receiver, pool
        self._most = _MOST_DEATHS * nworkers

    def settle(self, worker: PoolWorker, code: int) -> WorkerStartError | None:
        """Requeue the unanswered items of a worker that died.

        Returns an error if it should not be replaced, because too many workers died before it.
        """
        if worker.attached:
            self._receiver.read(worker)  # its finished items
        worker.heard.end()
        self._pool.let_go(worker)
        alone = bool(worker.dealt) and worker.dealt[0].alone
        began = worker.ready and not (alone and worker.path is None)
        culprit = self._scheduler.died(worker, began=began)
        fault_injection.reach("consumer-lost")
        damage = worker.reader.damage
        how = meaning(code) if damage is None else f"its data was damaged: {damage}"
        if culprit is not None:
            job, offset, index = culprit
            why = f"a worker process died twice while it evaluated item {index}: {how}"
            self._receiver.fail(job, offset, Failure(WorkerDied(why), worker.path or ()))
        self._receiver.deaths_in_a_row += 1
        if self._receiver.deaths_in_a_row <= self._most:
            return None
        return WorkerStartError(f"worker processes die before they evaluate anything: {how}")
