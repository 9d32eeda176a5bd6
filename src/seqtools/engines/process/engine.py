"""Items evaluated by worker processes.

        submit ──▶ notes ──▶ operator ──▶ tasks ══ pipe of tasks ══▶ worker ──┐
                               ▲   (those of a worker that died)              │
        deliver ◀──────────────┴────────────── results ◀══ pipe of results ═══┘

Every worker has its own pair of pipes, so a worker that dies cannot leave a lock held. A worker has
a few tasks at a time, about 20 ms of work. Other tasks wait in the scheduler, where they can be
cancelled, until a worker is free.

When a worker dies, its finished items are delivered, and the others are evaluated again. The items
that it had begun, of which one may be the cause, are sent one by one. The item at which a second
worker dies fails.

One thread, the `Operator`, does all this. The `ResultReceiver` handles the messages of workers,
`Workers` their deaths, and `Timeouts` the items that take too long.
"""

import os
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any

from seqtools._core.errors import seterr
from seqtools.engines.base import PAUSE, Deliver, GroupOf, Job
from seqtools.engines.dispatch.evaluator import GRAIN, MODES
from seqtools.engines.dispatch.scheduler import Scheduler
from seqtools.engines.process.background_threads import KnownReasons
from seqtools.engines.process.direct_fork import ForkArguments
from seqtools.engines.process.operator import NO_START, Operator
from seqtools.engines.process.results import ResultReceiver
from seqtools.engines.process.start_methods import make_pool
from seqtools.engines.process.workers import Workers
from seqtools.engines.resource_errors import as_start_error
from seqtools.engines.uninterruptible import imports
from seqtools.engines.wire.arena_reader import LeasedBytes
from seqtools.engines.wire.classes import classes_by_value
from seqtools.engines.wire.result_pickling import ResultLoader
from seqtools.engines.wire.shipment import PickledPipeline, Pipeline


class ProcessEngine:
    """Worker processes, each with its own pipes.

    References to objects of the user are here and not in the operator: its thread would keep them
    alive, and an object that holds its own prefetch would never be garbage-collected.
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
        end_hook: Callable[..., object] | None = None,
    ) -> None:
        self.group_of = group_of
        """Returns which items one worker should evaluate together, `None` if it does not matter."""
        budget = LeasedBytes(most_kept)
        known = KnownReasons() if known is None else known
        payload: int | None = None
        self._pipeline: ForkArguments | None = None
        if start_method != "fork":  # pickling errors are raised before anything starts
            pickled = pickled or PickledPipeline(source, get, start_hook, hints, end_hook)
            payload, by_value = pickled.write(), pickled.by_value
        else:
            by_value = [*classes_by_value()]
            pipeline = Pipeline(get, hints, by_value, end_hook)
            self._pipeline = ForkArguments(pipeline, start_hook)
        self._loader = ResultLoader(by_value, importing=imports())
        try:
            with as_start_error(NO_START):
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
        receiver = ResultReceiver(scheduler, self._loader, pool, deliver)
        workers = Workers(
            pool,
            scheduler,
            receiver,
            nworkers,
            nworkers if begin_with is None else begin_with,
            timeout=timeout,
            hinted=hints is not None,
        )
        self._operator = Operator(workers, budget, known, payload)
        try:
            self._operator.start()
        except BaseException:
            self._operator.close(wait=True)
            raise

    def __del__(self) -> None:
        """End the workers of an engine that was not closed."""
        with suppress(AttributeError):  # `__init__` did not get that far
            self._operator.close(wait=False)

    # The protocol of engines

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job] = ()) -> None:
        """Accept jobs; evaluate `urgent` ones before all waiting jobs."""
        self._operator.note(Operator.submit, ahead, urgent, MODES.index(seterr()))

    def cancel(self, ids: Collection[int]) -> None:
        """Do not begin items of these jobs that no worker has: no reader expects them."""
        self._operator.note(Operator.cancel, frozenset(ids))

    def look(self) -> float:
        """Wake the operator, if the thread that left a note was interrupted before it did."""
        self._operator.wake()
        return PAUSE

    def close(self, *, wait: bool = True) -> None:
        """Stop all work and end the processes."""
        self._operator.close(wait=wait)

    def busy(self) -> int:
        """Return the number of workers that are ready and have tasks."""
        workers = [*self._operator.workers.all]
        return sum([worker.ready and bool(worker.assigned) for worker in workers])

    @property
    def nworkers(self) -> int:
        """The number of workers, including those that will be started."""
        return self._operator.workers.wanted

    @property
    def news(self) -> bool:
        """Whether `tell` has something to do."""
        return bool(self._operator.warnings)

    def waited(self, seconds: float) -> None:
        """Note that a reader needs results."""
        del seconds
        self._operator.awaited = time.monotonic()

    def tell(self) -> None:
        """Issue pending warnings, in the thread of a reader."""
        self._operator.warnings.tell()

    # What only this one does

    def resize(self, nworkers: int) -> None:
        """Have so many workers from now on, up to the number given at first.

        It stays at those that there are where the system refuses more.
        """
        self._operator.note(Operator.resize, nworkers)

    @property
    def begun(self) -> bool:
        """Whether a worker has loaded the pipeline."""
        return True in [worker.ready for worker in [*self._operator.workers.all]]
