"""Items evaluated by worker processes.

        submit ──▶ notes ──▶ operator ──▶ tasks ══ pipe of tasks ══▶ worker ──┐
                               ▲   (those of a worker that died)              │
        deliver ◀──────────────┴────────────── results ◀══ pipe of results ═══┘

Every worker has a pair of pipes of its own, so that there is no lock that one could
take with it when it dies. It is given a few tasks at a time, about 20 ms of work, and the rest
waits with the scheduler, where it can be cancelled, and from where the worker that is free
takes it.

When a worker dies, what it had finished is delivered, and the rest is evaluated again.
One of the items that it had begun may be the cause, so these are given out one by one,
and the one at which a worker dies again is an error.

All of that is done by one thread, the `Operator`. The `ResultReceiver` takes what workers send,
the `DeathHandler` their ends, and `Timeouts` the items that take too long.
"""

import os
import time
import warnings
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any

from seqtools._core.errors import seterr
from seqtools.engines.base import PAUSE, Deliver, GroupOf, Job
from seqtools.engines.process.background_threads import KnownReasons
from seqtools.engines.process.operator import NO_START, Operator
from seqtools.engines.process.results import ResultReceiver
from seqtools.engines.process.scheduler import Scheduler
from seqtools.engines.process.start_methods import TemplateArguments, make_pool
from seqtools.engines.process.worker import GRAIN, MODES
from seqtools.engines.resource_errors import told
from seqtools.engines.uninterruptible import imports
from seqtools.engines.wire.arena_reader import LeasedBytes
from seqtools.engines.wire.classes import classes_by_value
from seqtools.engines.wire.shipment import PickledPipeline, ResultLoader


class ProcessEngine:
    """Worker processes, each with its pipes, forked from a template process.

    What belongs to the user is referred to here, and not in the operator: a thread would keep it
    for as long as it runs, and an object that has its own prefetch would never be collected.
    """

    grain = GRAIN
    """Seconds of work that are worth a message."""

    def __init__(  # noqa: PLR0913, PLR0917 -- what a worker needs
        self,
        source: Any,
        get: Callable[[int], Any],
        nworkers: int,
        start_hook: Callable[..., object] | None = None,
        start_method: str = "template",
        hints: Any = None,
        *,
        deliver: Deliver,
        timeout: float | None = None,
        most_kept: int = 1 << 30,
        group_of: GroupOf | None = None,
        pickled: PickledPipeline | None = None,
        begin_with: int | None = None,
        known: KnownReasons | None = None,
    ) -> None:
        self.group_of = group_of
        """Tells which items should be evaluated by the same worker, `None` if that is the same."""
        self._warned = False
        self._budget = budget = LeasedBytes(most_kept)
        self._known = known = KnownReasons() if known is None else known
        payload: int | None = None
        self._pipeline: TemplateArguments | None = None
        if start_method != "fork":  # what cannot be pickled is known before anything starts
            shipment = (pickled or PickledPipeline(source, get, start_hook, hints)).shipped()
            payload, by_value = shipment.fd, shipment.by_value
        else:
            by_value = [*classes_by_value()]
            self._pipeline = TemplateArguments((get, hints, by_value), start_hook)
        self._loader = ResultLoader(by_value, importing=imports())
        try:
            with told(NO_START):
                pool = make_pool(
                    start_method,
                    self._pipeline,
                    payload,
                    nworkers,
                    budget,
                    known,
                    hooked=start_hook is not None,
                )
        except BaseException:
            if payload is not None:
                os.close(payload)
            raise
        scheduler = Scheduler(GRAIN, hinted=hints is not None)
        receiver = ResultReceiver(scheduler, self._loader, pool, deliver, timed=timeout is not None)
        self._operator = Operator(
            pool,
            scheduler,
            receiver,
            nworkers,
            nworkers if begin_with is None else begin_with,
            timeout=timeout,
            hinted=hints is not None,
            budget=budget,
            known=known,
            payload=payload,
        )
        try:
            self._operator.start()
        except BaseException:
            self._operator.close(wait=True)
            raise

    def __del__(self) -> None:
        """End the workers of an engine that nobody has closed."""
        with suppress(AttributeError):  # it was never made
            self._operator.close(wait=False)

    # What an engine does

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job] = ()) -> None:
        """Take jobs on; those that are `urgent` before all that wait."""
        self._operator.note(Operator.submit, ahead, urgent, MODES.index(seterr()))

    def cancel(self, ids: Collection[int]) -> None:
        """Do not begin items of these jobs that nobody has begun: nobody expects them."""
        self._operator.note(Operator.cancel, frozenset(ids))

    def look(self) -> float:
        """Have done what an interrupted thread has asked for."""
        self._operator.wake()
        return PAUSE

    def close(self, *, wait: bool = True) -> None:
        """Stop all work and end the processes."""
        self._operator.close(wait=wait)

    def busy(self) -> int:
        """Return how many workers are ready and have something to answer."""
        workers = [*self._operator.workers]
        return sum([worker.ready and bool(worker.dealt) for worker in workers])

    @property
    def nworkers(self) -> int:
        """The number of workers, those included that are still to be started."""
        return self._operator.wanted

    @property
    def news(self) -> bool:
        """Whether `tell` has something to do."""
        return self._known.news or (self._budget.exceeded and not self._warned)

    def waited(self, seconds: float) -> None:
        """Note that a reader is in need of results."""
        del seconds
        self._operator.awaited = time.monotonic()

    def tell(self) -> None:
        """Warn of what has to be known, in the thread of a reader."""
        if self._budget.exceeded and not self._warned:
            self._warned = True
            self._warn_of_copies()
        if self._known.news:
            self._known.warn()

    # What only this one does

    def withdraw(self, give: Callable[[list[Job]], object]) -> None:
        """Have `give` called, by the operator, with all jobs that no worker was given.

        They are not going to be delivered. What may have killed a worker is not among them. As
        long as `give` was not called, this engine has the jobs, and it does with them what it
        would do otherwise: so an interrupted call of this loses nothing.
        """
        self._operator.note(Operator.withdraw, give)

    def resize(self, nworkers: int) -> None:
        """Have so many workers from now on, up to the number given at first.

        It stays at those that there are where the system refuses more.
        """
        self._operator.note(Operator.resize, nworkers)

    def ask(self, tell: Callable[[bool], object]) -> None:
        """Have `tell` called, by the operator, with whether there is nothing left to deliver."""
        self._operator.note(Operator.ask, tell)

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self._operator.workers)

    @property
    def begun(self) -> bool:
        """Whether a worker has loaded the pipeline."""
        return True in [worker.ready for worker in [*self._operator.workers]]

    @property
    def spent(self) -> float:
        """Seconds that workers have taken for what they have answered."""
        return self._operator.receiver.spent

    @property
    def answered(self) -> int:
        """Items that they have answered."""
        return self._operator.receiver.answered

    @property
    def deaths(self) -> int:
        """Workers that have died."""
        return self._operator.deaths.count

    def _warn_of_copies(self) -> None:
        message = (
            f"more than {self._budget.most >> 20:,} MB of values from worker processes are kept: "
            "from here on, values are copied out of the memory of the workers"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=2)
