"""What an interrupt, another thread, or the end of an engine may leave undone, step by step."""

import os
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import pytest

import seqtools
from seqtools._core.errors import Failure, WorkerStartError
from seqtools.engines.base import Deliver, Job, Part, here
from seqtools.engines.uninterruptible import uninterrupted
from seqtools.prefetching import lifecycle
from seqtools.prefetching.budget import Budget
from seqtools.prefetching.ending import Start
from seqtools.prefetching.pump import Pump
from seqtools.prefetching.reader import RandomReader, Reader
from seqtools.prefetching.run import NOTHING, Run
from seqtools.prefetching.window import Window
from tests.children import forked


class Manual:
    """An engine that evaluates what a test tells it to: item i is -i."""

    grain, nworkers, news, group_of = 1.0, 1, False, None

    def __init__(self, deliver: Deliver) -> None:
        self.deliver = deliver
        self.jobs: dict[int, Job] = {}
        self.submitted: list[int] = []
        self.closed = False
        self.refuses: BaseException | None = None
        """What interrupts the next `submit`."""

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job] = ()) -> None:
        """Take jobs on."""
        if self.refuses is not None:
            error, self.refuses = self.refuses, None
            raise error
        for job in (*urgent, *ahead):
            self.jobs[job.id] = job
            self.submitted += job.indices

    def evaluate(self, notes: Sequence[Callable[[], object]] = ()) -> None:
        """Evaluate all there is."""
        for job in [*self.jobs.values()]:
            self.deliver(Part(job.id, 0, [-i for i in job.indices], notes=notes))
        self.jobs.clear()

    def cancel(self, ids: Collection[int]) -> None:
        """Forget jobs."""
        for number in ids:
            self.jobs.pop(number, None)

    def look(self) -> float:
        """Evaluate, because somebody waits."""
        self.evaluate()
        return 0.0

    def waited(self, seconds: float) -> None:
        """Do nothing."""

    def tell(self) -> None:
        """Have no more to tell."""
        self.news = False

    def busy(self) -> int:
        """Return that it has nothing to do."""
        return 0

    def close(self, *, wait: bool = True) -> None:
        """End."""
        del wait
        self.closed = True


class Bench:
    """A pump, and its engines."""

    def __init__(self) -> None:
        self.engines: list[Manual] = []
        self.pump = Pump(self._make, lambda: Window(Budget(4)), lambda i: f"inline {i}", None)

    def _make(self, deliver: Deliver) -> Any:
        self.engines.append(Manual(deliver))
        return self.engines[-1]

    @property
    def engine(self) -> Manual:
        """The engine that was started last."""
        return self.engines[-1]

    def read(self, reader: Reader, n: int) -> list[Any]:
        """Return the next `n` items."""
        found = []
        for _ in range(n):
            run = self.pump.next(reader)
            assert isinstance(run, Run)
            assert run.values
            found.append(run.values.popleft())
        return found


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Return a pump with engines that evaluate when they are told to, for the time of a test."""
    made = Bench()
    yield made
    made.pump.close()


def interrupted(monkeypatch: pytest.MonkeyPatch, name: str, after: bool) -> None:
    """Have the next call of a method of the window interrupted, before or after what it does."""
    method = getattr(Window, name)

    def once(self: Window, *arguments: Any) -> Any:
        monkeypatch.setattr(Window, name, method)
        if after:
            method(self, *arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(Window, name, once)


@pytest.mark.parametrize("after", [False, True])
def test_a_part_that_was_interrupted_arrives_once_with_its_notes(
    bench: Bench, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, noted = Reader(range(10)), list[int]()
    assert bench.read(reader, 1) == [0]
    bench.engine.evaluate([lambda: noted.append(1)])
    parts = len(bench.pump._arrivals.parts)
    interrupted(monkeypatch, "arrived", after)
    with pytest.raises(KeyboardInterrupt):
        bench.pump.next(reader)
    assert bench.read(reader, 4) == [-1, -2, -3, -4]
    assert bench.engine.submitted.count(1) == 1, "it was evaluated again"
    assert len(noted) == parts


def test_a_piece_of_a_run_whose_arrival_was_interrupted_arrives_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, replace = Reader(range(10)), Window._replace
    bench.pump.window.cutter.grain = 1.0
    bench.pump.window.cutter.timed(1e-4, 4)
    seen = bench.read(reader, 1)
    while not (long := [job for job in bench.engine.jobs.values() if len(job.indices) == 2]):
        seen += bench.read(reader, 1)
    job = long[0]
    bench.engine.deliver(Part(job.id, 0, [-job.indices[0]]))

    def replaces_and_raises(*arguments: Any) -> None:
        monkeypatch.setattr(Window, "_replace", replace)
        replace(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(Window, "_replace", replaces_and_raises)
    with pytest.raises(KeyboardInterrupt):
        bench.pump.next(reader)
    bench.engine.evaluate()
    seen += bench.read(reader, 10 - len(seen))
    assert seen == list(range(0, -10, -1))
    assert sorted(bench.engine.submitted) == list(range(10))


def test_a_job_that_the_engine_did_not_get_is_sent_again(bench: Bench) -> None:
    reader = Reader(range(10))
    assert bench.read(reader, 1) == [0]
    bench.engine.evaluate()
    bench.engine.refuses = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        bench.read(reader, 4)
    rest = -reader.position
    assert bench.read(reader, 10 + rest) == list(range(rest, -10, -1))
    assert sorted(bench.engine.submitted) == list(range(10))


def test_what_has_arrived_outlives_its_engine(bench: Bench) -> None:
    reader = Reader(range(10))
    assert bench.read(reader, 1) == [0]
    old = bench.engine
    old.evaluate()
    bench.pump.close()
    assert old.closed
    assert bench.read(reader, 9) == list(range(-1, -10, -1))
    assert not {1, 2, 3, 4} & set(bench.engine.submitted)


def test_who_waits_for_an_engine_that_is_closed_is_woken(bench: Bench) -> None:
    reader = Reader(range(10))
    assert bench.read(reader, 1) == [0]
    bench.pump._arrivals.await_(reader, None)
    bench.pump.close()
    assert reader.wakeup.clear()


def test_the_idle_watch_leaves_an_engine_to_the_thread_that_closes_it(bench: Bench) -> None:
    assert bench.read(Reader(range(10)), 1) == [0]
    pump, closes, waits = bench.pump, list[bool](), list[float | None]()

    def close(*, wait: bool = True) -> None:
        closes.append(wait)
        waits.append(pump.rest())  # as the watch does meanwhile, twice
        waits.append(pump.rest())

    bench.engine.close = close  # type: ignore[method-assign]
    pump.close()
    assert closes == [True]
    assert waits == [lifecycle._SOON] * 2
    assert pump.rest() is None


def test_the_idle_watch_closes_what_an_interrupted_thread_has_left(bench: Bench) -> None:
    assert bench.read(Reader(range(10)), 1) == [0]
    left = Manual(lambda _: None)
    bench.pump._ended.append(left)
    bench.pump.rest()
    assert not left.closed  # a thread may be about to do that
    bench.pump.rest()
    assert left.closed


def test_an_engine_that_cannot_start_workers_is_replaced(bench: Bench) -> None:
    reader = Reader(range(10))
    assert bench.read(reader, 1) == [0]
    old = bench.engine
    old.deliver(WorkerStartError("none"))
    assert bench.read(reader, 3) == [-1, -2, -3]  # which were finished
    with pytest.raises(WorkerStartError):
        bench.pump.next(reader)
    assert old.closed
    assert bench.read(reader, 6) == list(range(-4, -10, -1))
    assert bench.engine is not old


def test_notes_of_what_came_before_an_error_are_called_before_it_is_raised(bench: Bench) -> None:
    reader, noted = Reader(range(10)), list[int]()
    assert bench.read(reader, 1) == [0]
    bench.engine.evaluate([lambda: noted.append(1)])
    bench.engine.deliver(WorkerStartError("none"))
    with pytest.raises(WorkerStartError):
        bench.read(reader, 9)
    assert noted


def test_an_error_of_an_engine_is_forgotten_when_the_prefetch_is_closed(bench: Bench) -> None:
    reader = Reader(range(10))
    assert bench.read(reader, 1) == [0]
    bench.engine.deliver(WorkerStartError("none"))
    assert bench.read(reader, 1) == [-1]
    bench.pump.close()
    assert bench.read(reader, 8) == list(range(-2, -10, -1))


@pytest.mark.parametrize("wanted", [False, True])
def test_an_engine_that_nobody_waits_for_any_more_is_closed_once_it_has_started(
    wanted: bool,
) -> None:
    engine = Manual(lambda _: None)
    start = Start(lambda: engine)
    start.wanted = wanted
    start.finish()
    assert engine.closed is not wanted


@pytest.mark.parametrize("after", [False, True])
def test_an_engine_that_was_started_for_an_interrupted_thread_is_closed(
    bench: Bench, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts: list[Callable[[], object]] = []

    def interrupted_apart(act: Callable[[], object]) -> None:
        acts.append(act)
        if after:
            act()
        monkeypatch.setattr(lifecycle, "uninterrupted", uninterrupted)
        raise KeyboardInterrupt

    monkeypatch.setattr(lifecycle, "uninterrupted", interrupted_apart)
    reader = Reader(range(10))
    with pytest.raises(KeyboardInterrupt):
        bench.pump.next(reader)
    assert bench.read(reader, 10) == list(range(0, -10, -1))
    if not after:
        acts[0]()  # the other thread gets there at last
    first, second = bench.engines if after else bench.engines[::-1]
    assert first.closed
    assert not second.closed


def test_what_was_asked_for_in_a_turn_that_was_interrupted_is_done(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = Reader(range(10))
    assert bench.read(reader, 1) == [0]
    plan = Window.plan

    def closes_and_raises(_: Window) -> Any:
        monkeypatch.setattr(Window, "plan", plan)
        bench.pump.close()  # as a signal handler may
        assert not bench.engine.closed
        raise KeyboardInterrupt

    monkeypatch.setattr(Window, "plan", closes_and_raises)
    with pytest.raises(KeyboardInterrupt):
        bench.pump.next(reader)
    assert bench.engine.closed


def test_a_reader_that_leaves_has_no_share(bench: Bench) -> None:
    reader = Reader(range(10))
    assert bench.read(reader, 1) == [0]
    bench.pump.leave(reader)
    assert not bench.pump.window.readers
    assert not bench.engine.jobs


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_begins_anew(bench: Bench) -> None:
    reader = Reader(range(10))
    assert bench.read(reader, 1) == [0]

    def reads_on() -> bool:
        return bench.read(reader, 9) == list(range(-1, -10, -1)) and len(bench.engines) == 2

    assert forked(reads_on)
    assert bench.read(reader, 9) == list(range(-1, -10, -1))
    assert len(bench.engines) == 1


def test_a_worker_that_reads_its_own_prefetch_does_not_wait_for_itself(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here, "get", bench.pump.inline, raising=False)
    assert bench.pump.read(RandomReader(10, 4), 3) == "inline 3"
    assert not bench.engines


def test_who_was_left_behind_as_the_program_ended_starts_no_engine(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.pump.ending.over = True
    monkeypatch.setattr(lifecycle, "main_thread", lambda: threading.Thread(target=int))
    reader = Reader(range(10))
    assert not isinstance(bench.pump._visit(reader), Run)
    assert not bench.engines


def test_an_iterator_that_is_gone_has_no_share() -> None:
    with seqtools.prefetch(range(100), 1) as p:
        items = iter(p)
        assert next(items) == 0
        del items
        assert not p._state.pump.window.readers


def test_what_is_to_be_told_is_told_before_an_item_is_given(bench: Bench) -> None:
    reader = Reader(range(10))
    assert bench.read(reader, 1) == [0]
    bench.engine.evaluate()
    bench.engine.news = True
    assert isinstance(bench.pump.next(reader), Run)
    assert not bench.engine.news


# What another thread does between the steps of a reader


def test_an_item_that_another_thread_has_taken_is_evaluated_on_the_spot(bench: Bench) -> None:
    reader = RandomReader(10, 4)
    assert bench.pump.read(reader, 0) == 0
    bench.engine.evaluate()
    run = bench.pump.next(reader)
    assert isinstance(run, Run)
    assert run.values
    assert run.values.popleft() == -1
    following = bench.pump.next(reader)
    assert bench.pump._take(reader, 1, following) == "inline 1"
    assert bench.pump.read(reader, 2) == -2


def test_an_error_that_is_dropped_before_it_is_raised_is_no_error(bench: Bench) -> None:
    run = Run(0, range(1)).with_values([Failure.caught(ValueError())], failed=True)
    run.take_back()
    bench.pump.throw(run)
    run.values = NOTHING
    bench.pump.throw(run)


class Dropped(Run):
    """A run whose values are dropped when a reader has looked for them."""

    __slots__ = ()

    @property
    def failed(self) -> bool:
        """Whether it failed, which is asked after the reader has seen values."""
        self.take_back()
        return False

    @failed.setter
    def failed(self, value: bool) -> None:
        pass


def test_a_value_that_is_dropped_before_it_is_taken_is_waited_for(bench: Bench) -> None:
    reader = RandomReader(10, 4)
    assert bench.pump.read(reader, 0) == 0
    bench.engine.evaluate()
    gone = Dropped(1, range(1, 2)).with_values(["gone"])
    assert bench.pump._take(reader, 1, gone) == -1


@pytest.mark.parametrize("ordered", [True, False])
def test_a_refresh_in_the_midst_of_a_run_ends_no_iteration(*, ordered: bool) -> None:
    n = 10_000
    with seqtools.prefetch(range(n), 1, max_cached=100, ordered=ordered) as p:
        items = iter(p)
        seen = [next(items)]
        (reader,) = p._state.pump.window.readers
        while reader.cursor.ring[0].unread < 2:
            seen.append(next(items))
        p.refresh()
        seen += items
        assert (seen if ordered else sorted(seen)) == list(range(n))
