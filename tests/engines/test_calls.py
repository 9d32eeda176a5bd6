"""The dispatcher of cluster engines over a transport that does what a test says."""

import pickle
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from seqtools._core.errors import Failure, WorkerDied, WorkerStartError
from seqtools.engines.base import Job, Part
from seqtools.engines.cluster import remote
from seqtools.engines.cluster.arenas import ArenaLostError, Arenas, WorkerArena
from seqtools.engines.cluster.engine import ClusterEngine
from seqtools.engines.cluster.local import LocalPipeline
from seqtools.engines.cluster.messages import DONE, LACKING, OTHER, SPEAKS, Answer, Call
from seqtools.engines.cluster.transport import BrokenError, LostError, Place

Act = Callable[[Call, bool], Any]
"""Returns what comes of a call, given whether the payload came along."""


class Driven:
    """A transport with places in this process; `act` decides what comes of each call."""

    title = "the test"
    grain = 0.05
    overhead = 0.001
    shares_memory = numbered = ends_items = False
    turns = True
    spare = False

    def __init__(
        self, act: Act, n: int = 2, *, directs: bool = False, isolates: bool = False
    ) -> None:
        self.act, self.directs, self.isolates = act, directs, isolates
        self._places = [Place() for _ in range(n)]
        self.posted: list[tuple[Place, Call, bool]] = []
        self.most_at_once = 0
        self.held: list[Callable[[], None]] | None = None  # calls that wait
        self.renewed = 0
        self.may_renew = False
        self.closed = False
        self.may_answer = threading.Event()
        self.may_answer.set()

    def open(self, shipment: Any, notify: Any) -> None:
        self.shipment, self.notify = shipment, notify

    def places(self) -> list[Place]:
        return self._places

    def wanted(self) -> int:
        return len(self._places)

    def post(self, place: Place, number: int, call: Any, *, payload: bool) -> None:
        told = Call.of(pickle.loads(pickle.dumps(call)))
        self.posted.append((place, told, payload))
        answer = lambda: self.notify(number, self._made(told, payload))  # noqa: E731
        if self.held is None:
            answer()
        else:
            self.held.append(answer)

    def _made(self, call: Call, payload: bool) -> Any:
        try:
            return self.act(call, payload)
        except (LostError, BrokenError) as error:
            return error

    def answer(self, came: Any) -> Any:
        assert self.may_answer.wait(20)
        if isinstance(came, Exception):
            raise came
        return came

    def own(self, part: Any) -> Any:
        return part

    def renew(self) -> bool:
        self.renewed += 1
        return self.may_renew

    def end(self, place: Place) -> None:
        raise AssertionError(place)

    def news(self) -> list[str]:
        return []

    def close(self) -> None:
        self.closed = True
        remote.evict(self.shipment.token)


class Reader:
    """Collects what an engine delivers."""

    def __init__(self) -> None:
        self.outcomes: dict[int, Any] = {}
        self.error: WorkerStartError | None = None
        self._changed = threading.Condition()

    def deliver(self, part: Part | WorkerStartError | None) -> None:
        with self._changed:
            if isinstance(part, WorkerStartError):
                self.error = part
            elif part is not None:
                for k, outcome in enumerate(part.outcomes):
                    self.outcomes[part.job * 1000 + part.offset + k] = outcome
            self._changed.notify_all()

    def wait(self, until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        with self._changed:
            while not until():  # also of what is posted, which notifies nobody
                self._changed.wait(0.01)
                assert time.monotonic() < deadline, (self.outcomes, self.error)


def settle(engine: ClusterEngine) -> None:
    """Wait until the dispatcher has posted what it can."""
    for _ in range(2):  # it posts after it has handled what was noted
        handled = threading.Event()
        engine._dispatcher.note(lambda _, handled=handled: handled.set())
        assert handled.wait(20)


def square(i: int) -> int:
    return i * i


@pytest.fixture
def engines() -> Iterator[Callable[[Driven], tuple[ClusterEngine, Reader]]]:
    made: list[ClusterEngine] = []

    def make(transport: Driven) -> tuple[ClusterEngine, Reader]:
        reader = Reader()
        made.append(ClusterEngine(transport, None, square, square, deliver=reader.deliver))
        return made[-1], reader

    yield make
    for engine in made:
        engine.close()


def work(call: Call, payload: bool = False) -> Any:  # noqa: FBT002
    del payload
    return remote.work(call.plain())


def test_who_lacks_the_pipeline_is_sent_it(engines: Any) -> None:
    def act(call: Call, payload: bool) -> Any:
        if not payload:
            return tuple(Answer(LACKING, SPEAKS, "somebody"))
        return remote.work(call._replace(memory=call.memory._replace(machine="")).plain(), sent())

    transport = Driven(act)
    engine, reader = engines(transport)
    sent = transport.shipment.payload
    engine.submit([Job(1, range(5))])
    reader.wait(lambda: len(reader.outcomes) == 5)
    assert list(reader.outcomes.values()) == [0, 1, 4, 9, 16]
    assert [payload for _, _, payload in transport.posted] == [False, True]


@pytest.mark.parametrize(
    ("speaks", "told"),
    [
        ((1, 2, 7), "the workers of the test have Python 2.7, this process has 3"),
        ((0, *SPEAKS[1:]), "another version of seqtools"),
    ],
)
def test_other_versions_are_refused(engines: Any, speaks: tuple[int, ...], told: str) -> None:
    engine, reader = engines(Driven(lambda *_: (OTHER, speaks, "somebody", "of a later version")))
    engine.submit([Job(1, range(5))])
    reader.wait(lambda: reader.error is not None)
    assert told in str(reader.error)


def test_a_call_of_another_version_is_answered_so() -> None:
    for speaks in ((99, 3, 11), (1, 2, 7)):
        status, ours, *_ = remote.work((speaks, "what", "later", "versions", "have"))
        assert (status, ours) == (OTHER, SPEAKS)


def test_what_is_given_back_is_posted_again(engines: Any) -> None:
    def act(call: Call, payload: bool) -> Any:
        del payload
        return remote.work(call._replace(patience=0.0).plain())  # at most one item a call

    transport = Driven(act)
    engine, reader = engines(transport)
    engine.submit([Job(1, range(5)), Job(2, [7, 9, 8])])
    reader.wait(lambda: len(reader.outcomes) == 8)
    assert sorted(reader.outcomes.values()) == [0, 1, 4, 9, 16, 49, 64, 81]
    assert len(transport.posted) >= 8


def deadly(index: int, **how: Any) -> Act:
    """Return what comes of calls if item `index` kills its worker each time."""

    def act(call: Call, payload: bool) -> Any:
        if index in call.indices:
            raise LostError("it was killed", **how)
        return work(call, payload)

    return act


@pytest.mark.parametrize("isolates", [False, True])
def test_an_item_that_kills_its_worker_fails_alone(engines: Any, isolates: bool) -> None:
    transport = Driven(deadly(12, place_ended=isolates), isolates=isolates)
    engine, reader = engines(transport)
    engine.submit([Job(1, range(10)), Job(2, range(10, 20)), Job(3, range(20, 30))])
    reader.wait(lambda: len(reader.outcomes) == 30)
    culprit = reader.outcomes.pop(2002)
    assert isinstance(culprit, Failure)
    assert isinstance(culprit.error, WorkerDied)
    assert "item 12" in str(culprit.error)
    assert sorted(reader.outcomes.values()) == [i * i for i in range(30) if i != 12]
    deaths = [call for _, call, _ in transport.posted if 12 in call.indices]
    assert [len(call.indices) for call in deaths] == [10, 1, 1]


def test_two_deaths_at_once_are_enough_for_an_item_alone(engines: Any) -> None:
    transport = Driven(deadly(3, deaths=2))
    engine, reader = engines(transport)
    engine.submit([Job(1, [3]), Job(2, range(10, 20))])
    reader.wait(lambda: len(reader.outcomes) == 11)
    assert [len(call.indices) for _, call, _ in transport.posted if 3 in call.indices] == [1, 1]


def test_suspects_are_alone_in_a_cluster_that_does_not_isolate(engines: Any) -> None:
    """Only then it is certain who is to blame."""
    lost: list[int] = []

    def act(call: Call, payload: bool) -> Any:
        if not lost and 5 in call.indices:
            lost.append(1)
            raise LostError("it was killed")
        return work(call, payload)

    transport = Driven(act, 3)
    transport.held = []
    engine, reader = engines(transport)
    engine.submit([Job(1, range(4, 8)), *[Job(k, [10 * k]) for k in range(2, 12)]])
    at_once: dict[int, set[int]] = {}  # calls that waited together, by each suspect among them
    settle(engine)
    while transport.held:
        waiting = [call for _, call, _ in transport.posted[-len(transport.held) :]]
        for call in waiting if lost else ():
            if call.indices[0] < 8:
                at_once.setdefault(call.indices[0], set()).add(len(waiting))
        transport.held.pop(0)()
        settle(engine)
    assert sorted(reader.outcomes.values()) == sorted(
        [i * i for i in (*range(4, 8), *range(20, 120, 10))]
    )
    assert at_once == {4: {1}, 5: {1}, 6: {1}, 7: {1}}


def test_what_was_finished_comes_before_the_error(engines: Any) -> None:
    def act(call: Call, payload: bool) -> Any:
        if 0 in call.indices:
            raise BrokenError("the test is over")
        return work(call, payload)

    transport = Driven(act)
    transport.held = []
    engine, reader = engines(transport)
    engine.submit([Job(1, range(3)), Job(2, range(3, 6)), Job(3, range(6, 9))])
    reader.wait(lambda: len(transport.held or ()) == 3)
    held, transport.held = transport.held, None
    transport.may_answer.clear()
    for each in held:  # the broken one first
        each()
    transport.may_answer.set()
    reader.wait(lambda: reader.error is not None)
    assert str(reader.error) == "the test is over"
    assert sorted(reader.outcomes.values()) == [9, 16, 25, 36, 49, 64]
    assert transport.renewed >= 1


def test_a_cluster_that_breaks_again_and_again_is_given_up(engines: Any) -> None:
    def act(*_: Any) -> Any:
        raise BrokenError("it breaks at once")

    transport = Driven(act)
    transport.may_renew = True
    engine, reader = engines(transport)
    engine.submit([Job(k, range(10)) for k in range(1, 5)])
    reader.wait(lambda: reader.error is not None or len(reader.outcomes) == 40)
    assert transport.renewed < 100
    assert reader.error is not None
    assert "die before they evaluate anything" in str(reader.error)


def test_late_answers_of_lost_calls_are_dropped(engines: Any) -> None:
    transport = Driven(work)
    engine, reader = engines(transport)
    transport.notify(12345, (DONE, SPEAKS, "nobody"))
    engine.submit([Job(1, range(5))])
    reader.wait(lambda: len(reader.outcomes) == 5)


def test_the_grain_grows_with_the_workers(engines: Any) -> None:
    few, _ = engines(Driven(work, 2))
    many, _ = engines(Driven(work, 500))
    assert few.grain == 0.05
    assert many.grain == pytest.approx(2 * 500 * 0.001)
    assert many.nworkers == 500


def test_close_leaves_the_transport_closed(engines: Any) -> None:
    transport = Driven(work)
    engine, reader = engines(transport)
    engine.submit([Job(1, range(5))])
    reader.wait(lambda: len(reader.outcomes) == 5)
    engine.close()
    engine.close()
    assert transport.closed
    assert engine.busy() == 0
    assert remote.kept() == []


def test_losses_without_a_fault_are_bounded(engines: Any) -> None:
    """An item may end a machine, each time."""

    def act(call: Call, payload: bool) -> Any:
        if 7 in call.indices:
            raise LostError("its node has died", deaths=0, place_ended=True)
        return work(call, payload)

    transport = Driven(act, directs=True, isolates=True)
    engine, reader = engines(transport)
    engine.submit([Job(0, range(20))])
    reader.wait(lambda: len(reader.outcomes) == 20)
    failure = reader.outcomes.pop(7)
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, WorkerDied)
    assert reader.outcomes == {i: i * i for i in range(20) if i != 7}
    lost = [call for _, call, _ in transport.posted if 7 in call.indices]
    assert [len(call.indices) for call in lost] == [20] * 4 + [1] * 5


def test_a_timeout_is_for_single_items_after_the_pipeline_was_loaded() -> None:
    lacking = [True]

    def act(call: Call, payload: bool) -> Any:
        if lacking.pop() if lacking else False:
            return tuple(Answer(LACKING, SPEAKS, "somebody"))
        return work(call, payload)

    transport, reader = Driven(act, directs=True, isolates=True), Reader()
    engine = ClusterEngine(transport, None, square, square, timeout=60.0, deliver=reader.deliver)
    engine.submit([Job(0, range(9))])
    reader.wait(lambda: len(reader.outcomes) == 9)
    engine.close()
    loading = [payload for _, call, payload in transport.posted if not call.indices]
    assert sorted(loading) == [False, False, True]
    assert sorted(len(call.indices) for _, call, _ in transport.posted) == [0] * 3 + [1] * 9
    assert {where for where, call, _ in transport.posted if not call.indices} == set(
        transport.places()
    )


class Hints:
    """Takes hints, and may be sent."""

    def __call__(self, indices: Any) -> None:
        """Do nothing about them."""

    def take_turns(self) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("directs", [False, True])
def test_each_call_says_what_comes_next(directs: bool) -> None:
    def act(call: Call, payload: bool) -> Any:
        if 5 in call.indices:
            raise LostError("it was killed")
        return work(call, payload)

    transport, reader = Driven(act, 2, directs=directs), Reader()
    transport.held = []
    engine = ClusterEngine(transport, None, square, square, hints=Hints(), deliver=reader.deliver)
    try:
        engine.submit([Job(k, [10 * k + i for i in range(3)], key=k % 2) for k in range(1, 9)])
        reader.wait(lambda: len(transport.held or ()) == 4)
        ahead = [[*call.ahead] for _, call, _ in transport.posted]
        own = [[*call.indices] for _, call, _ in transport.posted]
        assert [each[:3] for each in ahead] == own
        later = {place: set[int]() for place, _, _ in transport.posted}
        for place, call, _ in transport.posted:
            later[place] |= set(call.ahead[3:])
        assert all(later.values())
        if directs:  # each worker loads what it gets itself
            assert not set.intersection(*later.values())
        else:  # the next one of whoever takes this one, as workers take turns
            assert ahead[0][3:6] == [30, 31, 32]
        held, transport.held = transport.held or [], None
        for each in held:
            each()
        reader.wait(lambda: len(reader.outcomes) == 24)
        transport.posted.clear()
        engine.submit([Job(100, [5])])
        reader.wait(lambda: len(transport.posted) == 2)
        assert [[*call.ahead] for _, call, _ in transport.posted] == [[5], []]  # then a suspect
    finally:
        engine.close()


def test_slots_of_answers_that_nobody_waits_for_are_free_again() -> None:
    worker, budget = WorkerArena(), 1 << 30
    assert worker.slots is not None
    assert worker.place is not None
    arenas = Arenas(budget)
    place = worker.slots.put(memoryview(bytes(100_000)))
    answer = Answer(DONE, SPEAKS, "a worker", parts=(b"", place), arena=tuple(worker.place))
    arenas.drop(answer)
    assert worker.slots.put(memoryview(bytes(100_000))) == place  # the same one
    reader = arenas.reader(answer)
    assert reader is not None
    with pytest.raises(ArenaLostError):  # the descriptor is that of another file
        arenas.reader(answer._replace(arena=tuple(worker.place._replace(inode=1))))
    arenas.end()
    worker.end()


def test_late_answers_are_discarded(engines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dropped: list[Answer] = []
    monkeypatch.setattr(Arenas, "drop", lambda _, answer: dropped.append(answer))
    transport = Driven(work)
    engine, reader = engines(transport)
    transport.notify(12345, tuple(Answer(DONE, SPEAKS, "somebody", parts=(b"late",))))
    engine.submit([Job(1, range(5))])
    reader.wait(lambda: len(reader.outcomes) == 5)
    assert [answer.parts for answer in dropped] == [(b"late",)]


def test_threads_give_the_rest_of_a_slow_task_back() -> None:
    pipeline = LocalPipeline(square, None, None)
    assert [values for _, values, _, _ in pipeline.work(range(5), 0, 0.0)] == [[0]]
    assert [values for _, values, _, _ in pipeline.work(range(5), 0, 9.0)] == [[0, 1, 4, 9, 16]]


def test_two_tasks_are_at_each_place(engines: Any) -> None:
    transport = Driven(work, 3)
    transport.held = []
    engine, reader = engines(transport)
    engine.submit([Job(k, [k]) for k in range(1, 20)])
    reader.wait(lambda: len(transport.held or ()) >= 6)
    assert [len(place.assigned) for place in transport.places()] == [2, 2, 2]
    assert len(transport.held) == 6


def test_one_task_is_at_each_place_if_there_are_workers_to_spare(engines: Any) -> None:
    transport = Driven(work, 3)
    transport.held, transport.spare = [], True
    engine, reader = engines(transport)
    engine.submit([Job(k, [k]) for k in range(1, 20)])
    reader.wait(lambda: len(transport.held or ()) >= 3)
    assert [len(place.assigned) for place in transport.places()] == [1, 1, 1]
    held, transport.held = transport.held, None
    for answer in held:
        answer()
    reader.wait(lambda: len(reader.outcomes) == 19)


def test_answers_after_the_engine_has_failed_are_not_kept(engines: Any) -> None:
    class Late:
        pass

    transport = Driven(lambda *_: (OTHER, (99, 9), "somebody"))
    engine, reader = engines(transport)
    engine.submit([Job(1, range(1))])
    reader.wait(lambda: reader.error is not None)
    engine.close()
    late = Late()
    gone = weakref.ref(late)
    transport.notify(2, late)
    del late
    assert gone() is None
    frames = [frame for frame, _ in traceback.walk_tb(reader.error.__traceback__)]
    assert frames
    assert engine._dispatcher not in [frame.f_locals.get("self") for frame in frames]
