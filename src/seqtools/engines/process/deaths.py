"""What is done when a worker has died: its work is taken back, and somebody may be to blame."""

from seqtools._core.errors import Failure, WorkerDied, WorkerStartError
from seqtools.engines import fault_injection
from seqtools.engines.process.launcher import meaning
from seqtools.engines.process.pool import PoolWorker, WorkerPool
from seqtools.engines.process.results import ResultReceiver
from seqtools.engines.process.scheduler import Scheduler

_MOST_DEATHS = 3
"""Deaths for each worker, in a row and without a result, to give up after. Arbitrary."""


class DeathHandler:
    """Settles what workers leave behind that have died.

    Args:
        scheduler: Takes their work back.
        receiver: Takes what they had finished.
        pool: Lets go of them.
        nworkers: How many there are at most.
    """

    def __init__(
        self, scheduler: Scheduler, receiver: ResultReceiver, pool: WorkerPool, nworkers: int
    ) -> None:
        self._scheduler, self._receiver, self._pool = scheduler, receiver, pool
        self._most = _MOST_DEATHS * nworkers
        self.count = 0
        """Workers that have died."""

    def settle(self, worker: PoolWorker, code: int) -> WorkerStartError | None:
        """Take back what a worker that died has not answered.

        Returns an error if it makes no sense to replace it, as too many died before it.
        """
        self.count += 1
        if worker.attached:
            self._receiver.read(worker)  # what it had finished
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
        self._receiver.unlucky += 1
        if self._receiver.unlucky <= self._most:
            return None
        return WorkerStartError(f"worker processes die before they evaluate anything: {how}")
