"""The dispatcher: the thread that does all the work of a cluster engine.

Only this thread uses the transport and the scheduler. Other threads, and those of the cluster, put
events into its queue, which is a single step.
"""

import threading
import time
import traceback
import weakref
from collections.abc import Collection, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from seqtools._core.errors import Failure, ItemTimeout, WorkerStartError
from seqtools.engines.base import Deliver, Job
from seqtools.engines.cluster.calls import Calls
from seqtools.engines.cluster.shipment import Shipment
from seqtools.engines.cluster.transport import BrokenError, Place, Transport
from seqtools.engines.dispatch.pending_warnings import PendingWarnings
from seqtools.engines.dispatch.recent_jobs import RecentJobs
from seqtools.engines.dispatch.serving import await_end, serving
from seqtools.engines.resource_errors import start_thread

_LOOK = 1.0
"""Seconds between two looks at the places of the cluster. Arbitrary."""


class Dispatcher(Calls):
    """See the module. It refers to no object of the user, except values that are being delivered.

    Args:
        transport: The cluster.
        shipment: The pipeline, unless workers share memory.
        pipeline: Loads values; or the pipeline itself, if workers share memory.
        hinted: Whether a stage acts on hints.
        timeout: Seconds that an item may take.
        most_kept: How many bytes of workers' memory may be kept.
        deliver: Takes outcomes.
    """

    def __init__(  # noqa: PLR0913 -- what it works with
        self,
        transport: Transport,
        shipment: Shipment | None,
        pipeline: "weakref.ref[Any]",
        *,
        hinted: bool,
        timeout: float | None,
        most_kept: int,
        deliver: Deliver,
    ) -> None:
        super().__init__(
            transport, shipment, pipeline, hinted=hinted, timeout=timeout, most_kept=most_kept
        )
        self._deliver = deliver
        self.warnings = PendingWarnings()
        """Warnings for the reader."""
        self._recent = RecentJobs()
        self._looked = 0.0
        self._events: SimpleQueue[Any] = SimpleQueue()
        self._closing = self._ended = False
        self._end: SimpleQueue[None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    # From any thread

    def start(self) -> None:
        """Open the transport, in the calling thread, and start the thread.

        Raises:
            WorkerStartError: If the cluster cannot be used.
        """
        try:
            self._transport.open(
                self._shipment, lambda number, came: self._events.put((number, came))
            )
        except BrokenError as error:
            raise WorkerStartError(str(error)) from error.__cause__
        self.wanted = self._transport.wanted()
        # A thread that has ended drops its arguments, so that nothing refers in a circle.
        thread = threading.Thread(
            target=Dispatcher._run, args=(self,), name="seqtools-dispatcher", daemon=True
        )
        self._thread = thread
        try:
            start_thread(thread)
        except WorkerStartError:
            self._thread = None
            raise

    def note(self, *note: Any) -> None:
        """Have the thread call a method of this class: the function, and its arguments."""
        self._events.put(note)

    def busy(self) -> int:
        """Return the number of places that have something to do."""
        return 0 if self._closing else sum([bool(place.assigned) for place in [*self._places]])

    def close(self, *, wait: bool) -> None:
        """Stop, and leave the cluster as it was; see `Operator.close` for `wait`."""
        self._closing = True
        thread = self._thread
        if thread is None:
            self._finish()
            return
        self._deliver = _drop
        self._events.put(None)
        await_end(thread, lambda: self._ended, self._end, wait=wait)

    # In the thread

    def _run(self) -> None:
        serving.serves = True
        try:
            self._look()
            while not self._closing:
                self._step()
        except BrokenError as error:
            self._handle_rest()
            self._fail(WorkerStartError(str(error)), error.__cause__)
        except WorkerStartError as error:
            self._fail(error, error.__cause__)
        except BaseException as error:  # noqa: BLE001 -- delivered to the reader
            self._fail(WorkerStartError(f"the engine cannot go on: {error!r}"), error)
        finally:
            self._finish()

    def _step(self) -> None:
        """Wait for events, and handle those that are there."""
        event = None
        try:
            event = self._events.get(timeout=self._seconds())
            began, self._for_items = time.thread_time(), 0.0
            answers = 0
            while event is not None and not self._closing:
                answers += self._handle(*event)
                event = None if self._events.empty() else self._events.get()
        except Empty:
            began, self._for_items, answers = time.thread_time(), 0.0, 0
        if self._closing:
            return
        if self._arenas.exceeds():
            self._warn([self._arenas.budget.warning()])
        if time.monotonic() - self._looked > _LOOK:
            self._look()
        if self._timeout is not None:
            self._end_overdue(self._timeout)
        posted = self._post_tasks()
        if answers or posted:
            cost = (time.thread_time() - began - self._for_items) / (answers + posted)
            self._cost += 0.2 * (2 * cost - self._cost)  # a call is posted and answered

    def _handle_rest(self) -> None:
        """Deliver what was finished before the cluster broke."""
        while not self._events.empty():
            event = self._events.get()
            with suppress(BrokenError, WorkerStartError):
                if event is not None and isinstance(event[0], int) and event[0]:
                    self._came(*event)

    def _seconds(self) -> float:
        """Return the longest time to wait for an event."""
        if self._timeout is not None and self._posted:
            return min(_LOOK, max(self._timeout / 8, 0.001))
        return _LOOK

    def _handle(self, what: Any, *arguments: Any) -> int:
        """Handle an event; return the number of answers in it, 0 or 1."""
        if not isinstance(what, int):
            what(self, *arguments)
            return 0
        if not what:
            self._look()
            return 0
        self._came(what, *arguments)
        return 1

    def _look(self) -> None:
        """Look which places there are."""
        self._looked = time.monotonic()
        transport = self._transport
        places = self._loaded(transport.places())
        for place in self._places:
            if place not in places:
                self._scheduler.unreserve(place)
        self._places, self.wanted = places, transport.wanted()
        self._scheduler.ahead = not transport.spare  # or a place would do two tasks at a time
        self._warn(transport.news())

    def _warn(self, new: list[str]) -> None:
        if new:
            self.warnings.extend(new)
            self._deliver(None)

    def _fail(self, error: WorkerStartError, cause: BaseException | None) -> None:
        error.__cause__ = cause
        for each in (error, cause):  # a reader may keep them: they hold no answers of the cluster
            frames = None if each is None else each.__traceback__
            if each is not None and frames is not None:
                traceback.clear_frames(frames)
                if frames.tb_frame.f_code is Dispatcher._run.__code__:  # runs: it is not cleared
                    each.__traceback__ = frames.tb_next
        if not self._closing:
            self._deliver(error)

    def _finish(self) -> None:
        if self._ended:
            return
        try:
            self._deliver = _drop
            if self._shipment is not None:
                self._shipment.end()
            self._transport.close()
        finally:
            self._arenas.end()
            self._posted.clear()
            self._events = _Ended()
            self._ended = True
            self._end.put(None)

    # Notes

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job], mode: int) -> None:
        """Accept jobs."""
        self._mode = mode
        new = self._recent.new
        ahead, urgent = new(ahead), new(urgent)
        if not self._transport.directs:  # it does not matter who gets what
            ahead = [Job(job.id, job.indices, None, job.offset) for job in ahead]
        if self._timeout is not None:  # so that it is known which item takes too long
            ahead, urgent = _one_by_one(ahead), _one_by_one(urgent)
        self._scheduler.submit(ahead, urgent)

    def cancel(self, ids: Collection[int]) -> None:
        """Forget the waiting tasks of these jobs."""
        self._scheduler.cancel(ids, self._all_places())

    def _all_places(self) -> list[Place]:
        """Return also those that have gone, if they have tasks."""
        gone = {id(place): place for place, _ in self._posted.values() if place not in self._places}
        return [*self._places, *gone.values()]

    # Tasks

    def _post_tasks(self) -> int:
        """Post tasks to places that have little to do; return their number."""
        places: Sequence[Place] = self._places
        if not self._transport.isolates:
            alone = any(task.alone for _, task in self._posted.values())
            if self._posted and (alone or self._scheduler.suspects):
                return 0  # or it would not be known who is to blame
        if self._scheduler.suspects and not self._transport.isolates:
            places = places[:1]
        n = 0
        for place, task in self._scheduler.assign(places):
            self._post(place, task)
            n += 1
        return n

    def _end_overdue(self, timeout: float) -> None:
        """End items that take too long."""
        now = time.monotonic()
        overdue = [p for p in self._places if p.assigned and now - p.since > timeout]
        for place in overdue:
            self._forget(place)
            job, offset, index = self._scheduler.timed_out(place)
            self._transport.end(place)
            message = (
                f"item {index} took longer than timeout={timeout:g} seconds in "
                f"{self._transport.title}, where its worker was replaced"
            )
            self._failed(job, offset, Failure(ItemTimeout(message)))
        if overdue:
            self._look()


class _Ended(SimpleQueue[Any]):
    """Events that come too late: none is kept, since an answer would stay in the cluster."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002
        """Drop an event."""


def _one_by_one(jobs: Sequence[Job]) -> list[Job]:
    """Return a job for each item."""
    return [
        Job(job.id, job.indices[k : k + 1], job.key, job.offset + k)
        for job in jobs
        for k in range(len(job.indices))
    ]


def _drop(_: object) -> None:
    """Drop parts that arrive after the end."""
