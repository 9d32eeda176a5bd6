"""Workers that nobody uses end, and those of all prefetches can be ended."""

import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import seqtools
from seqtools.engines.thread.engine import ThreadEngine
from seqtools.prefetching.idle import watch
from seqtools.prefetching.pump import Pump

# the thread that looks after idle workers would look after the fork server too
pytestmark = pytest.mark.usefixtures("no_fork_server")


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Return an event that is set when an owner has no workers any more."""
    seen, rest = threading.Event(), Pump.rest

    def look(pump: Pump) -> float | None:
        wait = rest(pump)
        if wait is None:
            seen.set()
        return wait

    monkeypatch.setattr(Pump, "rest", look)
    return seen


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Semaphore]:
    """Return a semaphore that is released at each look."""
    seen, rest = threading.Semaphore(0), Pump.rest

    def look(pump: Pump) -> float | None:
        try:
            return rest(pump)
        finally:
            seen.release()

    monkeypatch.setattr(Pump, "rest", look)
    yield seen
    seqtools.close_all()


def workers() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.removeprefix("seqtools-").isdecimal()]


def test_idle_threads_end_and_start_again(ended: threading.Event) -> None:
    evaluated = []
    source = seqtools.smap(lambda i: evaluated.append(i) or i, range(100))  # type: ignore[func-returns-value]
    p = seqtools.prefetch(source, 2, max_cached=10, idle_timeout=0.01)
    items = iter(p)
    assert next(items) == 0
    assert ended.wait(20)
    assert not workers()
    assert list(items) == list(range(1, 100))
    assert sorted(evaluated) == list(range(100))  # what was ready was kept


def test_a_warning_that_is_an_error_is_raised_at_the_next_read_and_the_watch_goes_on(
    monkeypatch: pytest.MonkeyPatch, ended: threading.Event
) -> None:
    close = ThreadEngine.close
    closed = threading.Event()

    def closing(engine: ThreadEngine, *, wait: bool = True) -> None:
        close(engine, wait=wait)
        if not closed.is_set():
            closed.set()
            warnings.warn("told by the watch", RuntimeWarning, stacklevel=1)

    monkeypatch.setattr(ThreadEngine, "close", closing)
    p = seqtools.prefetch(range(100), 2, "thread", max_cached=10, idle_timeout=0.01)
    items = iter(p)
    assert next(items) == 0
    assert ended.wait(20)
    with pytest.raises(RuntimeWarning, match="told by the watch"):
        list(items)
    ended.clear()
    assert list(items)[-1] == 99
    assert ended.wait(20)  # which would not be if its thread had ended with the warning
    p.close()


def test_idle_processes_end_and_start_again(ended: threading.Event) -> None:
    p = seqtools.prefetch(seqtools.smap(abs, range(30)), 2, "process", idle_timeout=0.01)
    items = iter(p)
    assert next(items) == 0
    assert ended.wait(20)
    assert p._state.pump._engine is None
    assert list(items) == list(range(1, 30))
    p.close()


def test_who_evaluates_or_waits_is_not_idle(looks: threading.Semaphore) -> None:
    begun, gate, evaluated = threading.Event(), threading.Event(), []

    def get(i: int) -> int:
        evaluated.append(i)
        if i == 3:
            begun.set()
            gate.wait()
        return i

    p = seqtools.prefetch(seqtools.smap(get, range(6)), 1, idle_timeout=0.001)
    items = iter(p)
    assert next(items) == 0
    assert begun.wait(20)
    for _ in range(5):
        looks.acquire()
    assert len(workers()) == 1
    gate.set()
    assert list(items) == list(range(1, 6))
    assert evaluated == list(range(6))


def test_what_could_not_be_looked_at_is_looked_at_again(looks: threading.Semaphore) -> None:
    p = seqtools.prefetch(seqtools.smap(abs, range(6)), 1, idle_timeout=3600)
    assert p[0] == 0
    pump = p._state.pump

    def end_while_it_looks() -> None:
        while looks.acquire(blocking=False):
            pass
        pump._drop()
        watch().look()
        assert looks.acquire(timeout=20)  # which could not be, as it is not its turn

    pump._take_turn(end_while_it_looks)
    thread = watch()._thread
    assert thread is not None
    thread.join(20)
    assert not thread.is_alive()


def test_without_a_limit_they_stay_and_nobody_looks_after_them() -> None:
    p = seqtools.prefetch(seqtools.smap(abs, range(6)), 2, idle_timeout=None)
    before = threading.active_count()
    assert p[0] == 0
    assert threading.active_count() == before + 2
    assert len(workers()) == 2
    p.close()


@pytest.mark.parametrize("method", ["thread", "process"])
def test_all_can_be_closed(method: str) -> None:
    made = [
        seqtools.prefetch(seqtools.smap(abs, range(20)), 1, method, idle_timeout=timeout)
        for timeout in (None, 60)
    ]
    iterators = [iter(p) for p in made]
    assert [next(items) for items in iterators] == [0, 0]
    assert len(list(watch())) >= 2
    seqtools.close_all()
    for thread in workers():  # one that was not given a processor for half a second
        thread.join()
    assert [p._state.pump._engine for p in made] == [None, None]
    assert [list(items) for items in iterators] == [list(range(1, 20))] * 2
    seqtools.close_all()
    seqtools.close_all()  # twice does no harm


def test_what_is_being_looked_at_is_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    listed, looked, rest = [], threading.Event(), Pump.rest

    def look(pump: Pump) -> float | None:
        listed.append(pump in list(watch()))
        looked.set()
        return rest(pump)

    monkeypatch.setattr(Pump, "rest", look)
    with seqtools.prefetch(seqtools.smap(abs, range(20)), 1) as p:
        assert p[1] == 1
        assert looked.wait(20)
    assert all(listed)


def test_one_thread_looks_after_all(looks: threading.Semaphore) -> None:
    made = [seqtools.prefetch(seqtools.smap(abs, range(20)), 1) for _ in range(5)]
    assert [p[1] for p in made] == [1] * 5
    looks.acquire()
    names = [t.name for t in threading.enumerate()]
    assert names.count("seqtools-idle") == 1
    for p in made:
        p.close()


def test_a_prefetch_that_is_gone_is_not_looked_after() -> None:
    p: Any = seqtools.prefetch(seqtools.smap(abs, range(20)), 1)
    assert p[1] == 1
    threads = [t for t in threading.enumerate() if t.name == "seqtools-idle"]
    del p
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_a_prefetch_whose_end_has_come_is_not_looked_after() -> None:
    p: Any = seqtools.prefetch(seqtools.smap(abs, range(20)), 1)
    assert p[1] == 1
    pump = p._state.pump  # as a cycle may keep it for a while
    del p
    assert pump.rest() is None
    for thread in workers():
        thread.join(20)
        assert not thread.is_alive()


def test_a_fork_looks_after_its_own() -> None:
    code = textwrap.dedent("""
        import os, seqtools
        p = seqtools.prefetch(seqtools.smap(abs, range(20)), 2)
        assert p[0] == 0
        child = os.fork()
        if not child:
            seqtools.close_all()  # those are not its own
            assert list(p) == list(range(20))
            seqtools.close_all()
            os._exit(17)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
        assert list(p) == list(range(20))
    """)
    program = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    subprocess.run(program, check=True, timeout=20)
