"""What is done when a worker has died: its work is taken back, and somebody may be to blame."""

from seqtools.engines import faults
from seqtools.engines.crews import Crew, Member
from seqtools.engines.launch import meaning
from seqtools.engines.scheduler import Scheduler
from seqtools.engines.taking import Taker
from seqtools.errors import Failure, WorkerDied, WorkerStartError

_MOST_DEATHS = 3
"""Deaths for each worker, in a row and without a result, to give up after. Arbitrary."""


class Deaths:
    """Settles what workers leave behind that have died.

    Args:
        scheduler: Takes their work back.
        taker: Takes what they had finished.
        crew: Lets go of them.
        nworkers: How many there are at most.
    """

    def __init__(self, scheduler: Scheduler, taker: Taker, crew: Crew, nworkers: int) -> None:
        self._scheduler, self._taker, self._crew = scheduler, taker, crew
        self._most = _MOST_DEATHS * nworkers
        self.count = 0
        """Workers that have died."""

    def settle(self, worker: Member, code: int) -> WorkerStartError | None:
        """Take back what a worker that died has not answered.

        Returns an error if it makes no sense to replace it, as too many died before it.
        """
        self.count += 1
        if worker.attached:
            self._taker.read(worker)  # what it had finished
        worker.heard.end()
        self._crew.let_go(worker)
        alone = bool(worker.dealt) and worker.dealt[0].alone
        began = worker.ready and not (alone and worker.path is None)
        culprit = self._scheduler.died(worker, began=began)
        faults.reach("consumer-lost")
        damage = worker.reader.damage
        how = meaning(code) if damage is None else f"what it sent was damaged, as {damage}"
        if culprit is not None:
            job, offset, index = culprit
            why = f"a worker process died twice while it evaluated item {index}: {how}"
            self._taker.fail(job, offset, Failure(WorkerDied(why), worker.path or ()))
        self._taker.unlucky += 1
        if self._taker.unlucky <= self._most:
            return None
        return WorkerStartError(f"worker processes end before they evaluate anything: {how}")
