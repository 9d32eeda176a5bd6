"""Engines that become others: nothing is lost or repeated, and never are more at work."""

import gc
import os
import pickle
import random
import select
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import seqtools
from seqtools.engines.adaptive import deliveries, engine, probe
from seqtools.engines.adaptive.probe import ThreadMeter
from seqtools.engines.dispatch import evaluator
from seqtools.prefetching import options
from seqtools.prefetching.cores import usable_cores
from seqtools.prefetching.options import Options
from tests.engines.adapting import Adapted
from tests.engines.engines import Moves
from tests.engines.fifo import Fifo
from tests.faults.intruders import Intruder, everywhere

MakeFifo = Callable[[], Fifo]
Make = Callable[..., Adapted]
PLACES = tuple(str(m.__file__) for m in (engine, deliveries, probe))
N = 60
SOURCE = seqtools.smap(abs, range(N))


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Adapted] = []

    def one(
        get: Callable[[int], Any], *steps: int, hook: Any = None, start: str = "template"
    ) -> Adapted:
        made.append(Adapted(Moves(*steps), get, hook, start))
        return made[-1]

    yield one
    for each in made:
        each.close()


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Moves]]:
    """Have `nworkers="auto"` go through the steps given; returns the choices that were made."""

    def plan(*steps: int) -> list[Moves]:
        plans: list[Moves] = []

        def choice(options: Options) -> Moves | None:
            if options.nworkers != "auto":
                return None
            plans.append(Moves(*steps))
            return plans[-1]

        monkeypatch.setattr(Options, "choice", choice)
        return plans

    return plan


def interrupt() -> None:
    raise KeyboardInterrupt


class Log:
    """Evaluates items, one for each signal, and writes down where and when, in a file."""

    def __init__(self, path: Path, gate: Fifo) -> None:
        self.path, self.gate = path, gate

    def __call__(self, i: int) -> int:
        self._write("+", i)
        self.gate.wait()
        self._write("-", i)
        return i

    def _write(self, what: str, i: int) -> None:
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, f"{what} {i} {os.getpid()}\n".encode())
        os.close(fd)

    def lines(self) -> list[list[str]]:
        """Return what was written, in that order."""
        return [line.split() for line in self.path.read_text().splitlines()]

    def at_work(self) -> int:
        """Return how many items are being evaluated."""
        return sum(1 if what == "+" else -1 for what, *_ in self.lines())

    def until(self, n: int) -> None:
        """Wait until `n` items are being evaluated."""
        while self.at_work() < n:
            os.sched_yield()


STEPS = [(2, -2), (1, 3, 1, -3, -1, -3), (1, 3, 1), (-3, -1, -3)]


@pytest.mark.parametrize("steps", STEPS)
def test_everything_comes_back_once_and_never_are_more_at_work(
    make: Make,
    steps: tuple[int, ...],
    tmp_path: Path,
    fifo: MakeFifo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluator, "GRAIN", -1.0)  # what is done is told before the next signal
    most = max(map(abs, steps))
    log = Log(tmp_path / "log", fifo())
    engine = make(log, *steps, start="fork")
    engine.submit(range(20))
    n, left = 20, 10
    while left:
        log.gate.send()  # one of those that are at work may end its item
        for i, item in engine.collect(1):
            assert i == item
            engine.submit([n])
            n += 1
        assert log.at_work() <= most
        # a signal may reach any of those that are at work, so some end late
        left -= not (engine.choice.left or engine.moving)
        left = max(left, log.at_work() > abs(steps[-1]))
    log.until(abs(steps[-1]))
    assert log.at_work() == abs(steps[-1])
    log.gate.send(engine.pending)
    engine.collect(engine.pending)
    assert set(Counter(i for what, i, _ in log.lines() if what == "+").values()) == {1}
    apart = {int(pid) != os.getpid() for *_, pid in log.lines()}
    assert apart == {step < 0 for step in steps}


def test_a_thread_goes_on_until_processes_have_begun(make: Make, fifo: MakeFifo) -> None:
    gate, mine = fifo(), os.getpid()

    def hook() -> None:
        if os.getpid() != mine:
            gate.wait()

    engine = make(lambda _: os.getpid(), 1, -2, hook=hook)
    engine.submit(range(30))
    assert [pid for _, pid in engine.collect(30)] == [mine] * 30
    gate.send(9)
    while engine.thread is not None:
        engine.submit(range(10))
        engine.collect(10)
    engine.submit([5])
    assert engine.collect(1)[0][1] != mine


@pytest.mark.parametrize("failing", ["hook", "loading", "pickling"])
def test_where_there_can_be_no_processes_the_thread_goes_on(make: Make, failing: str) -> None:
    mine = os.getpid()

    class Get:
        def __call__(self, i: int) -> int:
            return i

        def __reduce__(self) -> Any:
            if failing == "pickling":
                raise TypeError("it has a handle")
            return (get_or_fail, (failing == "loading", mine))

    def get_or_fail(fail: bool, mine: int) -> Callable[[int], int]:
        if fail and os.getpid() != mine:
            raise OSError("no such disk")
        return abs

    def hook() -> None:
        if failing == "hook" and os.getpid() != mine:
            raise OSError("no such device")

    engine = make(Get(), 1, -2, hook=hook)
    told = {"hook": "no such device", "loading": "no such disk", "pickling": "it has a handle"}
    while not engine.choice.refused:
        engine.submit(range(20))
        assert sorted(engine.collect(20)) == [(i, i) for i in range(20)]
    assert told[failing] in engine.choice.refused
    engine.submit(range(20))
    assert sorted(engine.collect(20)) == [(i, i) for i in range(20)]
    assert engine.process is None


def test_values_that_cannot_be_sent_are_seen_before_there_are_processes(make: Make) -> None:
    engine = make(lambda i: (k for k in range(i)), 1, -2)
    while not engine.choice.refused:
        engine.submit(range(20))
        engine.collect(20)
    assert engine.choice.refused.startswith("items of type generator cannot be sent")
    assert engine.process is None


def test_the_pipeline_is_sent_as_it_was_before_it_was_used(make: Make) -> None:
    class Opens:
        handle: Any = None

        def __call__(self, _: int) -> bool:
            known = self.handle is not None
            self.handle = threading.Lock()  # such as cannot be sent
            return known

    engine = make(Opens(), 1, -2)
    engine.submit([0])
    assert engine.collect(1) == [(0, False)]
    while engine.thread is not None:
        engine.submit(range(10))
        engine.collect(10)
    assert not engine.choice.refused


def test_who_is_at_work_can_be_counted(make: Make, fifo: MakeFifo) -> None:
    gate = fifo()

    def get(i: int) -> int:
        gate.wait()
        return i

    engine = make(get, 2, 1)
    assert (engine.engine.busy(), engine.engine.nworkers) == (0, 2)
    engine.submit(range(3))
    while engine.engine.busy() < 2:
        os.sched_yield()
    gate.send(2)
    engine.collect(2)
    while engine.engine.nworkers != 1:
        engine.engine.look()  # as a reader does who waits for the last item
    gate.send()
    engine.collect(1)
    assert engine.engine.busy() == 0


def test_surplus_processes_end(make: Make) -> None:
    engine = make(lambda _: os.getpid(), -3)
    engine.submit(range(30))
    engine.collect(30)
    at_work = engine.process._operator.workers.all
    workers = [worker.pid for worker in at_work]
    watched = [os.pidfd_open(pid) for pid in workers[1:]]
    engine.choice.nworkers = 1
    while len(at_work) > 1:
        engine.submit(range(10))
        engine.collect(10)
    for fd in watched:
        select.select([fd], [], [])
        os.close(fd)
    engine.submit(range(10))
    assert {pid for _, pid in engine.collect(10)} == {workers[0]}


@pytest.mark.parametrize("after", [0, 1, 24])
@pytest.mark.parametrize("steps", [(1, -2), (1, 4, 1)])
def test_closing_at_any_time_leaves_nothing(make: Make, steps: tuple[int, ...], after: int) -> None:
    engine = make(abs, *steps)
    engine.submit(range(100))
    if after:
        engine.collect(after)
    engine.close()


def test_a_choice_is_told_of_readers_that_wait_until_it_decides(make: Make) -> None:
    seen: list[Any] = []
    engine = make(abs, 1, 1)
    engine.choice.decide = lambda each: bool(seen.append(each))  # type: ignore[method-assign]
    engine.engine.waited(7.0)
    while not seen or seen[-1].delivered < 20:
        engine.submit(range(5))
        engine.collect(5)
    assert seen[0].waited == seen[-1].waited == 7.0
    assert len(seen[-1].times) >= seen[-1].delivered
    engine.choice.decide = lambda each: seen.append(each) or True  # type: ignore[method-assign,func-returns-value]
    while seen[-1].waited:
        engine.submit(range(5))
        engine.collect(5)


def test_a_choice_is_told_of_an_item_that_holds_up_all_others(make: Make, fifo: MakeFifo) -> None:
    gate = fifo()
    engine = make(lambda _: gate.wait(), 1)
    stuck: list[None] = []
    engine.choice.stuck = lambda: stuck.append(None)  # type: ignore[method-assign]
    engine.submit([0])
    while not stuck:
        time.sleep(min(0.05, engine.engine.look()))
    gate.send()
    engine.collect(1)


def test_an_object_that_owns_its_engine_is_collected() -> None:
    class Owner:
        def __init__(self) -> None:
            self.engine = Adapted(Moves(1, 2), self.get)
            self.engine.submit(range(10))
            self.engine.collect(10)

        def get(self, i: int) -> int:
            return i

    owner = Owner()
    ref, thread = weakref.ref(owner), owner.engine.engine._supervisor
    del owner
    while ref() is not None:  # a thread may not have come to its rest
        gc.collect()
    thread.join()


@pytest.mark.parametrize("steps", [(1, -2), (-2, -1)])
def test_an_interrupt_at_any_step_of_the_engine_loses_nothing(steps: tuple[int, ...]) -> None:
    def insist(act: Callable[[], object]) -> None:
        while True:
            try:
                act()
            except KeyboardInterrupt:
                continue
            return

    def work(intruder: Intruder) -> None:
        engine, n = Adapted(Moves(*steps), abs, start="fork"), 0
        engine.repeats = True  # processes evaluate again what was submitted again
        with closing(engine):
            while engine.choice.left or engine.moving or n < 60:
                jobs = engine.expect(range(n, n + 20), 3)
                n += 20
                with intruder:
                    insist(lambda jobs=jobs: engine.engine.submit(jobs))
                    insist(engine.engine.look)
                engine.collect(20)

    came = [intruder.came for intruder in everywhere(work, interrupt, 0, 2, PLACES)]
    assert any(came)


def test_a_probe_says_how_long_items_take_and_what_it_takes_to_send_them() -> None:
    probe = ThreadMeter([])
    assert [probe(lambda i: [i] * 1000, i) for i in range(5)][2] == [2] * 1000
    assert len(probe.times) == 5
    assert all(each.wall >= 0 for each in probe.times)
    assert len(probe.costs) == 3
    assert probe.refused is None
    with pytest.raises(ZeroDivisionError):
        probe(lambda i: 1 // i, 0)
    assert len(probe.times) == 5


def test_a_system_that_does_not_tell_of_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(probe, "open", refused, raising=False)
    assert probe.delay([threading.get_native_id()]) == 0


# As readers see it


@pytest.mark.parametrize(
    ("steps", "ordered"),
    [((1, -2), True), ((1, 3, 1, 2), True), ((-2, -1, -2), False), ((1, 2, -2), False)],
)
def test_readers_get_what_a_list_gives(
    planned: Callable[..., list[Moves]], steps: tuple[int, ...], *, ordered: bool
) -> None:
    plan = planned(*steps)
    with seqtools.prefetch(SOURCE, "auto", max_cached=10, ordered=ordered) as p:
        while plan[0].left:
            assert sorted(p) == list(range(N))
        assert (list(p) if ordered else sorted(p)) == list(range(N))
        assert [p[i] for i in (5, 30, 2)] == [5, 30, 2]


def test_values_with_a_seed_are_the_same_for_any_number_of_workers() -> None:
    numbers = seqtools.smap(lambda _: random.random(), range(30))
    with seqtools.prefetch(numbers, 1, "process", seed=5) as fixed:
        expected = list(fixed)
    with seqtools.prefetch(numbers, "auto", seed=5) as p:
        assert list(p) == expected
        assert "processes" in p._remark() or usable_cores() == 1


def test_what_was_chosen_is_told(planned: Callable[..., list[Moves]]) -> None:
    planned(2)
    with seqtools.prefetch(SOURCE, "auto") as p:
        assert list(p) == list(range(N))
        assert "prefetch(nworkers='auto')  2 of thread" in repr(p)
    assert seqtools.prefetch(SOURCE, 2)._remark() == ""


def test_a_pipeline_that_cannot_be_sent_is_for_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "usable_cores", lambda: 2)
    lock = threading.Lock()

    def get(x: int) -> int:
        with lock:
            return x

    with seqtools.prefetch(seqtools.smap(get, range(40)), "auto") as p:
        assert list(p) == list(range(40))
        assert "; no processes, because smap(get) cannot be sent to worker processes" in p._remark()
    with (
        seqtools.prefetch(seqtools.smap(get, range(40)), "auto", "process") as p,
        pytest.raises(seqtools.WorkerStartError, match="cannot be sent"),
    ):
        p[0]


def test_what_was_chosen_holds_for_workers_that_start_again(
    planned: Callable[..., list[Moves]],
) -> None:
    plans = planned(1, -2)
    with seqtools.prefetch(SOURCE, "auto") as p:
        while plans[0].method == "thread" or p._state.pump._engine._thread is not None:
            assert list(p) == list(range(N))
        p.close()
        assert list(p) == list(range(N))
        assert p._state.pump._engine._thread is None
    assert len(plans) == 1


def test_a_copy_chooses_for_itself() -> None:
    p = seqtools.prefetch(SOURCE, "auto", max_cached=20)
    with p, pickle.loads(pickle.dumps(p)) as copy:
        assert list(p) == list(copy) == list(range(N))
        assert copy._options == p._options
        assert copy._state.choice is not p._state.choice


@pytest.mark.parametrize("steps", [(1, -2), (1, 3, 1)])
def test_an_interrupt_at_a_place_loses_nothing(
    planned: Callable[..., list[Moves]], steps: tuple[int, ...]
) -> None:
    planned(*steps)
    caught: list[int] = []

    def read(intruder: Intruder) -> None:
        with seqtools.prefetch(SOURCE, "auto", max_cached=10) as p:
            items, seen = iter(p), []
            caught.append(0)
            with intruder:
                while True:
                    try:
                        seen.extend(items)
                    except KeyboardInterrupt:
                        caught[-1] += 1
                    else:
                        break
            assert seen == list(range(N))

    for intruder in everywhere(read, interrupt, 1, 6, PLACES):
        assert caught[-1] == intruder.came
    assert len(caught) > 2
