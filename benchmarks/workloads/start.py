"""How long a script takes until its first batch, and until it has ended."""

import os
import subprocess
import sys
import time
from typing import Any

from benchmarks.clock import WrongValueError
from benchmarks.rounds import ROOT, environment
from benchmarks.workload import Figure, Kind, Target, Workload, nothing

EXPECTED = [90, 999_000]  # sums of the first batch, and of all
RUNS, ENOUGH = 3, 4.0  # counted runs of a script in a round, or as many as take these seconds

WORKLOAD = Workload(
    title="Start and end of a script",
    text=(
        "A script that reads a thousand trivial items in batches of 10 from two workers: "
        "seconds from its start, imports included, to the first batch, and to its end. The "
        "scripts are in `benchmarks/start/`. In each round, each is run once that is not "
        "counted, and then three times, of which the best counts; those that take seconds, "
        "once. The limit is Python that computes the same by itself."
    ),
    figures=(Figure("first", "s to the first batch"), Figure("exit", "s to the end")),
    measure=nothing,
    targets=(
        Target("processes", "first batch ≤ 0.25 s", at_most=0.25),
        Target("processes", "end ≤ 0.30 s", at_most=0.30, figure="exit"),
    ),
)


def run(script: str) -> dict[str, float]:
    """Return the figures of a script, run by this interpreter."""
    _once(script)  # compiles, and brings files into memory
    runs = [_once(script)]
    while len(runs) < RUNS and sum(figures["exit"] for figures in runs) < ENOUGH:
        runs.append(_once(script))
    return {name: min(figures[name] for figures in runs) for name in ("first", "exit")}


def _once(script: str) -> dict[str, float]:
    path = os.path.join(ROOT, "benchmarks", "start", f"{script}.py")
    begin = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 -- ours
        [sys.executable, path], env=environment(), stdout=subprocess.PIPE, text=True
    )
    stdout = process.stdout
    assert stdout is not None
    first = stdout.readline()
    seconds = time.perf_counter() - begin
    process.wait()
    total = time.perf_counter() - begin
    said = [first.strip(), *stdout.read().split()]
    stdout.close()
    if said != [str(number) for number in EXPECTED] or process.returncode:
        message = f"{script}.py ended with {process.returncode} and said {' '.join(said)!r}"
        raise WrongValueError(message)
    return {"first": seconds, "exit": total}


def _enter(name: str, script: str, kind: Kind, package: str | None) -> None:
    role: Any = {"bare": "limit"}.get(script, "ours" if package == "seqtools" else "peer")
    WORKLOAD.contestant(name, role, kind, package)(lambda: run(script))


_enter("limit, bare Python", "bare", "inline", None)
_enter("processes", "seqtools_process", "process", "seqtools")
_enter("threads", "seqtools_thread", "thread", "seqtools")
_enter("SeqTools 1.x", "original", "process", "SeqTools")
_enter("multiprocessing.Pool.imap", "pool", "process", None)
_enter("ProcessPoolExecutor.map", "executor", "process", None)
_enter("torch DataLoader", "dataloader", "process", "torch")
_enter("torchdata.nodes", "nodes", "process", "torchdata")
_enter("Grain", "grain_processes", "process", "grain")
_enter("SPDL, process pool", "spdl_processes", "process", "spdl")
_enter("SPDL, threads", "spdl_threads", "thread", "spdl")
_enter("joblib", "joblib_processes", "process", "joblib")
_enter("tf.data", "tf_data", "thread", "tensorflow-cpu")
_enter("Ray multiprocessing.Pool.imap", "ray_pool", "process", "ray")
