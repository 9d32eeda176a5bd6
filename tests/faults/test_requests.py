"""Bytes that come in where workers are started: requests, answers, the pipeline itself."""

import mmap
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

import seqtools
from seqtools._core.errors import WorkerStartError
from seqtools.engines.process import spawn_main
from seqtools.engines.process.launcher import Child, interpreter
from seqtools.engines.process.nesting import Nesting
from seqtools.engines.process.pool import Event, PoolEnded, WorkerEnded
from seqtools.engines.process.template import TemplatePool
from seqtools.engines.process.template_main import (
    ANSWER,
    ENDED,
    FAILED,
    FORK,
    KILL,
    REQUEST,
    STARTED,
    fork_template,
)
from seqtools.engines.wire import result_messages, shipment
from seqtools.engines.wire.arena_reader import LeasedBytes
from seqtools.engines.wire.headers import DamagedMessage
from seqtools.engines.wire.shipment import PickledPipeline, ReceivedPipeline

_INT = some.integers(-(1 << 31), (1 << 31) - 1)

# Requests to a template


class Bare:
    """A template with nobody who uses it."""

    def __init__(self) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            ours = [self.control.fileno()]
            pid = fork_template(theirs, (abs, None, []), None, ours, Nesting(1))
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
        assert self.child._pid is not None
        _, status = os.waitpid(self.child._pid, 0)  # however long that takes: it is not killed
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def bare() -> Iterator[Bare]:
    b = Bare()
    yield b
    b.control.close()
    b.child.end()


_NO_REQUESTS = {
    "a byte": b"x",
    "zeros": bytes(REQUEST.size),
    "long": bytes(10_000),
    "cut off": REQUEST.pack(FORK, 0)[:-1],
    "more than one": REQUEST.pack(KILL, 0) * 2,
    "of another kind": REQUEST.pack(b"Z", 0),
}


@pytest.mark.parametrize("noise", _NO_REQUESTS.values(), ids=_NO_REQUESTS)
@pytest.mark.parametrize("nfds", [0, 2])
def test_a_template_that_is_sent_noise_ends_and_its_workers_too(
    noise: bytes, nfds: int, bare: Bare
) -> None:
    _, tasks, results = bare.worker()
    bare.ask(noise, [tasks] * nfds)
    os.close(tasks)
    assert bare.ended() == 1
    while os.read(results, 1 << 16):  # until nobody can write to it
        pass
    os.close(results)


@pytest.mark.parametrize("nfds", [0, 1, 4])
def test_a_worker_whose_pipes_do_not_arrive_is_an_error_of_starting(nfds: int, bare: Bare) -> None:
    ours, theirs = os.pipe()
    bare.ask(REQUEST.pack(FORK, 0), [theirs] * nfds)
    os.close(theirs)
    kind, length, _, story = bare.answer()
    assert (kind, length) == (FAILED, len(story))
    assert "no worker process could be started" in str(result_messages.refusal(story))
    assert bare.ended() == 1
    assert os.read(ours, 1) == b""
    os.close(ours)


@pytest.mark.parametrize(
    "pid", [0, -1, 1, 2**31 - 1, os.getpid()], ids=["none", "all", "init", "last", "ours"]
)
def test_a_template_kills_nobody_but_its_workers(pid: int, bare: Bare) -> None:
    bare.ask(REQUEST.pack(KILL, pid))
    worker, *pipes = bare.worker()
    bare.ask(REQUEST.pack(KILL, worker))
    assert bare.answer() == (ENDED, worker, signal.SIGKILL, b"")
    for fd in pipes:
        os.close(fd)


@pytest.mark.parametrize("noise", [bytes(200), b"x" * 200], ids=["zeros", "letters"])
def test_a_worker_that_is_sent_noise_ends_with_an_error(noise: bytes, bare: Bare) -> None:
    worker, tasks, results = bare.worker()
    os.write(tasks, noise)
    kind, pid, status, _ = bare.answer()
    assert (kind, pid, os.waitstatus_to_exitcode(status)) == (ENDED, worker, 1)
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
        self.pool = TemplatePool(self._launch, 1, LeasedBytes(0))
        self.pool.start()
        self.worker = self.pool.hire(0)

    def _launch(self, control: socket.socket, _: Any) -> Any:
        self.socket = control.dup()
        return self

    def watch(self) -> None:
        """Return no descriptor for the template."""

    def end(self, family: Any = ()) -> int:
        """Return the exit code of the template."""
        del family
        return 7

    def told(self, *messages: bytes) -> list[Event]:
        for message in messages:
            self.socket.send(message)
        assert self.pool._control is not None
        return list(self.pool.events([self.pool._control.fileno()]))

    def close(self) -> None:
        self.pool.stop([self.worker])
        self.socket.close()


@pytest.fixture
def deaf() -> Iterator[Deaf]:
    d = Deaf()
    yield d
    d.close()


@given(
    some.binary(min_size=1, max_size=500)
    | some.integers(1, 100_000).map(bytes)
    | some.builds(ANSWER.pack, some.binary(min_size=1, max_size=1), _INT, _INT).filter(
        lambda message: message[4:5] not in {STARTED, ENDED, FAILED}
    )
    | some.builds(lambda number: ANSWER.pack(STARTED, number, 5), _INT.filter(bool))
    | some.builds(lambda pid: ANSWER.pack(STARTED, 0, pid), some.integers(-(1 << 31), 0))
    | some.just(ANSWER.pack(ENDED, 5, 0x137F))  # stopped, not ended
    | some.just(ANSWER.pack(STARTED, 0, 5) + b"x")
    | some.just(ANSWER.pack(FAILED, 7, 0) + pickle.dumps(("not seven bytes", "")))
    | some.just(ANSWER.pack(ENDED, 5, 0) + b"x")
    | some.builds(lambda n, x: ANSWER.pack(FAILED, n, 0) + x, _INT, some.binary(max_size=99))
    | some.binary(max_size=99).map(lambda x: ANSWER.pack(FAILED, len(x), 0) + x)
)
def test_a_template_that_tells_noise_is_replaced(noise: bytes) -> None:
    deaf = Deaf()
    assert deaf.told(noise) == [PoolEnded(7)]
    assert deaf.pool._control is None
    deaf.close()


def test_what_a_template_told_before_the_noise_holds(deaf: Deaf) -> None:
    good = ANSWER.pack(STARTED, 0, 5), ANSWER.pack(ENDED, 4, 0), ANSWER.pack(ENDED, 5, 9)
    assert deaf.told(*good, b"noise") == [WorkerEnded(deaf.worker, -9), PoolEnded(7)]


def test_a_template_that_closes_its_socket_is_replaced(deaf: Deaf) -> None:
    deaf.socket.close()
    assert deaf.told() == [PoolEnded(7)]


# The greeting of a spawned worker


@pytest.mark.parametrize(
    "greeting",
    [
        b"x" * 1000,
        bytes(1000),
        spawn_main.GREETING.pack(0, 1 << 62),
        spawn_main.GREETING.pack(0, 0),
        spawn_main.GREETING.pack(0, 1000) + bytes(1000),
    ],
    ids=["noise", "zeros", "too long", "empty", "no pipeline"],
)
def test_a_spawned_worker_that_is_greeted_with_noise_ends_with_an_error(greeting: bytes) -> None:
    code = f"from seqtools.engines.process.spawn_main import main; main({os.getpid()})"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with interpreter(code, Nesting(1), **pipes) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stderr is not None
        worker.stdin.write(greeting)
        worker.stdin.flush()  # left open: it is not waiting for the end
        assert select.select([worker.stdout], [], [], 20)[0]
        told = worker.stdout.read() + worker.stderr.read()
        assert b"DamagedMessage" in told or b"loading failed" in told
        assert worker.wait() == 1


# The pipeline


def shipped() -> bytearray:
    array = np.arange(10_000)
    get = seqtools.smap(lambda i: array[i], range(9))._get
    fd = PickledPipeline([1], get, None, None).shipped().fd
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        return bytearray(file.read())


def delivered(data: bytes) -> ReceivedPipeline:
    memory = mmap.mmap(-1, max(1, len(data)))
    memory[: len(data)] = data
    return ReceivedPipeline(memory)


@given(some.integers(0, shipment._HEAD.size - 1), some.integers(1, 255))
def test_a_head_of_a_pipeline_that_is_damaged_is_found_out(at: int, flip: int) -> None:
    data = shipped()
    data[at] ^= flip
    with pytest.raises(DamagedMessage):
        delivered(data)


@given(some.lists(some.integers(0, (1 << 64) - 1) | some.integers(0, 200), min_size=3, max_size=3))
def test_lengths_of_a_pipeline_that_cannot_be_are_found_out(lengths: list[int]) -> None:
    data = shipped()
    data[: shipment._HEAD.size] = shipment._HEAD.pack(*lengths)
    *parts, count = lengths
    if sum(parts) + count * shipment._BUFFER.size + shipment._HEAD.size > len(data):
        with pytest.raises(DamagedMessage):
            delivered(data)
    else:
        delivered(data)


def test_an_array_of_a_pipeline_that_is_cut_off_is_found_out() -> None:
    data = shipped()
    assert delivered(data).pipeline()[0](5) == 5
    with pytest.raises(DamagedMessage, match="an array of the pipeline is cut off"):
        delivered(data[:-1]).pipeline()


def _cut(n: int) -> Callable[[bytearray], bytes]:
    return lambda data: data[:n]


def _without_pickle(data: bytearray) -> bytes:
    (pickles,) = struct.unpack_from("<Q", data, 4)
    begin = shipment._HEAD.size
    return data[:begin] + bytes(pickles) + data[begin + pickles :]


@pytest.mark.parametrize("start_method", ["template", "spawn"])
@pytest.mark.parametrize(
    "damage",
    [_cut(1), _cut(100), _cut(-1), _without_pickle, lambda _: os.urandom(5000)],
    ids=["a byte", "the begin", "all but a byte", "no pickle", "noise"],
)
def test_a_pipeline_that_arrives_damaged_is_an_error_of_starting(
    start_method: str, damage: Callable[[bytearray], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = PickledPipeline.shipped

    def damaged(pickled: PickledPipeline) -> shipment.Shipment:
        whole = shipped(pickled)
        data = damage(bytearray(os.pread(whole.fd, 1 << 20, 0)))
        os.truncate(whole.fd, 0)
        os.pwrite(whole.fd, data, 0)
        return whole

    monkeypatch.setattr(PickledPipeline, "shipped", damaged)
    array = np.arange(10_000)
    source = seqtools.smap(lambda i: array[i], range(9))
    with (
        seqtools.prefetch(source, 1, "process", start_method=start_method) as p,
        pytest.raises(WorkerStartError, match=r"could not be loaded|or loading failed"),
    ):
        p[0]
