"""The protocol of transports: what an engine asks of a cluster.

A transport knows a cluster, and nothing of items. The engine knows tasks and who is to blame, and
no cluster:

    engine ── post(place, call) ──▶ transport ══▶ remote.work(call), in a worker
    engine ◀── notify(number, what came) ── transport

A cluster calls `notify` from threads of its own. It only puts into a queue; the thread of the
engine takes from there, loads the answer, and posts the next calls. So nothing is ever posted from
a callback, and work goes on while the consumer computes.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from seqtools.engines.cluster.shipment import Shipment
from seqtools.engines.dispatch.affinity import WorkerQueue
from seqtools.engines.dispatch.output_display import WorkerOutput

Notify: TypeAlias = Callable[[int, Any], None]
"""Takes the number of a call and what came of it, from any thread. With number 0 it is not about a
call: the places may have changed."""


class Place(WorkerQueue):
    """Evaluates one task at a time: an actor, a thread of a worker, a share of a pool.

    Args:
        address: Where that is, as the transport knows it.
        number: See `Transport.numbered`.
    """

    __slots__ = ("address", "loaded", "number", "output", "since")

    def __init__(self, address: Any = None, number: int | None = None) -> None:
        super().__init__()
        self.address, self.number = address, number
        self.output = WorkerOutput()
        self.since = 0.0
        """When its current task was posted. For the engine only."""
        self.loaded = False
        """Whether it has the pipeline, if the engine has made sure of that. For the engine only."""


class LostError(Exception):
    """A call was lost, because a worker died.

    Args:
        why: What happened.
        deaths: How many workers have died over it; 0 if it is not to blame.
        place_ended: Whether the place has ended, with all calls that it had.
    """

    def __init__(self, why: str, *, deaths: int = 1, place_ended: bool = False) -> None:
        super().__init__(why)
        self.deaths, self.place_ended = deaths, place_ended


class BrokenError(Exception):
    """Nothing can be evaluated there any more."""


class Transport(Protocol):
    """A cluster. Only the thread of the engine calls the methods, and reads the attributes."""

    title: str
    """How it is called in messages, such as `"Dask"`."""
    grain: float
    """Seconds that a task should take at least."""
    shares_memory: bool
    """Whether workers are threads of this process, which share its objects."""
    directs: bool
    """Whether a call goes to the place that it was posted to."""
    numbered: bool
    """Whether each place is a process, whose number is `Place.number`, for start hooks."""
    ends_items: bool
    """Whether `end` can be called."""

    @property
    def overhead(self) -> float:
        """Seconds of processor time that a call costs this process, outside the engine's thread."""

    @property
    def isolates(self) -> bool:
        """Whether a death concerns one place only."""

    @property
    def spare(self) -> bool:
        """Whether more calls can be made at a time than there are places."""

    @property
    def turns(self) -> bool:
        """Whether each worker process evaluates one call at a time."""

    def open(self, shipment: Shipment | None, notify: Notify) -> None:
        """Begin; `shipment` is the pipeline, `None` if workers share memory.

        Raises:
            BrokenError: If the cluster cannot be used.
        """

    def places(self) -> Sequence[Place]:
        """Return the places that can evaluate something now; each is the same object again.

        Raises:
            BrokenError: If nothing can be evaluated any more.
        """

    def wanted(self) -> int:
        """Return the number of places once all have started."""

    def post(self, place: Place, number: int, call: Any, *, payload: bool) -> None:
        """Have `remote.work(call)` called, with the payload of the shipment if `payload`.

        Never waits. One call of `notify` with this `number` follows, unless `close` comes first.

        Raises:
            BrokenError: If nothing can be evaluated any more.
        """

    def answer(self, came: Any) -> Any:
        """Return what `remote.work` has returned, given what `notify` was called with.

        Raises:
            LostError: If a worker has died over the call.
            BrokenError: If nothing can be evaluated any more.
        """

    def own(self, part: Any) -> Any:
        """Return a part of an answer as memory that arrays may lie in and be assigned to."""

    def renew(self) -> bool:
        """Replace what is broken, and return whether that is possible."""

    def end(self, place: Place) -> None:
        """End what a place is doing, and replace it. No `notify` about its calls need follow."""

    def ship(self, path: str) -> str:
        """Return what to do so that workers have the module of the user at `path`."""

    def news(self) -> list[str]:
        """Return warnings for the user, each once."""

    def close(self) -> None:
        """Recall all calls and forget the pipeline; leave what is the user's as it was."""
