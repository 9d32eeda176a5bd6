"""Caches whose items are evaluated by threads that fail, and read each other's items."""

import dis
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import LazySequence, add_cache, smap
from seqtools._core import single_flight
from tests.threads import LONG, elsewhere, together

EIGHT = 8


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Semaphore]:
    """Count those who have come to wait for another thread."""
    arrived = threading.Semaphore(0)
    wait = single_flight._wait

    def counted(other: single_flight._Flight) -> bool:
        arrived.release()
        return wait(other)

    monkeypatch.setattr(single_flight, "_wait", counted)
    yield arrived
    assert single_flight._waits.flights == {}


def come(arrived: threading.Semaphore, count: int) -> None:
    for _ in range(count):
        assert arrived.acquire(timeout=LONG)


# Leaders that fail


@pytest.mark.parametrize("error", [OSError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_a_leader_raises_is_told_to_nobody_else(
    waiting: threading.Semaphore, error: type[BaseException]
) -> None:
    evaluated = []

    def load(i: int) -> int:
        evaluated.append(i)
        if len(evaluated) == 1:
            come(waiting, EIGHT - 1)
            raise error
        return i

    cached = add_cache(smap(load, range(3)))
    outcomes = together(*[lambda: cached[1]] * EIGHT)
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(failed) == 1
    assert isinstance(failed[0].__cause__ or failed[0], error)
    assert outcomes.count(1) == EIGHT - 1
    assert evaluated == [1, 1]
    assert not cached._state[1]._active


def interrupted(act: Callable[[], Any], after: int) -> bool:
    """Interrupt `act` where Python looks for signals in our files, the `after`th time.

    That is where a function begins, and behind a call. Returns whether it came that far.
    """
    files = (single_flight.__file__, seqtools.combinators.cache.__file__)
    measuring, count = sys.gettrace(), 0
    looks = {dis.opmap[name] for name in ("RESUME", "CALL")}

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename not in files:
            return None
        frame.f_trace_opcodes = True
        code = frame.f_code.co_code
        done = max((k for k in range(0, frame.f_lasti, 2) if code[k] not in CACHES), default=0)
        if event == "opcode" and code[done] in looks:
            count += 1
            if count == after:
                raise KeyboardInterrupt
        return trace

    # Python 3.12 tells of the first frame's steps only if some frame was marked before
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        act()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(measuring)
    assert count < after
    return False


CACHES = {dis.opmap["CACHE"]} if "CACHE" in dis.opmap else {0}


@pytest.mark.parametrize("room", [0, 2])
def test_an_interrupt_at_any_moment_leaves_nothing_behind(room: int) -> None:
    after, happened = 0, True
    while happened:
        after += 1
        cached = add_cache(smap(abs, range(3)), room)
        happened = interrupted(lambda cached=cached: cached[2], after)
        assert elsewhere(lambda cached=cached: cached[2]) == 2
        assert cached[2] == 2
        assert 2 not in cached._state[1]
    assert after > 20


# Threads that read each other's items


def test_a_circle_over_two_caches(waiting: threading.Semaphore) -> None:
    both_inside = threading.Barrier(2)
    local = threading.local()

    def load(name: str, other: Callable[[], LazySequence[Any]]) -> tuple[str, Any]:
        if getattr(local, "inside", False):
            return name, None
        local.inside = True
        both_inside.wait(LONG)
        return name, other()[0]

    one: LazySequence[Any] = add_cache(smap(lambda _: load("one", lambda: two), [0]), 2)
    two: LazySequence[Any] = add_cache(smap(lambda _: load("two", lambda: one), [0]), 2)
    found = together(lambda: one[0], lambda: two[0])
    # one of them had to evaluate what the other one was at
    assert found in (
        [("one", ("two", ("one", None))), ("two", ("one", None))],
        [("one", ("two", None)), ("two", ("one", ("two", None)))],
    )
    come(waiting, 2)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have stages be evaluated by one thread at a time, as in a worker process."""
    monkeypatch.setattr(single_flight, "in_turns", True)


@pytest.mark.usefixtures("turns")
def test_whose_turn_it_is_may_need_one_who_waits_for_it(waiting: threading.Semaphore) -> None:
    at_two = threading.Event()

    def load(i: int) -> tuple[int, Any]:
        if i == 1:
            return i, None
        at_two.set()
        come(waiting, 1)  # the other one, for its turn
        return i, cached[1]

    cached: LazySequence[tuple[int, Any]] = add_cache(smap(load, range(3)), 3)
    found = together(lambda: cached[2], lambda: at_two.wait(LONG) and cached[1])
    assert found == [(2, (1, None)), (1, None)]


@pytest.mark.usefixtures("turns")
def test_who_is_waited_for_need_not_wait_for_its_turn(
    waiting: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads, in_turn = threading.Event(), single_flight.Flights.in_turn

    def late(flights: single_flight.Flights, make: Callable[[], Any]) -> Any:
        if 2 not in flights:
            leads.set()
            come(waiting, 1)  # the other one, for what this one is going to evaluate
        return in_turn(flights, make)

    monkeypatch.setattr(single_flight.Flights, "in_turn", late)
    cached: LazySequence[tuple[int, Any]] = add_cache(
        smap(lambda i: (i, cached[1] if i == 2 else None), range(3)), 3
    )
    found = together(lambda: cached[1], lambda: leads.wait(LONG) and cached[2])
    assert found == [(1, None), (2, (1, None))]


@pytest.mark.usefixtures("turns")
def test_who_waited_for_a_turn_that_has_ended_is_not_overtaken(
    waiting: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_one, evaluated, wait = threading.Event(), [], single_flight._Flight.wait

    def load(i: int) -> int:
        evaluated.append(i)
        if i == 1:
            at_one.set()
            come(waiting, 1)  # the other one, for its turn
        return i

    def late(self: single_flight._Flight) -> None:
        wait(self)
        if 2 in cached._state[1]:
            come(waiting, 1)  # this one, for what the other one is going to evaluate

    cached: LazySequence[int] = add_cache(smap(load, range(3)), 3)
    monkeypatch.setattr(single_flight._Flight, "wait", late)
    found = together(lambda: [cached[1], cached[2]], lambda: at_one.wait(LONG) and cached[2])
    assert found == [[1, 2], 2]
    assert evaluated == [1, 2]


@pytest.mark.usefixtures("turns")
def test_otherwise_one_thread_at_a_time_is_in_a_stage(waiting: threading.Semaphore) -> None:
    inside, first = [], [True]

    def load(i: int) -> list[int]:
        inside.append(i)
        if first and first.pop():
            come(waiting, EIGHT - 1)
        inside.remove(i)
        return [*inside]

    cached = add_cache(smap(load, range(EIGHT)), EIGHT)
    found = together(*[lambda i=i: cached[i] for i in range(EIGHT)])  # type: ignore[misc]
    assert found == [[]] * EIGHT


@pytest.mark.parametrize("start_method", ["template", "fork"])
def test_a_cache_that_reads_itself_in_worker_processes(start_method: str) -> None:
    def fibonacci(i: int) -> int:
        return i if i < 2 else numbers[i - 1] + numbers[i - 2]

    numbers: LazySequence[int] = add_cache(smap(fibonacci, range(60)), 40)
    with seqtools.prefetch(numbers, 2, "process", start_method=start_method) as p:
        assert list(p)[-1] == 956722026041


# Workers that die


@pytest.mark.parametrize("start_method", ["template", "spawn", "fork"])
def test_a_leader_whose_process_dies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, start_method: str
) -> None:
    monkeypatch.setenv("SEQTOOLS_FAULTS", "item-done:SIGKILL:5")
    monkeypatch.setenv("SEQTOOLS_FAULTS_LOG", str(tmp_path))
    files = add_cache(smap(lambda k: [k] * 4, range(8)), 3)
    order = np.random.default_rng(0).permutation(32)
    samples = seqtools.gather(seqtools.unbatch(files, 4), order)
    p = seqtools.prefetch(samples, 2, "process", start_method=start_method)
    assert list(p) == [int(i) // 4 for i in order]
    p.close()
    assert (
        tmp_path / "item-done"
    ).stat().st_size > 32 * seqtools.engines.fault_injection.RECORD.size
