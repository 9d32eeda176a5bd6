"""Ctrl-C, or what signal handlers raise, at any moment: nothing is lost, repeated or left."""

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NoReturn

import pytest

import seqtools
from seqtools.engines import fault_injection
from seqtools.engines.wire.pipes import Poller
from tests.engines.engines import OPTIONS
from tests.engines.fifo import Fifo
from tests.faults.interrupting import (
    SCENARIOS,
    SOURCE,
    N,
    Reader,
    Scenario,
    gathering,
    indices,
    interrupted,
    iteration,
)
from tests.faults.intruders import ENGINES, Intruder, everywhere, interrupt

MakeFifo = Callable[[], Fifo]


class Stopped(Exception):  # noqa: N818 -- nothing went wrong
    """What a signal handler of the user's raises."""


def stop() -> NoReturn:
    raise Stopped


STEP = 7
"""Each scenario is interrupted at every seventh place, and each at others. With 1, it takes a
minute and a half; all pass."""


def tried(
    scenario: Scenario, act: Callable[[], NoReturn], *told: type[BaseException]
) -> Iterator[Reader]:
    """Yield a reader who was interrupted once, for each place of `scenario`."""
    readers: list[Reader] = []

    def run(intruder: Intruder) -> None:
        readers.append(Reader(intruder, *told))
        scenario(readers[-1])

    for intruder in everywhere(run, act, SCENARIOS.index(scenario), STEP):
        if intruder.came:
            yield readers[-1]
    assert len(readers) > 2


@pytest.mark.one_of(2)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_an_interrupt_at_any_place_is_one_and_loses_nothing(
    scenario: Scenario,
) -> None:
    for reader in tried(scenario, interrupt, KeyboardInterrupt):
        assert len(reader.caught) == 1


STEPS = {"thread": 127, "process": 433, "spawn": 997, "fork": 433}
"""Of the places that the thread of a reader passes, one of so many is interrupted. There are
more with processes, and they take longer; `make reads` tries more of them."""


@pytest.mark.parametrize(
    ("method", "scenario"),
    [
        *[(method, each) for method in ("thread", "process") for each in (gathering, indices)],
        *[(method, iteration) for method in STEPS],
    ],
)
def test_an_interrupt_at_a_place_of_prefetch_or_its_engine_loses_nothing(
    method: str, scenario: Scenario
) -> None:
    assert len(list(interrupted(scenario, method, STEPS[method]))) > 1


@pytest.mark.parametrize("scenario", [iteration, gathering])
def test_what_a_signal_handler_raises_is_no_error_of_the_item(
    scenario: Scenario,
) -> None:
    for reader in tried(scenario, stop, Stopped):
        assert len(reader.caught) == 1


def test_what_a_signal_handler_raises_by_index_names_the_item() -> None:
    for reader in tried(indices, stop, Stopped, seqtools.EvaluationError):
        (caught,) = reader.caught
        assert isinstance(caught, Stopped) or isinstance(caught.__cause__, Stopped)


def test_an_exception_set_in_a_thread_that_waits_loses_nothing(fifo: MakeFifo) -> None:
    begun, gate, told, reads = fifo(), fifo(), threading.Event(), threading.Event()

    def get(i: int) -> int:
        if i == 3:
            begun.send()
            gate.wait()
        return i

    seen, caught = [], []

    def read() -> None:
        items = iter(p)
        seen.append(next(items))
        # From here on it starts no thread. Python gives one that begins the exception of the
        # thread that starts it.
        reads.set()
        while True:
            try:
                seen.extend(items)
            except Stopped as error:
                caught.append(error)
                told.set()
            else:
                break

    with seqtools.prefetch(seqtools.smap(get, range(20)), 2) as p:
        thread = threading.Thread(target=read)
        thread.start()
        begun.wait()
        reads.wait()
        set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
        assert set_exception(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(Stopped)) == 1
        told.wait()
        gate.send(2)  # it is evaluated again
        thread.join()
    assert seen == list(range(20))
    assert len(caught) == 1


POINTS = [
    *("start", "started", "worker", "worker-requested", "task", "task-sent"),
    *("polled", "read", "loaded"),
]


@pytest.fixture
def point() -> Iterator[Callable[[str], None]]:
    """Return a function that arms a fault in this process, for the time of a test."""
    yield fault_injection.arm
    fault_injection.arm("")


PROCESSES = ["process", "spawn", "fork"]
CELLS = [
    (method, where)
    for method in PROCESSES
    for where in POINTS
    if method != "spawn" or not where.startswith("start")  # there is no template
]


@pytest.mark.parametrize(("method", "where"), CELLS)
def test_an_interrupt_at_a_step_of_the_protocol_loses_nothing(
    method: str, where: str, point: Callable[[str], None]
) -> None:
    p = seqtools.prefetch(SOURCE, max_cached=10, **OPTIONS[method])
    point(f"consumer-{where}:SIGINT:{1 if where.startswith('start') else 2}")
    reader = Reader(Intruder())
    assert reader.reads(iter(p)) == list(range(N))
    assert len(reader.caught) == 1
    p.close()


def test_an_interrupt_of_who_waits_for_pipes_leaves_none() -> None:
    def wait(intruder: Intruder) -> None:
        poller = Poller()
        before = len(os.listdir("/proc/self/fd"))
        try:
            with suppress(KeyboardInterrupt), intruder:
                poller.poll(0)
        finally:
            poller.close()
        assert len(os.listdir("/proc/self/fd")) == before - 3

    assert len(list(everywhere(wait, interrupt, where=ENGINES))) > 1


@pytest.mark.parametrize("method", PROCESSES)
@pytest.mark.parametrize("where", ["close", "closed"])
def test_an_interrupt_while_closing_leaves_nothing(
    where: str, method: str, point: Callable[[str], None]
) -> None:
    p = seqtools.prefetch(SOURCE, max_cached=10, **OPTIONS[method])
    assert p[0] == 0
    point(f"consumer-{where}:SIGINT:1")
    reader = Reader(Intruder())
    reader.does(p.close)
    assert len(reader.caught) == 1
