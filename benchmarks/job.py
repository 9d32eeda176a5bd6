"""Real jobs: what a profile says of them, and what comes of that.

`python -m benchmarks.job NAME FOLDER [ARGUMENTS]` does it once, and prints its figures. Without
arguments, the job is profiled; with those of a `prefetch`, as JSON, it is timed. The process is
fresh, as after a user has changed a script, so its time has the start of workers in it.
"""

import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import seqtools
from benchmarks import rounds
from benchmarks.jobs import JOBS, Job, missing
from seqtools import instrument
from seqtools.instrument.profiling.verdict import judge

CLOSE = 0.3
"""Largest difference of an estimate to what was measured, as a share of it."""
ALTERNATIVES: list[dict[str, Any]] = [
    {"nworkers": 0},
    {"nworkers": 2, "method": "thread"},
    {"nworkers": 2, "method": "process"},
]
"""What users would try. If one of these is much faster than the advice, the advice is wrong."""
_TIMEOUT = 120


class Tried(NamedTuple):
    """What came of a job; times are in seconds."""

    name: str
    verdict: str
    right: bool
    before: float
    advice: str
    predicted: float
    measured: float
    others: list[float]
    """The times of the alternatives."""

    @property
    def close(self) -> bool:
        """Whether the estimate was."""
        return abs(self.predicted - self.measured) <= CLOSE * self.measured

    def __str__(self) -> str:
        others = ", ".join(f"{seconds:.2f}" for seconds in self.others)
        return (
            f"{'right' if self.right else 'WRONG'} {'close' if self.close else 'FAR  '} "
            f"{self.name:18} {self.before:6.2f} s, then {self.predicted:5.2f} predicted, "
            f"{self.measured:5.2f} measured: {self.verdict}; {self.advice} "
            f"(inline, two threads, two processes: {others} s)"
        )


def try_all() -> Iterator[Tried]:
    """Yield what came of each job; one that needs a package that is not there is wrong."""
    for name, job in JOBS.items():
        if job.package in missing():
            yield _failed(name, f"{job.package} is missing")
            continue
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            job.make(folder)
            try:
                tried = _try(name, job, folder)
            except subprocess.SubprocessError as error:
                tried = _failed(name, f"it failed: {error}")
            yield tried


def _failed(name: str, why: str) -> Tried:
    """Return a row that is neither right nor close."""
    return Tried(name, why, right=False, before=0, advice="", predicted=0, measured=-1, others=[])


def _try(name: str, job: Job, folder: str) -> Tried:
    found = _once(name, folder)
    arguments = found["arguments"]
    # the better one: what else runs on the machine is not the question
    measured = min(_once(name, folder, arguments) for _ in range(2))
    others = [_once(name, folder, given) for given in ALTERNATIVES]
    said = ", ".join(f"{k}={v!r}" for k, v in arguments.items()) or "nothing"
    right = found["verdict"] == job.expected and measured <= (1 + CLOSE) * min(others)
    return Tried(
        name, found["verdict"], right, found["before"], said, found["predicted"], measured, others
    )


def _once(name: str, folder: str, arguments: dict[str, Any] | None = None) -> Any:
    command = [sys.executable, "-m", "benchmarks.job", name, folder]
    command += [] if arguments is None else [json.dumps(arguments)]
    done = subprocess.run(  # noqa: S603 -- this file
        command, cwd=rounds.ROOT, stdout=subprocess.PIPE, timeout=_TIMEOUT, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def profiled(job: Job, folder: str) -> dict[str, Any]:
    """Return what a profile says of a job, and what is predicted for the first advice."""
    p = job.source(folder)
    if job.options is not None:
        p = seqtools.prefetch(p, **job.options)
    with instrument.profile(p) as prof:
        job.loop(p)
    case = prof._case()  # noqa: SLF001 -- for the parts of the report
    found = judge(case)
    before = case.measures.start + case.measures.seconds
    advice = next((a for a in found.advice if a.arguments), None)
    return {
        "verdict": found.kind,
        "before": before,
        "arguments": advice.arguments if advice else {},
        "predicted": advice.whole(case) if advice else before,
        "report": prof.report(),
    }


def timed(job: Job, folder: str, arguments: dict[str, Any]) -> float:
    """Return the seconds of a job from its first request, with other arguments of its prefetch."""
    source = job.source(folder)
    options = {**(job.options or {}), **arguments}
    p = seqtools.prefetch(source, **options) if options else source
    requested: list[float] = []

    def items() -> Iterator[Any]:
        requested.append(time.perf_counter())
        yield from p

    job.loop(items())
    return time.perf_counter() - requested[0]


def main() -> None:
    """Do what the command line says."""
    name, folder, *arguments = sys.argv[1:]
    job = JOBS[name]
    importlib.import_module(job.package)  # as at the top of a script, before a prefetch is made
    found = timed(job, folder, json.loads(arguments[0])) if arguments else profiled(job, folder)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
