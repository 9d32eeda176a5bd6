"""Cells in processes of their own, which are ended when they hang."""

import contextlib
import faulthandler
import json
import os
import queue
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from tests.faults.campaign.cells import cell
from tests.faults.campaign.judging import Verdict

DEADLINE = 10.0
"""Seconds without an item after which a cell hangs."""
_MARK = "SEQTOOLS_CAMPAIGN"


# In the process that runs cells


def serve(seed: int) -> None:
    """Run the cells whose names come in, and write what came of them."""
    from tests import leaks
    from tests.faults.campaign.running import run

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what workers print is none of the answers
    leaks.watch_orphans()
    leaks.foreign = ("sem.", "psm_", "torch_")  # of multiprocessing and torch, which we do not use
    watchdog = _Watchdog()
    for line in sys.stdin:
        watchdog.feed(at_once=True)
        verdict = run(cell(line.strip(), seed), watchdog.feed)
        faulthandler.cancel_dump_traceback_later()
        answers.write(json.dumps(asdict(verdict)) + "\n")
        answers.flush()


class _Watchdog:
    """Ends this process, and tells what it was doing, when it is not fed for a while."""

    def __init__(self) -> None:
        self._fed = 0.0

    def feed(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if at_once or now - self._fed > 0.5:  # it takes a thread each time
            self._fed = now
            faulthandler.dump_traceback_later(DEADLINE, exit=True)


# In the process that has them run


class _Runner:
    """A process that runs cells."""

    def __init__(self, seed: int, number: int) -> None:
        self.mark = f"{os.getpid()}-{number}-{time.monotonic_ns()}"
        self.stories: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by end()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.campaign", "--serve", "--seed", str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.stories,
            env=os.environ | {_MARK: self.mark},
        )

    def run(self, name: str) -> Verdict | None:
        """Return what came of a cell, `None` if that process has ended over it."""
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answers is not None
        try:
            asked.write(f"{name}\n".encode())
            asked.flush()
        except BrokenPipeError:
            return None
        line = answers.readline()
        return Verdict(**json.loads(line)) if line else None

    def story(self) -> str:
        """Return what it has said at last."""
        self.stories.seek(0)
        return self.stories.read().decode(errors="replace")[-6000:]

    def end(self) -> None:
        """End it, and all that it has started."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in _marked(f"{_MARK}={self.mark}".encode()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self.stories.close()


def _marked(mark: bytes) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended meanwhile, or another user's
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)


def verdicts(names: Sequence[str], seed: int, processes: int) -> Iterator[Verdict]:
    """Yield what came of the cells, as they are done: those that take long begin."""
    todo = deque(sorted(names, key=_quickness))
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threads = [
        threading.Thread(target=_work, args=(todo, done, seed, number), daemon=True)
        for number in range(processes)
    ]
    for thread in threads:
        thread.start()
    for _ in names:
        found = done.get()
        if isinstance(found, BaseException):
            raise found
        yield found
    for thread in threads:
        thread.join()


def _quickness(name: str) -> int:
    engine = name.split("/", maxsplit=1)[0]
    slow = [engine.endswith("timeout"), engine == "spawn", engine.startswith("template")]
    return -sum(flag << (2 - k) for k, flag in enumerate(slow))


def _work(todo: deque[str], done: queue.SimpleQueue[Any], seed: int, number: int) -> None:
    runner = _Runner(seed, number)
    try:
        while todo:
            try:
                name = todo.popleft()
            except IndexError:
                break
            begin = time.monotonic()
            verdict = runner.run(name)
            if verdict is None:
                runner_story = runner.story()
                runner.end()
                runner = _Runner(seed, number)
                verdict = Verdict(name, 0, time.monotonic() - begin)
                verdict.defects["hangs"] = [runner_story]
            done.put(verdict)
    except BaseException as error:  # noqa: BLE001 -- raised where it is seen
        done.put(error)
    finally:
        runner.end()
