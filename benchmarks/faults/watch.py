"""One run of a case: started, watched, interfered with, and looked at when it is over."""

import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from benchmarks.faults import work
from benchmarks.faults.cases import Case
from benchmarks.faults.libraries import Library
from benchmarks.rounds import ROOT, environment

DEADLINE = 20.0  # seconds without any progress, which are a hang
LOADING = 60.0  # the same, for the import of the library
GONE = 2.0  # seconds that processes may outlive the reader
STAY = 10.0  # seconds after which those who outlive it are said to stay; arbitrary
STUCK = 3.0  # seconds that the second worker has to be stuck when the first is; arbitrary
FILLED = 1.0  # seconds after which workers wait for a reader who pauses; arbitrary
AWAITED = 0.01  # seconds after which a reader has begun to wait for the next item


@dataclass
class Run:
    """What has happened in a run.

    Args:
        events: What the reader said, in this order.
        fault: When the fault struck, as of `time.monotonic`, if one did.
        hung: What the reader was doing for too long, if it was: `reading`, `ending`.
        status: With which it ended, `None` if it had to be killed for having hung.
        ended: When it did.
        left: Names of the processes that outlived it for too long.
        gone: Seconds after which no process was left, `None` if some stay.
        stderr: What was printed.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    fault: float | None = None
    hung: str | None = None
    status: int | None = None
    ended: float = 0.0
    left: list[str] = field(default_factory=list)
    gone: float | None = None
    stderr: str = ""


def run(case: Case, library: Library, python: str) -> Run:
    """Return what happens in a run of a case."""
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        tempfile.TemporaryFile() as errors,
    ):
        os.environ[work.FOLDER] = folder
        process = subprocess.Popen(  # noqa: S603 -- ours
            [python, *_program(case, library)],
            cwd=ROOT,
            env={**environment(), "PYTHONPATH": ROOT, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        try:
            result = _Watch(case, process).result
            result.fault = work.noted("fault").get(0)
            _wait_for_others(result, process.pid)
            errors.seek(0)
            result.stderr = errors.read().decode(errors="replace")
            return result
        finally:
            for pid in _others():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
            del os.environ[work.FOLDER]


def _program(case: Case, library: Library) -> list[str]:
    if case.way == "script":
        return [os.path.join(os.path.dirname(__file__), "unguarded.py"), library.name]
    return ["-m", "benchmarks.faults.one", case.name, library.name]


class _Watch:
    """Reads what the reader says until it has ended, or hangs, and does to it what is to be."""

    def __init__(self, case: Case, process: "subprocess.Popen[bytes]") -> None:
        self.result = Run()
        self._case = case
        self._process = process
        self._rest = b""
        self._stuck: float | None = None
        self._due: float | None = None
        """When something is done to the reader, once that is known."""
        self._follow()

    def _follow(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        os.set_blocking(stdout.fileno(), False)
        progress = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while True:
                if not selector.get_map():
                    time.sleep(0.01)
                elif selector.select(0.02):
                    part = os.read(stdout.fileno(), 1 << 16)
                    if not part:
                        selector.unregister(stdout)
                    self._heard(part)
                    progress = time.monotonic()
                now = time.monotonic()
                self._interfere(now)
                if self._ended():
                    break
                if now > progress + (DEADLINE if self.result.events else LOADING):
                    self._hangs()
                    break
        self.result.ended = time.monotonic()

    def _heard(self, part: bytes) -> None:
        *lines, self._rest = (self._rest + part).split(b"\n")
        for line in lines:
            event = json.loads(line)
            # Started anew from a script without a guard, a worker runs all of it again.
            if event["pid"] == self._process.pid:
                self.result.events.append(event)
                if event["event"] == "ready":
                    delay = FILLED if self._case.way == "pause" else AWAITED
                    self._due = time.monotonic() + delay

    def _interfere(self, now: float) -> None:
        case = self._case
        if case.outside == "kill stuck" and self._due is None:
            stuck = len(work.noted("stuck"))
            if stuck:
                self._stuck = self._stuck or now
            if stuck > 1 or (self._stuck and now > self._stuck + STUCK):
                self._due = now + 0.1  # so that it is stuck, and not just going to be
        if self._due is None or now < self._due:
            return
        self._due = float("inf")
        work.note("fault-0")
        if case.outside == "interrupt":
            os.killpg(self._process.pid, signal.SIGINT)
        else:
            os.kill(self._process.pid, signal.SIGKILL)

    def _ended(self) -> bool:
        if self._process.poll() is None:
            return False
        self.result.status = self._process.returncode
        stdout = self._process.stdout
        assert stdout is not None
        with suppress(BlockingIOError):
            while part := os.read(stdout.fileno(), 1 << 16):
                self._heard(part)
        return True

    def _hangs(self) -> None:
        said = {event["event"] for event in self.result.events}
        self.result.hung = "ending" if "close" in said or "end" in said else "reading"
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _wait_for_others(result: Run, reader: int) -> None:
    """Note which processes the reader has left behind, if it was not killed for hanging."""
    if result.hung:
        return
    children = work.noted("child")
    while True:
        now = time.monotonic()
        left = _others() - children.keys() - {reader}
        if not left:
            result.gone = now - result.ended
            return
        if now > result.ended + GONE and not result.left:
            result.left = sorted(_command(pid) for pid in left)
        if now > result.ended + STAY:
            return
        time.sleep(0.01)


def _others() -> set[int]:
    """Return the processes that have the folder of the run in their environment."""
    mark = f"{work.FOLDER}={os.environ[work.FOLDER]}\0".encode()
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid() and mark in _read(f"/proc/{name}/environ"):
            found.add(int(name))
    return found


def _command(pid: int) -> str:
    """Return what a Python runs: its command without the path of the interpreter."""
    words = _read(f"/proc/{pid}/cmdline").decode(errors="replace").split("\0")
    return " ".join(words[1:]).strip()[:100]


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError:  # ended meanwhile, or another user's
        return b""
