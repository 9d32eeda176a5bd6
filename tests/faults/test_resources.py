"""The system refuses descriptors, processes, threads, memory or room for files."""

import mmap
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools._core.errors import EvaluationError, Failure, WorkerStartError
from seqtools.engines.process import template_process
from seqtools.engines.process.pool import PoolEnded
from seqtools.engines.process.template import TemplatePool
from seqtools.engines.wire import result_messages, shipment
from seqtools.engines.wire.arena_reader import LeasedBytes
from tests.engines.fifo import Fifo
from tests.faults.harness.reading import Reading
from tests.leaks import descendants

MakeFifo = Callable[[], Fifo]
METHODS = pytest.mark.parametrize("start_method", ["template", "spawn", "fork"])
PICKLING = pytest.mark.parametrize("start_method", ["template", "spawn"])


def prefetch(source: Any, start_method: str = "template", **options: Any) -> Any:
    return seqtools.prefetch(source, 2, "process", start_method=start_method, **options)


def run(program: str, *arguments: str) -> None:
    """Run a program of `limits`, which leaves nothing of it in this process."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.faults.limits", program, *arguments],
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Descriptors


@METHODS
def test_descriptors_that_are_used_up_at_the_start(start_method: str) -> None:
    run("descriptors_at_the_start", start_method)


@pytest.mark.parametrize("start_method", ["thread", "template"])
def test_descriptors_that_are_used_up_before_anything_is_imported(start_method: str) -> None:
    run("descriptors_before_anything_is_imported", start_method)


# Processes and threads


@pytest.mark.parametrize(
    ("start_method", "error", "nth"),
    [
        ("template", "EAGAIN", 1),
        ("template", "ENOMEM", 3),
        ("fork", "EAGAIN", 2),
    ],
)
def test_a_fork_that_is_refused(
    start_method: str, error: str, nth: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEQTOOLS_FAULTS", f"template-asked:{error}:{nth}")
    monkeypatch.setenv("SEQTOOLS_FAULTS_LOG", str(tmp_path))
    mark = tmp_path / "mark"

    def get(x: int) -> int:
        if x == 20 and not mark.exists():  # the third fork is of a worker in place of this one
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    p = prefetch(seqtools.smap(get, range(100)), start_method, max_cached=4)
    reading = Reading(iter(p), int)
    reading.read_to(100)
    assert not reading.lacks(100)
    (told,) = reading.unable
    assert "no worker process could be started (there " in told
    assert "use fewer workers" in told
    p.close()


def test_a_template_that_gives_up_is_heard_although_it_was_asked_for_more() -> None:
    pool = TemplatePool([], 1, LeasedBytes(0))
    pool._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pool._control.send(b"which nobody reads")
    body = pickle.dumps(("too many processes", "", None, b""))
    theirs.send(template_process.ANSWER.pack(template_process.FAILED, len(body), 0) + body)
    theirs.close()
    with pytest.raises(WorkerStartError, match="too many processes"):
        list(pool._listen(gone=False))
    assert [type(event) for event in pool._listen(gone=False)] == [PoolEnded]
    pool._child = None
    pool.stop([])


def test_a_template_without_room_for_the_pipes_of_a_worker_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    receive, mark = socket.recv_fds, tmp_path / "mark"

    def cut_once(*args: Any) -> Any:
        message, fds, *rest = receive(*args)
        if fds and not mark.exists():  # as the system does where they are too many
            mark.touch()
            for fd in fds[1:]:
                os.close(fd)
            fds = fds[:1]
        return message, fds, *rest

    monkeypatch.setattr(socket, "recv_fds", cut_once)  # also in the template, which is a fork
    p = prefetch(seqtools.smap(abs, range(50)), "fork")
    reading = Reading(iter(p), int)
    reading.read_to(50)
    assert not reading.lacks(50)
    (told,) = reading.unable
    assert "no worker process could be started (raise the limit of open files, `ulimit -n`" in told
    p.close()


def test_a_thread_that_fails_by_itself_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    caught, times = Failure.caught, []

    def no_memory(error: BaseException) -> Failure:
        times.append(1)
        if len(times) == 1:
            raise MemoryError
        return caught(error)

    monkeypatch.setattr(Failure, "caught", no_memory)
    p = seqtools.prefetch(seqtools.smap(lambda x: 1 // x, [0, 1]), 1)
    items = iter(p)
    with pytest.raises(WorkerStartError, match="thread seqtools-0 failed: MemoryError"):
        next(items)
    with pytest.raises(EvaluationError, match="ZeroDivisionError"):
        next(items)
    assert list(items) == [1]
    p.close()


# Memory


@pytest.mark.parametrize(
    ("start_method", "where"),
    [("template", "consumer"), ("spawn", "consumer"), ("template", "worker"), ("fork", "both")],
)
def test_a_value_for_which_there_is_no_memory_fails_alone(start_method: str, where: str) -> None:
    run("memory_for_a_value", start_method, where)


@PICKLING
def test_address_space_that_is_used_up_at_the_start(start_method: str) -> None:
    run("memory_for_workers", start_method)


class Chunks:
    """What a worker has sent, as it is read in parts."""

    def __init__(self, data: bytes, most: int) -> None:
        self._data = data
        self._most = most

    def read(self, n: int, /) -> bytes:
        n = min(n, self._most)
        taken, self._data = self._data[:n], self._data[n:]
        return taken

    def readinto(self, view: memoryview, /) -> int:
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)


@pytest.mark.parametrize("most", [100, 70_000, 1 << 20])
def test_a_message_for_which_there_is_no_memory_is_read_past(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = os.pipe()
    sizes = [10, 300_000, 20, 200_000, 30]

    def write() -> None:
        for k, size in enumerate(sizes):
            result_messages.write_result(ours, (k, 0, 1, result_messages.VALUES, 0.0), bytes(size))
        os.close(ours)

    thread = threading.Thread(target=write)
    thread.start()
    with open(theirs, "rb") as file:
        data = file.read()
    thread.join()
    reader = result_messages.ResultReader(Chunks(data, most))
    made: list[int] = []
    whole = mmap.mmap

    def refused_at_first(fd: int, length: int) -> mmap.mmap:
        made.append(length)
        if len(made) == 1:
            raise OSError
        return whole(fd, length)

    monkeypatch.setattr(mmap, "mmap", refused_at_first)
    results, more = list[result_messages.Result](), True
    while more:
        read, more = reader.read()
        results += read
    assert [r.block for r in results] == list(range(5))
    assert [bool(r.missing) for r in results] == [False, True, False, False, False]
    assert [len(r.parts[0]) for r in results if r.parts] == [10, 20, 200_000, 30]  # type: ignore[arg-type]


def test_a_pipe_that_cannot_be_read_for_want_of_memory_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read_once, refused = os.read, []

    def one_refused(fd: int, n: int) -> bytes:
        if threading.current_thread().name == "seqtools-pipe-1" and len(refused) < 1:
            refused.append(fd)
            raise MemoryError
        return read_once(fd, n)

    monkeypatch.setattr(os, "read", one_refused)
    with prefetch(seqtools.smap(abs, range(200)), "spawn") as p:
        assert list(p) == list(range(200))
    assert refused


def test_a_task_that_cannot_be_read_for_want_of_memory_loses_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "mark"

    def hook() -> None:
        read_once = os.read

        def one_refused(fd: int, n: int) -> bytes:
            if threading.current_thread().name == "seqtools-tasks" and not mark.exists():
                mark.touch()
                raise MemoryError
            return read_once(fd, n)

        os.read = one_refused

    p = seqtools.prefetch(
        seqtools.smap(abs, range(200)), 1, "process", start_method="spawn", start_hook=hook
    )
    assert list(p) == list(range(200))
    p.close()
    assert mark.exists()
    assert "MemoryError" in capfd.readouterr().err


# Files


def test_a_pipeline_that_is_larger_than_a_file_may_be() -> None:
    run("size_of_the_pipeline", "template")


@pytest.mark.parametrize("start_method", ["template", "fork"])
def test_values_that_are_larger_than_a_file_may_be(start_method: str) -> None:
    run("size_of_values", start_method)


@PICKLING
def test_a_full_disk(start_method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    p = prefetch(seqtools.smap(abs, range(20)), start_method)
    items = iter(p)
    with monkeypatch.context() as patch:
        patch.setattr(shipment, "_anonymous_file", lambda: os.open("/dev/full", os.O_RDWR))
        with pytest.raises(WorkerStartError, match=r"no file for .*\(have TMPDIR name a folder"):
            next(items)
    assert list(items) == list(range(20))
    p.close()


@PICKLING
def test_no_folder_for_temporary_files(start_method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    p = prefetch(seqtools.smap(abs, range(20)), start_method)
    items = iter(p)
    with monkeypatch.context() as patch:
        patch.delattr(os, "memfd_create")
        patch.setattr(tempfile, "tempdir", "/nowhere")
        with pytest.raises(WorkerStartError, match=r"no temporary file .* TMPDIR .*No such file"):
            next(items)
        patch.setattr(tempfile, "tempdir", None)
        assert next(items) == 0
    assert list(items) == list(range(1, 20))
    p.close()


@METHODS
def test_nothing_lies_in_dev_shm(start_method: str) -> None:
    with prefetch(seqtools.smap(lambda i: np.full(100_000, i), range(20)), start_method) as p:
        kept = list(p)
        pids = [os.getpid(), *descendants("self")]
        assert len(pids) > 2
        for pid in pids:
            maps = Path(f"/proc/{pid}/maps").read_text()
            # semaphores of multiprocessing: a fork has those that this process had before
            assert not re.search("/shm/(?!sem[.])", maps)
        assert all((array == i).all() for i, array in enumerate(kept))
