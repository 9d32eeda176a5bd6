"""The dispatcher: the thread that does all the work of a cluster engine.

Only this thread uses the transport and the scheduler. Other threads, and those of the cluster, put
events into its queue, which is a single step.
"""

import sys
import threading
import time
import weakref
from collections.abc import Collection, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from seqtools._core.errors import Failure, ItemTimeout, WorkerDied, WorkerStartError
from seqtools.engines.base import AHEAD, PAUSE, Deliver, Job, Part
from seqtools.engines.cluster.remote import DONE, LACKING, SPEAKS, UNABLE, Answer, Call
from seqtools.engines.cluster.shipment import Shipment
from seqtools.engines.cluster.transport import BrokenError, LostError, Place, Transport
from seqtools.engines.dispatch.outcomes import UnusableError, parts_of
from seqtools.engines.dispatch.pending_warnings import PendingWarnings
from seqtools.engines.dispatch.recent_jobs import RecentJobs
from seqtools.engines.dispatch.scheduler import Scheduler, Task
from seqtools.engines.dispatch.serving import serving
from seqtools.engines.resource_errors import start_thread
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.result_messages import PRINTED, REST

_TWO = 2
"""Tasks of a place: one to do, one to go on with."""
_STUCK = 4
"""After this many times the grain, a worker gives the rest of a task back. Measured."""
_SMALL = 1 << 16
"""Bytes of a pipeline that goes along with the first calls, whether it is needed or not."""
_MOST_DEATHS = 3
"""Deaths for each place without an answer in between, after which the engine fails. Arbitrary."""
_LONGEST_LIST = 1 << 16
_PATIENCE = 2.0
"""Seconds that `close` waits if the garbage collector may be the caller. Arbitrary."""
_LOOK = 1.0
"""Seconds between two looks at the places of the cluster. Arbitrary."""


class Dispatcher:
    """See the module. It refers to no object of the user, except values that are being delivered.

    Args:
        transport: The cluster.
        shipment: The pipeline, unless workers share memory.
        pipeline: Loads values; or the pipeline itself, if workers share memory.
        hinted: Whether a stage acts on hints.
        timeout: Seconds that an item may take.
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
        deliver: Deliver,
    ) -> None:
        self._transport, self._shipment, self._pipeline = transport, shipment, pipeline
        self._hinted, self._timeout = hinted, timeout
        self._deliver = deliver
        self.warnings = PendingWarnings()
        """Warnings for the reader."""
        self.wanted = transport.wanted()
        """The number of places once all have started."""
        self._scheduler = Scheduler(
            transport.grain,
            hinted=hinted and transport.directs,
            most=1 if timeout is not None else _TWO,
            longest=_LONGEST_LIST,
        )
        self._places: list[Place] = []
        self._posted: dict[int, tuple[Place, Task]] = {}
        self._recent = RecentJobs()
        self._mode = 0
        self._cost = 0.0  # seconds of this thread for a call: a moving average
        self._deaths_in_a_row = 0
        self._looked = 0.0
        self._events: SimpleQueue[Any] = SimpleQueue()
        self._closing = self._ended = False
        self._end: SimpleQueue[None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    # From any thread

    @property
    def grain(self) -> float:
        """The target duration of a job, in seconds.

        It grows with the number of workers, so that this process has time for them all.
        """
        if self._timeout is not None:
            return 0.0  # so that it is known which item takes too long
        cost = self._cost + self._transport.overhead
        return max(self._transport.grain, 2 * self.wanted * cost)

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
        deadline = time.monotonic() + _PATIENCE
        while (
            not self._ended
            and not serving.serves
            and thread.is_alive()
            and not sys.is_finalizing()
            and (wait or time.monotonic() < deadline)
        ):
            try:
                # not join(): in a thread that is ending, it would create a dummy thread object
                self._end.get(timeout=PAUSE)
            except Empty:
                continue
            self._end.put(None)  # for other threads that wait

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
            began = time.thread_time()
            answers = 0
            while event is not None and not self._closing:
                answers += self._handle(*event)
                event = None if self._events.empty() else self._events.get()
        except Empty:
            began, answers = time.thread_time(), 0
        if self._closing:
            return
        if time.monotonic() - self._looked > _LOOK:
            self._look()
        if self._timeout is not None:
            self._end_overdue(self._timeout)
        posted = self._post_tasks()
        if answers and posted:
            cost = (time.thread_time() - began) / max(answers, posted)
            self._cost += 0.2 * (cost - self._cost)

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
        places = list(transport.places())
        for place in self._places:
            if place not in places:
                self._scheduler.unreserve(place)
        self._places, self.wanted = places, transport.wanted()
        if new := transport.news():
            self.warnings.extend(new)
            self._deliver(None)

    def _fail(self, error: WorkerStartError, cause: BaseException | None) -> None:
        error.__cause__ = cause
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
            self._posted.clear()
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
        if self._scheduler.suspects and not self._transport.isolates:
            if self._posted:
                return 0  # or it would not be known who is to blame
            places = places[:1]
        n = 0
        for place, task in self._scheduler.assign(places):
            self._post(place, task, payload=self._is_small())
            n += 1
        return n

    def _is_small(self) -> bool:
        """Return whether the payload goes along in any case."""
        shipment = self._shipment
        return shipment is not None and shipment.memory.size < _SMALL

    def _post(self, place: Place, task: Task, *, payload: bool) -> None:
        self._posted[task.number] = place, task
        if len(place.assigned) == 1:
            place.since = time.monotonic()
        transport = self._transport
        patience = _STUCK * max(self.grain, transport.grain)
        if self._shipment is None:
            pipeline = self._pipeline()
            call: Any = None if pipeline is None else (pipeline, task.indices, self._mode, patience)
        else:
            call = Call(
                SPEAKS,
                self._shipment.token,
                self._shipment.memory,
                place.number,
                task.indices,
                self._mode,
                self._ahead(place, task),
                patience,
                transport.turns,
            ).plain()
        transport.post(place, task.number, call, payload=payload)

    def _ahead(self, place: Place, task: Task) -> Sequence[int]:
        """Return the indices of the hint that goes along with a task."""
        # an item that may kill the worker must not be loaded by a thread that reads ahead
        if not self._hinted or task.alone:
            return ()
        upcoming = self._scheduler.upcoming(place) if self._transport.directs else ()
        return [*task.indices[:AHEAD], *upcoming]

    def _came(self, number: int, came: Any) -> None:
        """Handle what came of a call."""
        if number not in self._posted:
            return  # it was lost with its place
        place, task = self._posted[number]
        try:
            raw = self._transport.answer(came)
        except LostError as error:
            self._lost(place, task, error)
            return
        except BrokenError as error:
            if not self._transport.renew():
                raise
            self._lose_all(str(error))
            return
        if self._shipment is None:
            self._answered_here(place, task, raw)
        else:
            self._handle_answer(place, task, raw)

    def _lose_all(self, why: str) -> None:
        """Requeue all that a broken cluster had; each item may be to blame."""
        error = LostError(why)
        for place, task in [*self._posted.values()]:
            self._requeue(place, task, error)
        self._count_death(error)
        self._look()

    def _handle_answer(self, place: Place, task: Task, raw: Any) -> None:
        if tuple(raw[1]) != SPEAKS:
            raise WorkerStartError(_other_version(raw[1], self._transport.title))
        answer = Answer(*raw)
        if answer.status == LACKING:
            self._post(place, task, payload=True)
        elif answer.status == UNABLE:
            raise result_messages.refusal(answer.parts[0])
        elif answer.status == DONE:
            del self._posted[task.number]
            self._answered(place, task, answer)

    def _answered(self, place: Place, task: Task, answer: Answer) -> None:
        """Deliver the messages of an answer."""
        parts = iter(answer.parts)
        own, loader = self._transport.own, self._pipeline()
        printed = False
        for _, count, kind, seconds, n in answer.heads:
            own_parts = [next(parts) for _ in range(n)]
            if kind == PRINTED:
                place.output.add(own_parts[0])
                printed = True
                continue
            if kind == REST or loader is None:
                break
            items = self._scheduler.answered(place, task, count, seconds)
            self._deaths_in_a_row = 0
            try:
                views = [memoryview(own(part)) for part in own_parts]
                found = parts_of(items, loader.loads, kind, seconds, views)
            except UnusableError:
                self._scheduler.suspect(items)
                continue
            for each in found:
                self._deliver(each)
        self._settle(place, task)
        place.output.end()
        if printed:
            self._deliver(None)

    def _answered_here(self, place: Place, task: Task, outcomes: Any) -> None:
        """Deliver outcomes of threads of this process."""
        del self._posted[task.number]
        self._deaths_in_a_row = 0
        for _, values, seconds, failed in outcomes:
            items = self._scheduler.answered(place, task, len(values), seconds)
            self._deliver(Part(items.job, items.offset, values, seconds, failed=failed))
        self._settle(place, task)

    def _settle(self, place: Place, task: Task) -> None:
        """Requeue what a worker has given back of a task."""
        if task in place.assigned:
            self._scheduler.returned(place, task)
        if place.assigned:
            place.since = time.monotonic()

    def _lost(self, place: Place, task: Task, error: LostError) -> None:
        """Handle a call that was lost."""
        self._requeue(place, task, error)
        if error.place_ended:
            self._look()
        if error.deaths:
            self._count_death(error)

    def _requeue(self, place: Place, task: Task, error: LostError) -> None:
        """Requeue what a worker had that died; deliver the item that is the cause."""
        if error.place_ended:
            for number in [k for k, (where, _) in self._posted.items() if where is place]:
                del self._posted[number]
            culprit = self._scheduler.died(place, began=bool(error.deaths))
        else:
            del self._posted[task.number]
            if not error.deaths:
                self._scheduler.requeue(place, task)
                return
            culprit = self._scheduler.lost(place, task, error.deaths)
        if culprit is not None:
            job, offset, index = culprit
            message = f"a worker process died twice while it evaluated item {index}: {error}"
            self._failed(job, offset, Failure(WorkerDied(message)))
            self._deaths_in_a_row = -1

    def _count_death(self, error: LostError) -> None:
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row > _MOST_DEATHS * max(1, self.wanted):
            message = f"worker processes die before they evaluate anything: {error}"
            raise WorkerStartError(message)

    def _failed(self, job: int, offset: int, failure: Failure) -> None:
        self._deliver(Part(job, offset, [failure], failed=True))

    def _end_overdue(self, timeout: float) -> None:
        """End items that take too long."""
        now = time.monotonic()
        for place in [*self._places]:
            if place.assigned and now - place.since > timeout:
                del self._posted[place.assigned[0].number]
                job, offset, index = self._scheduler.timed_out(place)
                self._transport.end(place)
                message = (
                    f"item {index} took longer than timeout={timeout:g} seconds in "
                    f"{self._transport.title}, where its worker was replaced"
                )
                self._failed(job, offset, Failure(ItemTimeout(message)))
        self._look()


def _other_version(speaks: Sequence[int], title: str) -> str:
    ours, python, theirs = SPEAKS[0], SPEAKS[1:], tuple(speaks[1:3])
    if theirs != python:
        versions = ".".join(map(str, theirs)), ".".join(map(str, python))
        return (
            f"the workers of {title} have Python {versions[0]}, this process has {versions[1]}: "
            "functions can be sent only between equal versions"
        )
    return (
        f"the workers of {title} have another version of seqtools (messages {speaks[0]}, here "
        f"{ours}): install the same one"
    )


def _drop(_: object) -> None:
    """Drop parts that arrive after the end."""
