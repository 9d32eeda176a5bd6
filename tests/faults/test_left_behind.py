"""What user code in workers has started: it ends with them, and gets SIGINT as any program."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing import get_context, shared_memory
from pathlib import Path
from typing import Any

import pytest

import seqtools
from tests.engines.fifo import Fifo
from tests.faults.consumers import Watch
from tests.leaks import family
from tests.scripts import LONGEST, SOURCE, environment

MakeFifo = Callable[[], Fifo]
START_METHODS = pytest.mark.parametrize("start_method", ["template", "spawn", "fork"])

_SHELL = {
    "plain": "echo $$; exec sleep 1000",
    "of a shell": "sh -c 'sleep 1000; true' & echo $!",
    "deaf": "trap '' TERM; echo $$; exec sleep 1000",
}
_APART = {
    "in a session": "echo $$; exec sleep 1000",
    "deaf in a session": "trap '' TERM; echo $$; exec sleep 1000",
    "daemon": "setsid sleep 1000 & echo $!",
}


def started(command: str, **options: Any) -> int:
    """Return the process that a shell has started, or became."""
    with_pipe: Any = {"stdout": subprocess.PIPE, "text": True} | options
    shell = subprocess.Popen(["/bin/sh", "-c", command], **with_pipe)
    assert shell.stdout is not None
    return int(shell.stdout.readline())


def start_with_worker() -> list[int]:
    process = get_context("fork").Process(target=time.sleep, args=(1000,), daemon=True)
    process.start()
    assert process.pid is not None
    return [process.pid, *map(started, _SHELL.values())]


def start_apart() -> list[int]:
    return [started(command, start_new_session=True) for command in _APART.values()]


def start_all(_: object = None) -> list[int]:
    return start_with_worker() + start_apart()


def own_pid(_: object) -> list[int]:
    return [os.getpid()]


@pytest.fixture
def watch() -> Iterator[Watch]:
    w = Watch()
    yield w
    w.close()


def prefetch(function: Any, n: int, **options: Any) -> seqtools.Prefetch[Any]:
    return seqtools.prefetch(seqtools.smap(function, range(n)), 1, "process", **options)


END: dict[str, Callable[[seqtools.Prefetch[Any]], object]] = {
    "close": lambda p: p.close(),
    "refresh": lambda p: p.refresh(),
    "idle": lambda _: None,
}


@START_METHODS
def test_programs_end_with_the_workers(start_method: str, watch: Watch) -> None:
    ends = []  # of all at once: those that are deaf are given time before they are killed
    for end, act in END.items():
        idle = 0.2 if end == "idle" else None
        p = prefetch(start_all, 1, start_method=start_method, idle_timeout=idle)
        ends.append((end, act, p, watch.over(p[0])))
    for _, act, p, _ in ends:
        act(p)
    assert {end: going_on(LONGEST) for end, _, _, going_on in ends} == dict.fromkeys(END, 0)
    for _, _, p, _ in ends:
        p.close()


@START_METHODS
def test_programs_end_with_a_worker_that_died(
    start_method: str, watch: Watch, tmp_path: Path
) -> None:
    died = tmp_path / "died"

    def act(i: int) -> Any:
        if i == 1 and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return (start_with_worker(), start_apart()) if i == 0 else os.getpid()

    p = prefetch(act, 2, start_method=start_method, max_cached=1)
    own, apart = (watch.over(pids) for pids in p[0])
    assert p[1] != os.getpid()
    assert own(LONGEST) == 0
    if start_method == "spawn":  # its guard is for it alone
        assert apart(LONGEST) == 0
    else:
        assert apart(0) == len(_APART)
    p.close()
    assert apart(LONGEST) == 0


def test_programs_of_other_workers_go_on(watch: Watch, fifo: MakeFifo) -> None:
    begun, gate = fifo(), fifo()

    def act(_: int) -> list[int]:
        begun.send()
        gate.wait()  # until both are at one
        return [os.getpid(), *start_with_worker()]

    with seqtools.prefetch(seqtools.smap(act, range(2)), 2, "process") as p:
        p._hint(None, range(2))
        begun.wait(2)
        gate.send(2)
        (first, *ended), (second, *others) = p
        assert first != second
        going_on, still = watch.over(ended), watch.over(others)
        os.kill(first, signal.SIGKILL)
        assert going_on(LONGEST) == 0
        assert still(0) == len(others)
    assert still(LONGEST) == 0


@START_METHODS
def test_programs_end_with_an_item_that_takes_too_long(start_method: str, watch: Watch) -> None:
    def act(i: int) -> Any:
        if i == 1:
            threading.Event().wait()
        return start_with_worker()

    with prefetch(act, 2, start_method=start_method, timeout=0.5, max_cached=1) as p:
        going_on = watch.over(p[0])
        with pytest.raises(seqtools.EvaluationError):
            p[1]
        assert going_on(LONGEST) == 0


@pytest.mark.parametrize("start_method", ["template", "fork"])
def test_programs_end_with_a_template_that_was_killed(start_method: str, watch: Watch) -> None:
    before = set(family())
    p = prefetch(start_all, 2, start_method=start_method, max_cached=1)
    going_on = watch.over(p[0])
    _, template, *_ = (pid for pid in family() if pid not in before)
    os.kill(template, signal.SIGKILL)
    assert going_on(LONGEST) == 0
    p.close()


_CONSUMER = f"""\
import signal, sys
sys.path.insert(0, {SOURCE!r})
import seqtools
from tests.faults.test_left_behind import start_all

def inner(x):
    p = seqtools.prefetch(seqtools.smap(start_all, range(1)), 1, "process", start_method=START)
    kept.append(p)
    return p[0]

kept = []
START, nested = sys.argv[1], len(sys.argv) > 2
function = inner if nested else start_all
p = seqtools.prefetch(seqtools.smap(function, range(1)), 1, "process", start_method=START)
print(*p[0], flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("nested", [False, True])
@START_METHODS
def test_programs_end_with_the_consumer(nested: bool, start_method: str, watch: Watch) -> None:
    command = [sys.executable, "-c", _CONSUMER, start_method, *["nested"] * nested]
    ends: dict[str, Callable[[subprocess.Popen[str]], object]] = {
        "killed": lambda consumer: consumer.kill(),
        "terminated": lambda consumer: consumer.terminate(),
        "ends": lambda _: None,
    }
    with ExitStack() as stack:  # all at once, because each takes its time to start and to end
        consumers = {}
        for end in ends:
            consumer = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
            )
            consumers[end] = stack.enter_context(consumer)
        going_on = {}
        for end, consumer in consumers.items():
            assert consumer.stdout is not None
            going_on[end] = watch.over(list(map(int, consumer.stdout.readline().split())))
        for end, consumer in consumers.items():
            ends[end](consumer)
            assert consumer.stdin is not None
            consumer.stdin.close()
        assert {end: going(LONGEST) for end, going in going_on.items()} == dict.fromkeys(ends, 0)


@START_METHODS
def test_programs_of_workers_within_a_worker_end_with_it(start_method: str, watch: Watch) -> None:
    kept = []

    def inner(_: int) -> tuple[int, list[int]]:
        p = prefetch(start_all, 1, start_method=start_method)
        kept.append(p)
        return os.getpid(), p[0]

    with prefetch(inner, 1, start_method=start_method) as p:
        worker, pids = p[0]
        going_on = watch.over(pids)
        os.kill(worker, signal.SIGKILL)
        assert going_on(LONGEST) == 0


@pytest.mark.parametrize("start_method", ["template", "spawn"])  # a fork has the parent's tracker
def test_shared_memory_of_multiprocessing_is_removed(start_method: str) -> None:
    def make(_: int) -> str:
        return shared_memory.SharedMemory(create=True, size=100).name

    with prefetch(make, 1, start_method=start_method) as p:
        name = p[0]
        assert Path("/dev/shm", name).exists()  # noqa: S108 -- looked at, never written
    assert not Path("/dev/shm", name).exists()  # noqa: S108 -- where the system has it


@START_METHODS
def test_where_there_can_be_no_guard_all_else_holds(
    start_method: str, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    monkeypatch.setenv("SEQTOOLS_FAULTS", "guard-asked:EAGAIN")
    with prefetch(lambda _: os.getpid(), 3, start_method=start_method) as p:
        assert len(set(p)) == 1
    command = [sys.executable, "-c", _CONSUMER.replace("start_all", "own_pid"), start_method]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as consumer:
        assert consumer.stdout is not None
        going_on = watch.over(list(map(int, consumer.stdout.readline().split())))
        consumer.kill()
        assert going_on(LONGEST) == 0


# Ctrl-C


def interrupted(_: object = None) -> int:
    """Return the exit code of a program that gets SIGINT."""
    with subprocess.Popen(
        ["/bin/sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        program.stdout.readline()
        program.send_signal(signal.SIGINT)
        try:
            return program.wait(LONGEST)
        finally:
            program.kill()


@START_METHODS
def test_a_program_that_a_worker_starts_ends_at_a_sigint(start_method: str) -> None:
    with prefetch(interrupted, 1, start_method=start_method) as p:
        assert p[0] == -signal.SIGINT


@START_METHODS
def test_a_program_ignores_sigint_where_the_consumer_does(start_method: str) -> None:
    def ignored(_: int) -> bool:
        status = subprocess.check_output(["/bin/cat", "/proc/self/status"], text=True)
        (line,) = (line for line in status.splitlines() if line.startswith("SigIgn:"))
        return bool(int(line.split()[1], 16) >> signal.SIGINT - 1 & 1)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with prefetch(ignored, 1, start_method=start_method) as p:
            assert p[0]
    finally:
        signal.signal(signal.SIGINT, before)
    with prefetch(ignored, 1, start_method=start_method) as p:
        assert not p[0]


@START_METHODS
def test_a_worker_that_gets_sigint_goes_on(start_method: str) -> None:
    def act(_: int) -> bytes:
        ours, theirs = os.pipe()

        def disturb() -> None:
            for byte in b"hello":
                os.kill(os.getpid(), signal.SIGINT)
                os.write(theirs, bytes([byte]))
            os.kill(os.getpid(), signal.SIGINT)
            os.close(theirs)

        thread = threading.Thread(target=disturb)
        thread.start()
        read = b""
        while data := os.read(ours, 1):
            read += data
            time.sleep(0.001)
        os.close(ours)
        thread.join()
        return read

    with prefetch(act, 5, start_method=start_method) as p:
        assert list(p) == [b"hello"] * 5


_AT_A_TERMINAL = f"""\
import fcntl, os, signal, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.path.insert(0, {SOURCE!r})
import seqtools

def act(i):
    if i == 0:
        global program
        program = subprocess.Popen(["/bin/sleep", "1000"])
        return os.read(0, 10)
    return program.poll()

p = seqtools.prefetch(seqtools.smap(act, range(2)), 1, "process", start_method=sys.argv[1])
first = p[0]
try:
    print("ready", flush=True)
    signal.pause()
except KeyboardInterrupt:
    print(first, p[1], flush=True)
"""


@START_METHODS
def test_ctrl_c_at_a_terminal_is_for_the_consumer_alone(start_method: str) -> None:
    ours, theirs = os.openpty()
    code = textwrap.dedent(_AT_A_TERMINAL)
    with (
        open(ours, "r+b", buffering=0) as terminal,
        subprocess.Popen(
            [sys.executable, "-c", code, start_method],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(),
            start_new_session=True,
        ) as program,
    ):
        os.close(theirs)
        shown = b""
        while b"ready" not in shown:
            shown += terminal.read(1000)
        terminal.write(b"\x03")
        while b"None" not in shown and b"Error" not in shown:
            shown += terminal.read(1000)
        assert b"b'' None" in shown
        program.wait()
