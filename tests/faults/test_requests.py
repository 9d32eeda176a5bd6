"""Messages between a template and who asks it for workers."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

import seqtools
from seqtools.engines.process.direct_fork import ForkArguments, fork_template
from seqtools.engines.process.launcher import Child
from seqtools.engines.process.nesting import Nesting
from seqtools.engines.process.pool import Event, PoolEnded, WorkerEnded
from seqtools.engines.process.template import TemplatePool
from seqtools.engines.process.template_process import (
    ANSWER,
    ENDED,
    FORK,
    KILL,
    REQUEST,
    STARTED,
)
from seqtools.engines.wire.arena_reader import LeasedBytes
from seqtools.engines.wire.shipment import Pipeline

# Requests to a template


class Bare:
    """A template with nobody who uses it."""

    def __init__(self) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            ours = [self.control.fileno()]
            pid = fork_template(
                theirs, ForkArguments(Pipeline(abs, None, []), None), ours, Nesting(1)
            )
        self.child = Child(pid)

    def ask(self, request: bytes, fds: Sequence[int] = ()) -> None:
        socket.send_fds(self.control, [request], fds)

    def answer(self) -> tuple[Any, ...]:
        """Return the fields of the next answer, and what follows them; nothing at the end."""
        message = self.control.recv(1 << 18)
        return (*ANSWER.unpack(message), message[ANSWER.size :]) if message else ()

    def worker(self, number: int = 0) -> tuple[int, int, int]:
        """Return the process id of a new worker, and its pipes: of tasks and of results."""
        theirs, tasks = os.pipe()
        results, theirs_too = os.pipe()
        self.ask(REQUEST.pack(FORK, number), [theirs, theirs_too])
        os.close(theirs)
        os.close(theirs_too)
        kind, told, pid, _ = self.answer()
        assert (kind, told) == (STARTED, number)
        return pid, tasks, results

    def ended(self) -> int:
        """Return the exit code of a template that ends by itself."""
        assert self.answer() == ()
        assert self.child.pid is not None
        _, status = os.waitpid(self.child.pid, 0)  # however long that takes: it is not killed
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def bare() -> Iterator[Bare]:
    b = Bare()
    yield b
    b.control.close()
    b.child.end()


@pytest.mark.parametrize("noise", [b"x" * 100, REQUEST.pack(FORK, 0)[:-1]], ids=["x", "cut off"])
def test_a_template_that_is_sent_noise_ends_and_its_workers_too(noise: bytes, bare: Bare) -> None:
    _, tasks, results = bare.worker()
    bare.ask(noise)
    os.close(tasks)
    assert bare.ended() == 1
    while os.read(results, 1 << 16):  # until nobody can write to it
        pass
    os.close(results)


@pytest.mark.parametrize("pid", [0, -1, os.getpid()], ids=["none", "all", "ours"])
def test_a_template_kills_nobody_but_its_workers(pid: int, bare: Bare) -> None:
    bare.ask(REQUEST.pack(KILL, pid))
    worker, *pipes = bare.worker()
    bare.ask(REQUEST.pack(KILL, worker))
    assert bare.answer() == (ENDED, worker, -signal.SIGKILL, b"")
    for fd in pipes:
        os.close(fd)


def test_a_worker_that_is_sent_noise_ends_with_an_error(bare: Bare) -> None:
    worker, tasks, results = bare.worker()
    os.write(tasks, bytes(200))
    kind, pid, code, _ = bare.answer()
    assert (kind, pid, code) == (ENDED, worker, 1)
    os.close(tasks)
    os.close(results)


def test_programs_that_user_code_starts_have_no_part_in_the_pipes() -> None:
    def inherited() -> str:
        look = "ls -l /proc/self/fd | grep -E 'pipe|socket|memfd' | grep -Ev ' [012] -> '"
        return subprocess.run(
            ["/bin/sh", "-c", look], close_fds=False, stdout=subprocess.PIPE, text=True, check=False
        ).stdout

    def hook() -> None:
        os.environ["INHERITED"] = inherited()

    source = seqtools.smap(lambda _: os.environ["INHERITED"] + inherited(), range(1))
    for start_method in ("template", "spawn"):
        with seqtools.prefetch(
            source, 1, "process", start_hook=hook, start_method=start_method
        ) as p:
            assert p[0] == ""


# Answers of a template


class Deaf:
    """A pool whose template does nothing, so that tests can answer for it."""

    def __init__(self) -> None:
        self.socket: Any = None
        self.pool = TemplatePool([self._launch], 1, LeasedBytes(0))
        self.pool.start()
        self.worker = self.pool.start_worker(0)

    def _launch(self, control: socket.socket, _: Any) -> Any:
        self.socket = control.dup()
        return self

    def watch(self) -> None:
        """Return no descriptor for the template."""

    def end(self, *_: Any) -> int:
        """Return the exit code of the template."""
        return 7

    def told(self, *messages: bytes) -> list[Event]:
        for message in messages:
            self.socket.send(message)
        assert self.pool._control is not None
        return list(self.pool.events([self.pool._control.fileno()]))

    def close(self) -> None:
        self.pool.stop([self.worker])
        self.pool.wait(lambda _: False)
        self.pool.release(self.worker)
        self.socket.close()


@pytest.fixture
def deaf() -> Iterator[Deaf]:
    d = Deaf()
    yield d
    d.close()


def test_a_template_that_tells_noise_is_replaced_and_what_it_told_before_holds(deaf: Deaf) -> None:
    good = ANSWER.pack(STARTED, 0, 5), ANSWER.pack(ENDED, 4, 0), ANSWER.pack(ENDED, 5, -9)
    assert deaf.told(*good, b"noise") == [WorkerEnded(deaf.worker, -9), PoolEnded(7)]
    assert deaf.pool._control is None
