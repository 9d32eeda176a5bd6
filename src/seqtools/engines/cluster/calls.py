"""The calls of a cluster engine: makes them of tasks, and outcomes of what comes of them."""

import itertools
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from seqtools._core.errors import Failure, WorkerDied, WorkerStartError
from seqtools.engines.base import AHEAD, Deliver, Part
from seqtools.engines.cluster.arenas import ArenaLostError, Arenas
from seqtools.engines.cluster.arriving_records import ArrivingRecords
from seqtools.engines.cluster.messages import DONE, LACKING, SPEAKS, UNABLE, Answer, Call
from seqtools.engines.cluster.missing import missing_module
from seqtools.engines.cluster.shipment import Shipment
from seqtools.engines.cluster.transport import BrokenError, LostError, Place, Transport
from seqtools.engines.cluster.versions import other_version
from seqtools.engines.dispatch.forwarded import take
from seqtools.engines.dispatch.outcomes import UnusableError, parts_of
from seqtools.engines.dispatch.scheduler import Scheduler, Task
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.arena import SlotPlace
from seqtools.engines.wire.arena_reader import ArenaReader
from seqtools.engines.wire.result_messages import NOTE, PRINTED, REST

_TWO = 2
"""Tasks of a place: one to do, one to go on with."""
_TWICE = 2
_STUCK = 4
"""After this many times the grain, a worker gives the rest of a task back. Arbitrary."""
_MOST_DEATHS = 3
"""Deaths for each place without an answer in between, after which the engine fails. Arbitrary."""
_MOST_LOSSES = 3
"""Workers that are lost with the same task, for no reason in it, until it is suspect. Arbitrary."""
_LONGEST_LIST = 1 << 16


class Calls:
    """The tasks that were posted; see `Dispatcher`, the only one to use it, for the arguments."""

    _deliver: Deliver

    def __init__(  # noqa: PLR0913 -- what it works with
        self,
        transport: Transport,
        shipment: Shipment | None,
        pipeline: "weakref.ref[Any]",
        *,
        hinted: bool,
        timeout: float | None,
        most_kept: int,
    ) -> None:
        self._transport, self._shipment, self._pipeline = transport, shipment, pipeline
        self._hinted, self._timeout = hinted, timeout
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
        self._records = ArrivingRecords()
        self._arenas, self._may_share = Arenas(most_kept), True
        self._loading: dict[int, Place] = {}  # by numbers less than 0
        self._load_numbers = itertools.count(-1, -1)
        self._losses: dict[tuple[int, int], int] = {}  # by job and offset of tasks
        self._mode = 0
        self._cost = 0.0  # seconds of the dispatcher's thread for a call: a moving average
        self._for_items = 0.0  # seconds for values: a longer call does not make them cheaper
        self._deaths_in_a_row = 0
        self._most_places = max(1, self.wanted)
        self._has_answered = False  # whether any worker ever has

    @property
    def grain(self) -> float:
        """The target duration of a job, in seconds.

        It grows with the number of workers, so that this process has time for them all.
        """
        if self._timeout is not None:
            return 0.0  # so that it is known which item takes too long
        cost = self._cost + self._transport.overhead
        return max(self._transport.grain, 2 * self.wanted * cost)

    def _look(self) -> None:
        """Look which places there are."""
        raise NotImplementedError

    def _post(self, place: Place, task: Task, *, payload: bool = False) -> None:
        """Post a task; the pipeline comes along if a worker has answered that it lacks it."""
        self._posted[task.number] = place, task
        if len(place.assigned) == 1:
            place.since = time.monotonic()
        recorded = self._records.posted(task.number)
        call = self._call(place, task.indices, self._ahead(place, task), recorded=recorded)
        self._transport.post(place, task.number, call, payload=payload)

    def _call(
        self,
        place: Place,
        indices: Sequence[int],
        ahead: Sequence[int] = (),
        *,
        recorded: bool = False,
    ) -> Any:
        """Return a call, as it travels."""
        transport = self._transport
        patience = _STUCK * max(self.grain, transport.grain)
        if self._shipment is None:
            pipeline = self._pipeline()
            return None if pipeline is None else (pipeline, indices, self._mode, patience)
        return Call(
            SPEAKS,
            self._shipment.token,
            self._shipment.memory,
            place.number,
            indices,
            self._mode,
            ahead,
            patience,
            transport.turns,
            recorded,
            self._may_share,
        ).plain()

    def _loaded(self, places: Sequence[Place]) -> list[Place]:
        """Return the places that have the pipeline, if there is a timeout; load it in the others.

        The time that takes is not the time of an item.
        """
        if self._timeout is None or self._shipment is None:
            return [*places]
        self._loading = {k: place for k, place in self._loading.items() if place in places}
        loading = [*self._loading.values()]
        for place in places:
            if not place.loaded and place not in loading:
                self._load(place)
        return [place for place in places if place.loaded]

    def _load(self, place: Place, *, payload: bool = False) -> None:
        """Post a call without items."""
        number = next(self._load_numbers)
        self._loading[number] = place
        self._transport.post(place, number, self._call(place, ()), payload=payload)

    def _came_loading(self, number: int, came: Any) -> None:
        """Handle what came of a call without items."""
        place = self._loading.pop(number, None)
        if place is None:
            return  # it has gone
        try:
            answer = self._checked(self._transport.answer(came))
        except LostError as error:
            self._count_death(error)
        else:
            place.loaded = answer.status == DONE
            if not place.loaded:
                self._load(place, payload=True)
                return
        self._look()

    def _ahead(self, place: Place, task: Task) -> Sequence[int]:
        """Return the indices of the hint that goes along with a task."""
        # an item that may kill the worker must not be loaded by a thread that reads ahead
        if not self._hinted or task.alone:
            return ()
        if self._transport.directs:
            upcoming = self._scheduler.upcoming(place)
        else:  # whoever takes this one probably takes the next one in turn
            upcoming = self._scheduler.upcoming_in_turn(len(self._places))
        return [*task.indices[:AHEAD], *upcoming]

    def _came(self, number: int, came: Any) -> None:
        """Handle what came of a call."""
        if number < 0:
            self._came_loading(number, came)
            return
        if number not in self._posted:  # it was lost with its place
            self._discard(came)
            return
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

    def _discard(self, came: Any) -> None:
        """Free the memory of an answer that nobody waits for any more."""
        if self._shipment is not None:
            with suppress(Exception):  # of the cluster: it may be no answer
                self._arenas.drop(Answer(*self._transport.answer(came)))

    def _lose_all(self, why: str) -> None:
        """Requeue all that a broken cluster had; each item may be to blame."""
        error = LostError(why)
        for place, task in [*self._posted.values()]:
            self._requeue(place, task, error)
        self._count_death(error)
        self._look()

    def _handle_answer(self, place: Place, task: Task, raw: Any) -> None:
        answer = self._checked(raw)
        self._records.arrived(task.number, answer.records)
        if answer.status == LACKING:
            self._post(place, task, payload=True)
        else:
            del self._posted[task.number]
            self._has_answered = True
            self._answered(place, task, answer)

    def _checked(self, raw: Any) -> Answer:
        """Return an answer: the worker has done what it was asked to, or lacks the pipeline."""
        if tuple(raw[1]) != SPEAKS:
            raise WorkerStartError(other_version(raw[1], self._transport.title))
        answer = Answer(*raw)
        if answer.status == UNABLE:
            raise result_messages.refusal(
                answer.parts[0], lambda module: missing_module(module, self._transport)
            )
        return answer

    def _answered(self, place: Place, task: Task, answer: Answer) -> None:
        """Deliver the messages of an answer."""
        try:
            reader = self._arenas.reader(answer)
        except ArenaLostError:  # from now on, values come through the cluster
            self._may_share = False
            self._scheduler.requeue(place, task)
            return
        parts = iter(answer.parts)
        loader = self._pipeline()
        printed = False
        for _, count, kind, seconds, n in answer.heads:
            own_parts = [next(parts) for _ in range(n)]
            if kind == PRINTED:
                place.output.add(own_parts[0])
                printed = True
                continue
            if kind == NOTE and loader is not None:
                take(bytes(memoryview(own_parts[0])), loader.loads)
                printed = True
                continue
            if kind == REST or loader is None:
                break
            items = self._scheduler.answered(place, task, count, seconds)
            self._deaths_in_a_row = 0
            began = time.thread_time()
            try:
                views = [self._view(part, reader) for part in own_parts]
                found = parts_of(items, loader.loads, kind, seconds, views)
            except UnusableError:
                self._scheduler.suspect(items)
                continue
            for each in found:
                self._deliver(each)
            self._for_items += time.thread_time() - began
        self._settle(place, task)
        place.output.end()
        if printed:
            self._deliver(None)

    def _view(self, part: Any, reader: ArenaReader | None) -> memoryview:
        """Return the memory of a part of an answer."""
        if reader is not None and isinstance(part, SlotPlace):
            return reader.lease(part)
        return memoryview(self._transport.own(part))

    def _answered_here(self, place: Place, task: Task, outcomes: Any) -> None:
        """Deliver outcomes of threads of this process."""
        del self._posted[task.number]
        self._has_answered, self._deaths_in_a_row = True, 0
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
            self._forget(place)
            culprit = self._scheduler.died(place, began=self._may_be_to_blame(place, error))
        else:
            del self._posted[task.number]
            if not error.deaths:
                self._scheduler.requeue(place, task)
                return
            culprit = self._scheduler.lost(place, task, error.deaths)
        if culprit is not None:
            job, offset, index = culprit
            times = f"{error.deaths} times" if error.deaths > _TWICE else "twice"
            message = f"a worker process died {times} while it evaluated item {index}: {error}"
            self._failed(job, offset, Failure(WorkerDied(message)))
            if self._has_answered:  # otherwise it may be no fault of the items
                self._deaths_in_a_row = -1

    def _forget(self, place: Place) -> None:
        """Forget the calls of a place that has ended."""
        for number in [k for k, (where, _) in self._posted.items() if where is place]:
            del self._posted[number]

    def _may_be_to_blame(self, place: Place, error: LostError) -> bool:
        """Return whether the first task of a place that has ended may be the cause.

        It may be so too if that happens again and again: an item may end a machine.
        """
        if error.deaths or not place.assigned:
            return bool(error.deaths)
        first = place.assigned[0].job, place.assigned[0].offset
        self._losses[first] = self._losses.get(first, 0) + 1
        return self._losses[first] > _MOST_LOSSES

    def _count_death(self, error: LostError) -> None:
        self._deaths_in_a_row += 1
        # a cluster may have lost most of its places with the workers
        self._most_places = max(self._most_places, len(self._places), self.wanted)
        if self._deaths_in_a_row > _MOST_DEATHS * self._most_places:
            message = f"worker processes die before they evaluate anything: {error}"
            raise WorkerStartError(message)

    def _failed(self, job: int, offset: int, failure: Failure) -> None:
        self._deliver(Part(job, offset, [failure], failed=True))
