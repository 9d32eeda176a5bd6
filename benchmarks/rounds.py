"""Rounds in which contestants take turns, each in a fresh process."""

import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from benchmarks.workload import BEFORE, Contestant, Workload

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = "BENCH_FOLDER"  # names the folder of a workload's files, for contestants
FAR = 0.7  # of the best: who has less in the first round does not go on, if figures are separate
GRACE = 15.0  # seconds that a contestant has to end after it has said its figures; arbitrary


@dataclass(frozen=True)
class Interpreters:
    """Paths of the Pythons that have ours and most peers, SeqTools 1.x, and ours of before."""

    bench: str
    original: str
    before: str = ""

    def of(self, contestant: Contestant) -> str:
        """Return the one in which a contestant runs."""
        if contestant.role == "before":
            return self.before
        return self.original if contestant.needs_original else self.bench


def run(
    name: str,
    workload: Workload,
    rounds: int,
    interpreters: Interpreters,
    only: list[str] | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """Return what each contestant of a workload answered in each round.

    A contestant that fails is not asked again.

    Args:
        name: The name of the workload.
        workload: The workload, with all that may run.
        rounds: How often each contestant runs.
        interpreters: In which they run.
        only: Names of the contestants to run, by default all; one of ours brings along its
            older self.
    """
    names = [
        name
        for name in workload.contestants
        if only is None or name in only or name.removesuffix(BEFORE) in only
    ]
    answers: dict[str, list[dict[str, Any]]] = {contestant: [] for contestant in names}
    with _files(workload):
        if workload.separately:
            return _run_separately(name, workload, rounds, interpreters, names)
        for number in range(rounds):
            for contestant in names:
                if any("error" in answer for answer in answers[contestant]):
                    continue
                begin = time.perf_counter()
                python = interpreters.of(workload.contestants[contestant])
                answer = ask(python, name, contestant, workload.timeout)
                answers[contestant].append(answer)
                took = time.perf_counter() - begin
                say = answer.get("error") or _short(workload, answer["figures"])
                print(f"  {number + 1}/{rounds} {contestant:<40} {say} ({took:.0f} s)", flush=True)
    return answers


def _run_separately(
    name: str, workload: Workload, rounds: int, interpreters: Interpreters, names: list[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return as `run`, with figures missing of those who did not go on."""
    answers: dict[str, list[dict[str, Any]]] = {contestant: [] for contestant in names}
    for each in names:
        answers[each] = [{"figures": {}, "version": None} for _ in range(rounds)]
    for number in range(rounds):
        for figure in workload.figures:
            first = {each: answers[each][0]["figures"].get(figure.name, 0.0) for each in names}
            best = max(first.values())
            told = []
            for each in names:
                peer = workload.contestants[each].role == "peer"
                if "error" in answers[each][0] or (peer and first[each] < FAR * best):
                    continue
                python = interpreters.of(workload.contestants[each])
                answer = ask(python, name, each, workload.timeout, figure.name)
                if "error" in answer:
                    answers[each][0]["error"] = f"{figure.label}: {answer['error']}"
                    print(f"  {each}: {answers[each][0]['error']}", flush=True)
                    continue
                answers[each][number]["figures"] |= answer["figures"]
                answers[each][number]["version"] = answer["version"]
                told.append(f"{each}: {answer['figures'][figure.name] / figure.unit:.4g}")
            print(f"  {number + 1}/{rounds} {figure.label}: {'  '.join(told)}", flush=True)
    return answers


def ask(
    python: str, workload: str, contestant: str, timeout: float, figure: str | None = None
) -> dict[str, Any]:
    """Return the figures of one contestant from a process of its own, or the error.

    Whatever that process leaves behind in its process group is killed.
    """
    if not os.path.exists(python):
        return {"error": f"there is no {os.path.relpath(python, ROOT)}: `make bench` makes it"}
    command = [python, "-m", "benchmarks.one", workload, contestant.removesuffix(BEFORE)]
    if figure is not None:
        command.append(figure)
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(  # noqa: S603 -- ours
            command,
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        try:
            line = _line(process, timeout)
            ended = _ends(process, GRACE if line else 0)
        finally:
            kill_group(process)
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        errors.seek(0)
        said = errors.read().strip().splitlines() or ["nothing"]
    why = f"it ended with {process.returncode}" if ended else f"{timeout:.0f} s have passed"
    return {"error": f"no figures: {why}; it said last: {said[-1]}"[:300]}


def environment() -> dict[str, str]:
    """Return the environment of contestants.

    Compiled code goes where it pollutes no source folder: a peer that is installed has it,
    so ours must have it too.
    """
    drop = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    keep = {name: value for name, value in os.environ.items() if name not in drop}
    cache = os.path.join(ROOT, "build", "bench-pycache")
    return {**keep, "PYTHONPYCACHEPREFIX": cache, "TF_CPP_MIN_LOG_LEVEL": "3"}


def kill_group(process: "subprocess.Popen[Any]") -> None:
    """End what is left of a process that was started with a session of its own.

    Nobody may have waited for it before.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout:
        process.stdout.close()


def folder() -> str:
    """Return the folder in which `prepare` has made the workload's files."""
    return os.environ[FOLDER]


@contextmanager
def _files(workload: Workload) -> Iterator[None]:
    if workload.prepare is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as path:
        os.environ[FOLDER] = path
        try:
            workload.prepare()
            yield
        finally:
            del os.environ[FOLDER]


def _line(process: "subprocess.Popen[Any]", timeout: float) -> bytes:
    # End of file is no sign: workers that a contestant has forked hold the pipe open too.
    stdout = process.stdout
    assert stdout is not None
    deadline = time.monotonic() + timeout
    got = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        while not got.endswith(b"\n") and time.monotonic() < deadline:
            if selector.select(min(1.0, max(0.0, deadline - time.monotonic()))):
                part = os.read(stdout.fileno(), 65536)
                if not part:
                    _ends(process, 1)
                    return b""
                got += part
            elif _ends(process, 0):
                return b""
    return got if got.endswith(b"\n") else b""


def _ends(process: "subprocess.Popen[Any]", seconds: float) -> bool:
    """Return whether the process ends in time; if so it stays a zombie, which holds its id.

    Otherwise its group could be that of somebody else when it is killed.
    """
    deadline = time.monotonic() + seconds
    flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
    while os.waitid(os.P_PID, process.pid, flags) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _short(workload: Workload, figures: dict[str, float]) -> str:
    told = [figure for figure in workload.figures if figure.name in figures]
    return "  ".join(f"{f.label}: {figures[f.name] / f.unit:.4g}" for f in told)
