"""The leak fixture notices each kind of leak, and only leaks."""

import gc
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.leaks import GRACE, LEFT, held, leaked

linux = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")

SLEEPER = [sys.executable, "-c", "import sys; sys.stdin.read()"]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEPER, stdin=subprocess.PIPE) as process:
        yield process


def test_nothing() -> None:
    assert leaked(held(), grace=0) == []


def test_thread() -> None:
    before, done = held(), threading.Event()
    thread = threading.Thread(target=done.wait, name="left-over")
    thread.start()
    (line,) = leaked(before, grace=0)
    done.set()
    thread.join()
    assert line.startswith("thread left-over")
    assert "wait" in line
    assert leaked(before, GRACE) == []


@linux
def test_process() -> None:
    before = held()
    with subprocess.Popen(SLEEPER, stdin=subprocess.PIPE) as process:
        lines = leaked(before, grace=0)
    assert any(line.startswith(f"process {process.pid} (") for line in lines)
    assert any(line.startswith("file descriptor pipe:") for line in lines)
    assert leaked(before, GRACE) == []


@linux
def test_process_that_ended_but_was_not_waited_for() -> None:
    before = held()
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], os.environ)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    (line,) = leaked(before, grace=0)
    os.waitpid(pid, 0)
    assert line == f"process {pid} (ended, but nobody has waited for it)"
    assert leaked(before, GRACE) == []


@linux
@pytest.mark.parametrize("orphan", [False, True], ids=["grandchild", "orphan"])
def test_process_of_a_process(orphan: bool) -> None:
    program = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen({SLEEPER!r}, stdin=sys.stdin, stdout=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True)\n"
        + ("import os; os._exit(0)" if orphan else "sys.exit(child.wait())")
    )
    before = held()
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        if orphan:
            process.wait()
        lines = leaked(before, grace=0)
    assert any(line.startswith(f"process {pid} (") for line in lines)
    assert leaked(before, GRACE) == []


@linux
def test_file_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.touch()
    with path.open() as one:
        before = held()
        with path.open() as two, path.open() as three:
            assert leaked(before, grace=0) == [f"file descriptor {path}, 2 times"]
        assert [f.closed for f in (one, two, three)] == [False, True, True]
        assert leaked(before, GRACE) == []


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs /dev/shm")  # noqa: S108
def test_shared_memory() -> None:
    before = held()
    path = Path("/dev/shm") / f"{LEFT}{os.getpid()}-{uuid.uuid4()}"  # noqa: S108
    path.touch()
    lines = leaked(before, grace=0)
    path.unlink()
    assert lines == [f"shared memory {path.name}"]
    assert leaked(before, GRACE) == []


@linux
def test_garbage_in_a_cycle_is_no_leak(tmp_path: Path) -> None:
    class Node:
        def __init__(self) -> None:
            self.me, self.fd = self, os.open(tmp_path, os.O_RDONLY)

        def __del__(self) -> None:
            os.close(self.fd)

    before = held()
    gc.disable()
    try:
        Node()
        assert held() != before
        assert leaked(before, grace=0) == []
    finally:
        gc.enable()


@linux
def test_what_is_about_to_end_is_waited_for(sleeper: subprocess.Popen[bytes]) -> None:
    before = held()
    thread = threading.Thread(target=sleeper.wait)
    thread.start()
    assert len(leaked(before, grace=0)) == 1
    sleeper.send_signal(signal.SIGKILL)
    del before["process", sleeper.pid]
    assert leaked(before, GRACE) == []
    thread.join()


def test_the_fixture_fails_the_test_that_leaks(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.leaks.GRACE", 0)
    pytester.makeconftest("from tests.leaks import no_leaks")
    pytester.makepyfile(
        """
        import os, threading

        kept, done = [], threading.Event()

        def test_leaks():
            kept.append(open(__file__))

        def test_clean():
            open(__file__).close()

        def test_fails_and_leaks():
            kept.append(open(__file__))
            assert False

        def test_end():
            for file in kept:
                file.close()
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=3, failed=1, errors=1)
    result.stdout.fnmatch_lines(["left behind: file descriptor *test_the_fixture*.py"])
