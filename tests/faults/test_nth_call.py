"""The n-th call that takes a resource fails, for every n: at the start, and when all is on."""

import errno
import mmap
import os
import re
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any

import pytest

import seqtools
from seqtools._core.errors import Failure, ItemTimeout, WorkerStartError
from seqtools.engines import fault_injection
from seqtools.engines.base import Job, Part
from seqtools.engines.process.engine import ProcessEngine
from seqtools.engines.process.spawn import SpawnPool
from seqtools.engines.thread.engine import ThreadEngine
from seqtools.prefetching import idle
from tests import leaks
from tests.engines.driven import Driven
from tests.engines.fifo import Fifo
from tests.faults.harness.reading import Reading
from tests.faults.harness.watching import pid_of, template_of, workers

MakeFifo = Callable[[], Fifo]
METHODS = pytest.mark.parametrize("start_method", ["template", "spawn", "fork"])


def _refusal(number: int) -> Callable[[], BaseException]:
    return lambda: OSError(number, os.strerror(number))


_CALLS: list[tuple[Any, str, Callable[[], BaseException]]] = [
    (os, "pipe", _refusal(errno.EMFILE)),
    (os, "dup", _refusal(errno.EMFILE)),
    (os, "memfd_create", _refusal(errno.EMFILE)),
    (os, "pidfd_open", _refusal(errno.EMFILE)),
    (os, "ftruncate", _refusal(errno.EFBIG)),
    (os, "fork", _refusal(errno.EAGAIN)),
    (socket, "socketpair", _refusal(errno.EMFILE)),
    (socket, "send_fds", _refusal(errno.ETOOMANYREFS)),
    (select, "epoll", _refusal(errno.EMFILE)),
    (subprocess, "_fork_exec", _refusal(errno.EAGAIN)),
    (mmap, "mmap", _refusal(errno.ENOMEM)),
    (threading.Thread, "start", lambda: RuntimeError("can't start new thread")),
]
"""What takes a resource, and how the system refuses it."""


class Scarce:
    """Counts the calls of this process that take a resource, and has one of them fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pid = os.getpid()
        self._left = 0
        self.calls: list[str] = []
        """Names of what was called within `at`."""
        for owner, name, refusal in _CALLS:
            if hasattr(owner, name):
                monkeypatch.setattr(owner, name, self._counted(getattr(owner, name), refusal))

    @contextmanager
    def at(self, n: int) -> Iterator[None]:
        """Have the `n`-th call within fail."""
        self.calls.clear()
        self._left = n
        try:
            yield
        finally:
            self._left = 0

    def _counted(self, real: Any, refusal: Callable[[], BaseException]) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            if self._left and os.getpid() == self._pid:
                self.calls.append(real.__name__)
                self._left -= 1
                if not self._left:
                    raise refusal()
            return real(*args, **kwargs)

        return counted


@pytest.fixture
def scarce(monkeypatch: pytest.MonkeyPatch) -> Scarce:
    return Scarce(monkeypatch)


def collect(engine: Any, n: int) -> dict[int, Any]:
    results: list[tuple[int, Any]] = []
    while len(results) < n:
        results += engine.receive()
    assert len(results) == n
    return dict(results)


@pytest.mark.timeout(120)  # it starts some twenty engines
@METHODS
def test_a_start_where_any_call_fails_leaves_nothing_behind(
    start_method: str, scarce: Scarce
) -> None:
    told = []
    for n in count(1):
        before = leaks.held()
        with scarce.at(n):
            try:
                engine = Driven(
                    lambda d: ProcessEngine(None, abs, 2, start_method=start_method, deliver=d)
                )
            except WorkerStartError as error:
                told.append(str(error))
            else:  # it can do without, and in the same way
                pool = engine.engine._operator.workers.pool
                assert isinstance(pool, SpawnPool) == (start_method == "spawn")
                engine.submit(range(3))
                assert engine.collect(3) == {0: 0, 1: 1, 2: 2}
                engine.close()
                del engine, pool
        assert not leaks.leaked(before, leaks.GRACE), f"call {n}, of {scarce.calls[-1]}"
        if len(scarce.calls) < n:
            break
    assert len(told) > 10
    assert all("use fewer workers" in message for message in told), told


@pytest.mark.one_of(2)
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("start_method", "victim"),
    [
        ("template", "worker"),
        ("template", "template"),
        ("fork", "worker"),
        ("fork", "template"),
        ("spawn", "worker"),
    ],
)
def test_a_replacement_where_any_call_fails_loses_nothing(
    start_method: str, victim: str, scarce: Scarce
) -> None:
    source = seqtools.smap(abs, range(100_000))
    p = seqtools.prefetch(source, 1, "process", start_method=start_method, max_cached=4)
    reading = Reading(iter(p), int)
    for n in count(1):
        # past all that was given out before: an item over which two workers die is an error
        begun = reading.count
        reading.read_until(lambda begun=begun: workers(p) and reading.count > begun + 10)
        before = workers(p)
        with scarce.at(n):
            pid = template_of(p) if victim == "template" else pid_of(*before) or 0
            os.kill(pid, signal.SIGKILL)
            reading.read_until(lambda before=before: workers(p) and not workers(p) & before)
        if len(scarce.calls) < n:
            break
    assert not reading.lacks(reading.count)
    assert len(reading.unable) > 2
    assert all("use fewer workers" in message for message in reading.unable), reading.unable
    p.close()


@pytest.mark.parametrize("point", ["worker-requested", "requeued"])
@pytest.mark.parametrize(
    ("start_method", "victim"),
    [("template", "worker"), ("fork", "template"), ("spawn", "worker")],
)
def test_a_refusal_where_no_call_of_ours_is(start_method: str, victim: str, point: str) -> None:
    source = seqtools.smap(abs, range(100_000))
    p = seqtools.prefetch(source, 2, "process", start_method=start_method, max_cached=4)
    reading = Reading(iter(p), int)
    reading.read_until(lambda: workers(p) and reading.count > 10)
    before = workers(p)
    fault_injection.arm(f"consumer-{point}:EMFILE:1")
    try:
        pid = template_of(p) if victim == "template" else pid_of(next(iter(before))) or 0
        os.kill(pid, signal.SIGKILL)
        reading.read_until(lambda: workers(p) and not workers(p) >= before)
    finally:
        fault_injection.arm("")
    assert not reading.lacks(reading.count)
    assert len(reading.unable) == 1
    assert "`ulimit -n`" in reading.unable[0]
    p.close()


# Threads


def test_a_thread_that_cannot_be_started_leaves_no_other_behind(scarce: Scarce) -> None:
    for n in range(1, 5):
        before = leaks.held()
        parts: SimpleQueue[Any] = SimpleQueue()
        engine = ThreadEngine(abs, 4, deliver=parts.put)
        with scarce.at(n):
            engine.submit([Job(0, [1])])
        told = [parts.get()]
        while isinstance(told[-1], Part):  # another thread was there already
            told.append(parts.get())
        assert isinstance(told[-1], WorkerStartError)
        assert re.search("no thread.*fewer workers", str(told[-1]))
        engine.close()
        del engine
        assert not leaks.leaked(before, leaks.GRACE)


def test_a_thread_that_cannot_be_replaced_is_told_behind_the_item_that_hangs(
    scarce: Scarce, fifo: MakeFifo
) -> None:
    gate = fifo()

    def get(i: int) -> int:
        if i == 1:
            gate.wait()
        return i

    parts: SimpleQueue[Any] = SimpleQueue()
    engine = ThreadEngine(get, 1, timeout=0.2, deliver=parts.put)
    engine.submit([Job(0, range(3))])
    with scarce.at(1):
        came: list[Any] = []
        while len(came) < 2:
            with suppress(Empty):
                came.append(parts.get(timeout=engine.look()))
    assert (came[0].offset, came[0].outcomes) == (0, [0])
    (outcome,) = came[1].outcomes
    assert isinstance(outcome, Failure)
    assert isinstance(outcome.error, ItemTimeout)
    with scarce.at(1):
        engine.look()
    assert isinstance(parts.get(), WorkerStartError)
    engine.look()
    assert parts.get().outcomes == [2]  # one can be started by now
    gate.send()
    for thread, _ in engine._pool.abandoned:
        thread.join()
    engine.close()


def test_without_a_thread_that_ends_idle_workers_nothing_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused: list[str] = []
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "seqtools-idle" and not refused:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(idle, "_watch", idle.IdleWatch())
    p = seqtools.prefetch(seqtools.smap(abs, range(20)), 2, idle_timeout=30)
    reading = Reading(iter(p), int)
    reading.read_to(20)
    assert not reading.lacks(20)
    assert len(reading.unable) == len(refused) == 1
    thread = idle.watch()._thread
    assert thread is not None
    assert thread.is_alive()
    p.close()
