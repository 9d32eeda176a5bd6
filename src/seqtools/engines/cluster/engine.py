"""Items evaluated by a cluster: an executor, Dask, Ray.

        submit ──▶ notes ──▶ dispatcher ──▶ calls ══ transport ══▶ remote.work ──┐
                                 ▲   (those that were lost)                      │
        deliver ◀────────────────┴──────────────── answers ◀══ transport ════════┘

A cluster takes milliseconds for a call. So a job takes 0.1 seconds or more, and each place in the
cluster has two of them: one to do, one to go on with. One thread, the `Dispatcher`, does the work.
"""

import weakref
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any

from seqtools._core.errors import WorkerStartError, seterr
from seqtools.engines.base import PAUSE, Deliver, GroupOf, Job
from seqtools.engines.cluster.dispatcher import Dispatcher
from seqtools.engines.cluster.local import LocalPipeline
from seqtools.engines.cluster.shipment import Shipment
from seqtools.engines.cluster.transport import Transport
from seqtools.engines.dispatch.evaluator import MODES
from seqtools.engines.uninterruptible import imports
from seqtools.engines.wire.result_pickling import ResultLoader


class ClusterEngine:
    """A transport, and a thread that uses it; see `ProcessEngine` for who refers to what.

    Args:
        transport: Makes calls in the cluster.
        source: The pipeline.
        get: Evaluates an item, in this process.
        get_apart: The same in another process.
        start_hook: Called once in each worker.
        hints: Called with the indices that come next, or `None`.
        timeout: Seconds that an item may take, if the transport can end items.
        group_of: Returns which items one worker should evaluate together.
        most_kept: How many bytes of workers' memory may be kept.
        deliver: Takes outcomes.

    Raises:
        WorkerStartError: If the pipeline cannot be sent, or the cluster cannot be used.
    """

    def __init__(  # noqa: PLR0913 -- what a worker needs
        self,
        transport: Transport,
        source: Any,
        get: Callable[[int], Any],
        get_apart: Callable[[int], Any],
        *,
        start_hook: Callable[..., object] | None = None,
        hints: Any = None,
        timeout: float | None = None,
        group_of: GroupOf | None = None,
        most_kept: int = 1 << 30,
        deliver: Deliver,
    ) -> None:
        self.group_of = group_of
        shipment = None
        if transport.shares_memory:
            self._pipeline: Any = LocalPipeline(get, start_hook, hints)
        else:
            shipment = Shipment(source, get_apart, start_hook, hints)
            self._pipeline = ResultLoader(shipment.by_value, importing=imports())
        self._dispatcher = Dispatcher(
            transport,
            shipment,
            weakref.ref(self._pipeline),
            hinted=hints is not None,
            timeout=timeout,
            most_kept=most_kept,
            deliver=deliver,
        )
        try:
            self._dispatcher.start()
        except WorkerStartError:
            self._dispatcher.close(wait=True)
            raise

    def __del__(self) -> None:
        """End the work of an engine that was not closed."""
        with suppress(AttributeError):  # `__init__` did not get that far
            self._dispatcher.close(wait=False)

    @property
    def grain(self) -> float:
        """The target duration of a job: see `Dispatcher.grain`."""
        return self._dispatcher.grain

    @property
    def nworkers(self) -> int:
        """The number of places, including those that are still starting."""
        return self._dispatcher.wanted

    @property
    def news(self) -> bool:
        """Whether `tell` has something to do."""
        return bool(self._dispatcher.warnings)

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job] = ()) -> None:
        """Accept jobs; evaluate `urgent` ones before all waiting jobs."""
        self._dispatcher.note(Dispatcher.submit, ahead, urgent, MODES.index(seterr()))

    def cancel(self, ids: Collection[int]) -> None:
        """Do not begin items of these jobs that no worker has: no reader expects them."""
        self._dispatcher.note(Dispatcher.cancel, frozenset(ids))

    def look(self) -> float:
        """Do nothing: the dispatcher waits for everything itself."""
        return PAUSE

    def waited(self, seconds: float) -> None:
        """Note that a reader has waited."""

    def tell(self) -> None:
        """Issue pending warnings, in the thread of a reader."""
        self._dispatcher.warnings.tell()

    def close(self, *, wait: bool = True) -> None:
        """Stop all work, and leave the cluster as it was."""
        if isinstance(self._pipeline, LocalPipeline):
            self._pipeline.end()
        self._dispatcher.close(wait=wait)

    def busy(self) -> int:
        """Return the number of places that have something to do."""
        return self._dispatcher.busy()
