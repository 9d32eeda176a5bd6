"""Threads that read each other's items of caches, also where one at a time is in a stage."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import LazySequence, add_cache, smap
from seqtools._core import single_flight
from tests.threads import LONG, come, together

EIGHT = 8


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
