"""What is particular about threads: what they share, who is replaced, and what they refer to."""

import gc
import itertools
import os
import random
import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from seqtools._core.errors import EndOfSequence, Failure, ItemTimeout, WorkerStartError
from seqtools.engines.base import AHEAD, END, Job, Part, here
from seqtools.engines.thread import engine, pool, stealing
from seqtools.engines.thread.engine import ThreadEngine
from seqtools.engines.thread.pool import WorkerSlot
from seqtools.engines.thread.stealing import STOP, StealableTask
from tests.faults.intruders import ENGINES, Intruder, everywhere

MakeEngine = Callable[..., "Subject"]
PLACES = tuple(str(m.__file__) for m in (engine, pool, stealing))
assert all(place.startswith(ENGINES) for place in PLACES)


class Subject:
    """An engine, and what it has delivered."""

    def __init__(self, get: Callable[[int], Any], nworkers: int = 1, **options: Any) -> None:
        self.parts: SimpleQueue[Any] = SimpleQueue()
        self.came: dict[tuple[int, int], Any] = {}
        """Outcomes by the number of the job and the place in it."""
        self.engine = ThreadEngine(get, nworkers, deliver=self.parts.put, **options)

    def until(self, n: int) -> dict[tuple[int, int], Any]:
        """Return what came, when that is `n` items."""
        while len(self.came) < n:
            self.take(self.parts.get())
        return self.came

    def look_until(self, n: int) -> dict[tuple[int, int], Any]:
        """Do the same as a reader that waits."""
        while len(self.came) < n:
            with suppress(Empty):
                self.take(self.parts.get(timeout=self.engine.look()))
        return self.came

    def take(self, part: Any) -> None:
        """Note what is in a part."""
        assert isinstance(part, Part), part
        for k, outcome in enumerate(part.outcomes):
            self.came.setdefault((part.job, part.offset + k), outcome)


@pytest.fixture
def make() -> Iterator[MakeEngine]:
    made: list[Subject] = []

    def one(*args: Any, **options: Any) -> Subject:
        made.append(Subject(*args, **options))
        return made[-1]

    yield one
    for subject in made:
        subject.engine.close()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every task taken for one that takes long."""
    monkeypatch.setattr(pool, "STUCK", 0.0)


class Gates:
    """A function that waits for a gate at some items."""

    def __init__(self, *closed: int) -> None:
        self.gates = {i: threading.Event() for i in closed}
        self.begun = {i: threading.Event() for i in closed}
        self.counts: Counter[int] = Counter()
        self.by: dict[int, str] = {}

    def __call__(self, i: int) -> int:
        self.counts[i] += 1
        self.by[i] = threading.current_thread().name
        if i in self.gates:
            self.begun[i].set()
            self.gates[i].wait()
        return i

    def open(self) -> None:
        """Open all."""
        for gate in self.gates.values():
            gate.set()


# Tasks that are shared


class Stepped(deque):  # type: ignore[type-arg]
    """A deque that lets somebody else act before one of the calls of the thief."""

    def __init__(self, items: Any, at: int, act: Callable[[], object]) -> None:
        super().__init__(items)
        self.at, self.act = at, act

    def _step(self) -> None:
        self.at -= 1
        if self.at == 0:
            self.act()

    def insert(self, i: int, value: int) -> None:
        self._step()
        super().insert(i, value)

    def pop(self) -> int:  # type: ignore[override]
        self._step()
        return super().pop()  # type: ignore[no-any-return]

    def __getitem__(self, i: Any) -> Any:
        self._step()
        return super().__getitem__(i)


class Owner:
    """Takes items from a task, up to where it ends."""

    def __init__(self, task: StealableTask) -> None:
        self.task, self.taken, self.ended = task, [], False  # type: ignore[var-annotated]

    def take(self, n: int) -> None:
        """Take so many, if there are."""
        for _ in range(n):
            if not self.ended:
                i = self.task.todo.popleft()
                self.ended = i == STOP
                if not self.ended:
                    self.taken.append(i)


@pytest.mark.parametrize("n", range(1, 6))
def test_no_item_is_taken_by_both_wherever_the_owner_goes_on(n: int) -> None:
    shares = set()
    steps = itertools.product(range(n + 1), range(n + 2), range(1, 2 * n + 5), range(n + 2))
    for keep, begun, at, meanwhile in steps:
        task = StealableTask(Job(7, range(10, 10 + n), "key", 100), 0.0)
        owner = Owner(task)
        owner.take(begun)  # the last time that is STOP
        task.todo = Stepped(task.todo, at, lambda owner=owner, k=meanwhile: owner.take(k))  # type: ignore[misc]
        job = task.split(keep)
        owner.take(n + 1)
        stolen = [] if job is None else list(job.indices)
        assert owner.taken + stolen == list(range(10, 10 + n))
        assert task.size == len(owner.taken)
        if job is not None:
            assert (job.id, job.key, job.offset) == (7, "key", 100 + task.size)
        shares.add(len(stolen))
    assert shares == set(range(n + 1))


def test_an_idle_thread_takes_half_of_what_is_left(make: MakeEngine) -> None:
    get = Gates(0)
    subject = make(get, 2)
    subject.engine.submit([Job(0, range(9))])
    # what it was at when others took from it is still its own
    assert subject.look_until(8).keys() == {(0, i) for i in range(1, 9)}
    assert get.by[0] != get.by[8]
    get.open()
    assert subject.until(9) == {(0, i): i for i in range(9)}
    assert set(get.counts.values()) == {1}


def test_the_last_item_is_taken_from_who_is_stuck(make: MakeEngine) -> None:
    get = Gates(5)
    subject = make(get, 2)
    subject.engine.submit([Job(0, [5, 6])])
    assert subject.look_until(1) == {(0, 1): 6}
    get.open()
    subject.until(2)


@pytest.mark.usefixtures("at_once")
def test_all_that_rest_are_woken_by_looks(make: MakeEngine) -> None:
    together = threading.Barrier(4)

    def get(i: int) -> int:
        if i >= 4:
            together.wait()
        return i

    subject = make(get, 4)
    subject.engine.submit([Job(k, [k]) for k in range(4)])
    subject.until(4)
    while len(subject.engine._pool._resting) < 4:
        os.sched_yield()
    subject.engine.submit([Job(4, range(4, 12))])
    while not subject.engine.busy():
        os.sched_yield()
    subject.look_until(12)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("nworkers", [2, 5])
def test_no_item_is_evaluated_twice(make: MakeEngine, nworkers: int) -> None:
    counts: Counter[int] = Counter()
    lock = threading.Lock()
    rng = random.Random(nworkers)
    failing = set(rng.sample(range(4000), 300))

    def get(i: int) -> int:
        with lock:
            counts[i] += 1
        if i in failing:
            raise (StopIteration if i % 2 else KeyError)(i)
        return i

    subject = make(get, nworkers)
    i, jobs = 0, []
    while i < 4000:
        n = min(rng.choice([1, 2, 3, 50, 200]), 4000 - i)
        jobs.append(Job(len(jobs), range(i, i + n)))
        i += n
    while jobs:
        some, jobs = jobs[:7], jobs[7:]
        subject.engine.submit(some[::2], some[1::2])
        wanted = len(subject.came) + sum(len(job.indices) for job in some)
        came = subject.look_until(wanted)
        for job in some:
            for k, i in enumerate(job.indices):
                outcome = came[job.id, k]
                assert outcome.error.args == (i,) if i in failing else outcome == i
    assert counts == dict.fromkeys(range(4000), 1)


def test_idle_threads_wait_without_looking(
    make: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float | None] = []

    class Queue:
        def __init__(self) -> None:
            self.items: Any = SimpleQueue()
            self.put, self.empty = self.items.put, self.items.empty
            self.get_nowait = self.items.get_nowait

        def get(self, timeout: float | None) -> Any:
            pauses.append(timeout)
            return self.items.get(timeout=timeout)

    monkeypatch.setattr(pool, "SimpleQueue", Queue)
    get = Gates(0, 1)
    subject = make(get, 4)
    subject.engine.submit([Job(0, [0]), Job(1, [1])])
    for begun in get.begun.values():
        begun.wait()
    get.open()
    subject.until(2)
    assert set(pauses) <= {None}  # nobody can take anything from tasks of one item


# What a reader that waits is given


def test_look_tells_what_there_is(make: MakeEngine) -> None:
    get = Gates(3, 5)
    subject = make(get)
    subject.engine.submit([Job(0, range(7))])
    get.begun[3].wait()
    subject.engine.look()
    assert subject.until(3) == {(0, i): i for i in range(3)}
    subject.engine.look()
    assert subject.parts.empty()  # nothing is told twice
    get.gates[3].set()
    get.begun[5].wait()
    subject.engine.look()
    assert subject.parts.get().offset == 3
    get.open()
    part = subject.parts.get()
    assert (part.offset, part.outcomes) == (5, [5, 6])


def test_before_an_item_that_hangs_the_last_ones_are_told(make: MakeEngine) -> None:
    get = Gates(3)
    subject = make(get)
    subject.engine.submit([Job(0, range(4))])
    get.begun[3].wait()
    subject.engine.look()
    assert len(subject.until(3)) == 3
    get.open()
    subject.until(4)


def test_errors_and_the_end_come_alone(make: MakeEngine) -> None:
    def get(i: int) -> int:
        if i == 2:
            raise StopIteration(i)
        if i == 4:
            raise SystemExit
        if i >= 6:
            raise EndOfSequence
        return i

    subject = make(get)
    subject.engine.submit([Job(3, range(8), None, 10)])
    subject.until(8)
    came = [subject.came[3, 10 + k] for k in range(8)]
    assert [came[i] for i in (0, 1, 3, 5, 6, 7)] == [0, 1, 3, 5, END, END]
    assert [type(came[i].error) for i in (2, 4)] == [StopIteration, SystemExit]
    assert subject.engine.busy() == 0


class Value:
    """Something that can be referred to weakly."""


def test_the_reader_alone_decides_how_long_a_value_lives(make: MakeEngine) -> None:
    gate, begun = threading.Event(), threading.Event()

    def get(i: int) -> Value:
        if i == 2:
            begun.set()
            gate.wait()
        if i == 4:
            raise KeyError(i)
        return Value()

    subject = make(get)
    subject.engine.submit([Job(0, range(6))])
    begun.wait()
    subject.engine.look()
    for n in (2, 6):
        came = subject.until(n)
        seen = [weakref.ref(came[0, k]) for k in range(n - 2 if n == 2 else 2, n) if k != 4]
        failures = [came[0, 4]] if n == 6 else []
        subject.came = {(0, k): None for k in range(n)}
        del came
        assert [ref() for ref in seen] == [None] * len(seen)
        gate.set()
    assert isinstance(failures[0], Failure)  # which was kept until here


# Whose time is over


def test_who_takes_too_long_is_replaced(make: MakeEngine) -> None:
    get = Gates(3)
    subject = make(get, 1, timeout=0.05)
    subject.engine.submit([Job(0, range(6)), Job(1, range(10, 12))])
    came = subject.look_until(8)
    error = came.pop((0, 3)).error
    assert isinstance(error, ItemTimeout)
    assert str(error) == (
        "item 3 took longer than timeout=0.05 seconds in thread seqtools-0, "
        "which cannot be stopped and was replaced"
    )
    assert sorted(came.values()) == [0, 1, 2, 4, 5, 10, 11]
    ((hung, item),) = subject.engine._pool.abandoned
    assert item == 3
    get.open()
    hung.join()
    subject.engine.submit([Job(2, [20])])
    assert subject.until(8)[2, 0] == 20
    assert subject.parts.empty()  # it comes too late, and says nothing
    assert set(get.counts.values()) == {1}


def test_two_readers_give_up_one_item_once(make: MakeEngine) -> None:
    get = Gates(3)
    subject = make(get, 1, timeout=0.01)
    subject.engine.submit([Job(0, range(6))])
    get.begun[3].wait()
    readers = [threading.Thread(target=subject.look_until, args=(6,)) for _ in range(1)]
    readers.append(threading.Thread(target=lambda: [subject.engine.look() for _ in range(300)]))
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    ((hung, _),) = subject.engine._pool.abandoned
    assert get.counts == dict.fromkeys(range(6), 1)
    get.open()
    hung.join()


def test_an_item_is_given_up_by_one_thread(make: MakeEngine) -> None:
    get = Gates(3)
    subject = make(get, 1, timeout=60)
    subject.engine.submit([Job(0, [3, 4])])
    get.begun[3].wait()
    pool = subject.engine._pool
    old = pool.slots[0]
    (entry,) = old.timed
    assert pool.take_over(old, entry, WorkerSlot(0))
    assert not pool.take_over(old, entry, WorkerSlot(0))
    subject.engine._starting = True  # as if no thread could be started
    assert isinstance(subject.look_until(2)[0, 0].error, ItemTimeout)
    get.open()
    pool.abandoned[0][0].join()


def test_a_thread_that_hangs_at_the_end_is_warned_of_and_silent(
    make: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_PATIENCE", 0.0)
    get = Gates(1)
    subject = make(get)
    subject.engine.submit([Job(0, range(3))])
    get.begun[1].wait()
    (working,) = subject.engine._pool.slots[0].threads
    with pytest.warns(RuntimeWarning, match="thread seqtools-0 is still evaluating item 1 and"):
        subject.engine.close()
    get.open()
    working.join()
    assert subject.parts.empty()
    assert get.counts == {0: 1, 1: 1}
    subject.engine.submit([Job(1, [1])])
    assert subject.engine.look() > 0


# What is asked for


def test_a_job_that_is_submitted_again_is_not_evaluated_again(make: MakeEngine) -> None:
    get = Gates(0)
    subject = make(get)
    jobs = [Job(k, [k]) for k in range(6)]
    subject.engine.submit(jobs[:3])
    get.begun[0].wait()
    subject.engine.submit(jobs, jobs[4:5])
    subject.engine.submit(jobs)
    get.open()
    subject.until(6)
    subject.engine.submit([*jobs, Job(6, [6])])
    subject.until(7)
    assert set(get.counts.values()) == {1}


def test_what_is_cancelled_is_not_begun(make: MakeEngine) -> None:
    get = Gates(2)
    subject = make(get)
    subject.engine.submit([Job(0, range(10)), Job(1, range(10, 20)), Job(2, range(20, 25))])
    get.begun[2].wait()
    subject.engine.cancel([0, 1, 99])
    get.open()
    assert sum(job == 2 for job, _ in subject.until(8)) == 5
    assert set(get.counts) == {0, 1, 2, *range(20, 25)}


def test_what_is_withdrawn_is_what_nobody_has_begun(make: MakeEngine) -> None:
    get = Gates(0)
    subject = make(get)
    jobs = [Job(k, range(5 * k, 5 * k + 5)) for k in range(4)]
    subject.engine.submit(jobs)
    get.begun[0].wait()
    assert subject.engine.withdraw() == jobs[1:]
    assert subject.engine.withdraw() == []
    assert not subject.engine.idle
    get.open()
    assert subject.until(5) == {(0, i): i for i in range(5)}
    assert subject.engine.idle


def insist(act: Callable[[], object]) -> None:
    """Call `act` until it is not interrupted."""
    while True:
        try:
            act()
        except KeyboardInterrupt:
            continue
        return


def test_an_interrupt_at_any_step_loses_and_repeats_nothing() -> None:
    counts: Counter[int] = Counter()

    def get(i: int) -> int:
        counts[i] += 1
        return i

    def submitted(engine: ThreadEngine, k: int) -> None:
        jobs = [Job(10 * k + j, range(30 * k + 3 * j, 30 * k + 3 * j + 3)) for j in range(10)]
        insist(lambda: engine.submit(jobs[1:], jobs[:1]))
        insist(engine.look)

    def work(intruder: Intruder) -> None:
        counts.clear()
        first, second = Subject(get, 1, timeout=60), Subject(get, 2)
        with closing(first.engine), closing(second.engine):
            with intruder:
                for k in range(6):
                    submitted(first.engine, k)
            first.look_until(1)
            with intruder:
                insist(lambda: first.engine.cancel([1000]))
            second.engine.submit(first.engine.withdraw())
            while len(first.came) + len(second.came) < 180:
                for subject in (first, second):
                    subject.engine.look()
                    while not subject.parts.empty():
                        subject.take(subject.parts.get())
            assert counts == dict.fromkeys(range(180), 1)

    def interrupt() -> None:
        raise KeyboardInterrupt

    came = [intruder.came for intruder in everywhere(work, interrupt, 0, 1, PLACES)]
    assert sum(came) > 20


# What threads are, and what they refer to


def test_threads_have_names_and_contexts_and_know_what_they_evaluate(make: MakeEngine) -> None:
    def get(_: int) -> tuple[str, Any]:
        return threading.current_thread().name, here.get

    before = set(threading.enumerate())
    subject = make(get, 2)
    assert set(threading.enumerate()) <= before
    subject.engine.submit([Job(0, [0])])
    ((name, own),) = subject.until(1).values()
    assert name in {"seqtools-0", "seqtools-1"}
    assert own is get


def test_fewer_and_more_threads(make: MakeEngine) -> None:
    get = Gates(*range(6))
    subject = make(get, 3)
    subject.engine.submit([Job(k, [k]) for k in range(3)])
    for k in range(3):
        get.begun[k].wait()
    subject.engine.resize(1)
    for k in range(3):
        get.gates[k].set()
    subject.until(3)
    subject.engine.submit([Job(k, [k]) for k in range(3, 6)])
    get.begun[3].wait()
    assert (subject.engine.busy(), subject.engine.nworkers) == (1, 1)
    subject.engine.resize(3)
    for k in (4, 5):
        get.begun[k].wait()
    assert subject.engine.busy() == 3
    get.open()
    subject.until(6)


def test_hints_tell_of_a_task_and_of_what_comes_then(make: MakeEngine) -> None:
    class Hints(list):  # type: ignore[type-arg]
        def __call__(self, indices: Any) -> None:
            self.append(list(indices))

        def end(self) -> None:
            self.append([])

    told, get = Hints(), Gates(0)
    subject = make(get, 1, hints=told)
    subject.engine.submit([Job(0, [0])])
    get.begun[0].wait()
    subject.engine.submit([Job(1, range(100, 110)), Job(2, range(200, 240))])
    get.open()
    subject.until(51)
    assert told == [[0], [*range(100, 110), *range(200, 200 + AHEAD - 10)], list(range(200, 240))]
    subject.engine.close()
    assert told[-1] == []


def test_a_hook_that_fails_is_told(make: MakeEngine) -> None:
    def hook(number: int) -> None:
        raise ValueError(f"no licence {number}")

    subject = make(abs, 1, start_hook=hook)
    subject.engine.submit([Job(0, [1])])
    error = subject.parts.get()
    assert isinstance(error, WorkerStartError)
    assert str(error) == "start_hook failed in thread 0: ValueError: no licence 0"
    assert isinstance(error.__cause__, ValueError)


def test_a_probe_is_called_in_place_of_the_function(make: MakeEngine) -> None:
    subject = make(lambda i: i, 1, probe=lambda get, i: -get(i))
    subject.engine.submit([Job(0, range(3))])
    assert subject.until(3) == {(0, 0): 0, (0, 1): -1, (0, 2): -2}
    subject.engine.work.probe = None
    subject.engine.submit([Job(1, [3])])
    assert subject.until(4)[1, 0] == 3


def test_an_object_that_owns_its_engine_is_collected_and_threads_end() -> None:
    class Owner:
        def __init__(self) -> None:
            self.parts: SimpleQueue[Any] = SimpleQueue()
            self.engine = ThreadEngine(self.get, 2, hints=None, deliver=self.deliver)

        def get(self, i: int) -> int:
            return i

        def deliver(self, part: Any) -> None:
            self.parts.put(part)

    owner = Owner()
    owner.engine.submit([Job(0, range(10)), Job(1, [1])])
    for _ in range(2):
        owner.parts.get()
    threads = [t for slot in owner.engine._pool.slots.values() for t in slot.threads]
    ref = weakref.ref(owner)
    del owner
    while ref() is not None:  # a thread may not have come to its rest
        gc.collect()
    for each in threads:
        each.join()


def test_no_items_take_less_than_no_time() -> None:
    """A look has read the clock before another thread has begun the task that it finds."""
    task, parts = StealableTask(Job(1, range(3)), 10.0), list[Any]()
    task.outcomes += ["a", "b"]
    pool._deliver_values(task, parts.append, 9.0)
    task.outcomes.append("c")
    pool._deliver_values(task, parts.append, 10.5)
    assert [(part.outcomes, part.seconds) for part in parts] == [(["a", "b"], 0.0), (["c"], 0.5)]
