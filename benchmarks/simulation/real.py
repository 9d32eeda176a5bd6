"""Real runs, whose items sleep: many workers need few processors then.

    python -m benchmarks.simulation.real ENGINE WORKERS PATIENCE < trials.json

Prints what was seen of each trial. All of them use one cluster, which is started for them.
"""

import contextlib
import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import numpy as np

import seqtools
from benchmarks import cpu, rounds
from benchmarks.simulation import machine
from benchmarks.simulation.clusters import CLUSTERS, Running
from benchmarks.simulation.crowd import Pass
from benchmarks.simulation.model import AHEAD
from seqtools.engines.base import Job
from seqtools.prefetching.window import Window

SMALL = 8
"""Bytes up to which an item is a number, and not an array."""
ATTEMPTS = 4
"""Times that a run is repeated at most, if other programs use the processors meanwhile."""
_LONGEST = 120.0
"""Seconds in which all workers must have started. Arbitrary."""
_LOOK = 0.1
"""Seconds between two looks whether all workers have started. Arbitrary."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """A run that is measured.

    Args:
        work: Seconds that an item sleeps.
        block: Items in a block, at most: the window has room for two blocks for each worker.
            `None` if the window is large enough for blocks as long as the engine wants.
        nbytes: Bytes of an item.
        step: Seconds that the consumer sleeps for each item.
        warm: Seconds before it is measured: the time of an item is known then, and the window full.
        seconds: How long it is measured.
    """

    work: float
    block: int | None = None
    nbytes: int = SMALL
    step: float = 0.0
    warm: float = 1.0
    seconds: float = 6.0

    def max_cached(self, workers: int) -> int:
        """Return the size of the window for so many workers."""
        if self.block is not None:
            return AHEAD * workers * self.block
        return int(3 * AHEAD * workers * max(1, 0.1 / self.work)) + 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seen:
    """What was measured of a trial.

    Args:
        seconds: How long it was measured.
        items: Items that were read.
        blocks: Jobs that were given to the engine.
        work: Mean seconds that an item took in its worker.
        cpu: Seconds of the processor that the process of the reader used.
        central: The same of the scheduler.
        workers: The same of all other processes together.
        thread: Seconds of the processor for a block in the thread of the engine, as it measures.
        assumed: The same in other threads of the reader, which the engine assumes.
        shortest: Seconds of work in a block at least, according to its engine.
        foreign: Processors that other programs used meanwhile.
    """

    seconds: float
    items: int
    blocks: int
    work: float
    cpu: float
    central: float
    workers: float
    thread: float
    assumed: float
    shortest: float
    foreign: float

    @property
    def rate(self) -> float:
        """Items per second."""
        return self.items / self.seconds


class Sleep:
    """The function of the pipeline: sleeps, and returns how long that took."""

    def __init__(self, seconds: float, nbytes: int) -> None:
        self.seconds, self.nbytes = seconds, nbytes

    def __call__(self, i: int) -> Any:
        """Return the seconds since the call, as a number or in an array."""
        del i
        began = time.perf_counter()
        time.sleep(self.seconds)
        value = np.zeros(self.nbytes // 8) if self.nbytes > SMALL else None
        took = time.perf_counter() - began
        if value is None:
            return took
        value[0] = took
        return value


def run(engine: str, workers: int, trials: Sequence[Trial], patience: float) -> list[Seen]:
    """Return what is seen of each trial, in an interpreter and a cluster of its own.

    Args:
        engine: A name of `CLUSTERS`.
        workers: The size of the cluster.
        trials: What is measured.
        patience: Seconds to wait before each for a moment when other programs do little. If it is
            0, nothing is repeated either.
    """
    program = [sys.executable, "-m", "benchmarks.simulation.real"]
    command = [*program, engine, str(workers), str(patience)]
    given = json.dumps([dataclasses.asdict(trial) for trial in trials])
    done = subprocess.run(  # noqa: S603 -- this interpreter
        command, input=given, text=True, stdout=subprocess.PIPE, cwd=rounds.ROOT, check=True
    )
    return [Seen(**seen) for seen in json.loads(done.stdout.splitlines()[-1])]


def calm(running: Running, workers: int, trial: Trial, patience: float) -> Seen:
    """Measure a trial when other programs do little, as far as that comes to pass."""
    best: Seen | None = None
    for _ in range(ATTEMPTS if patience else 1):
        seen = measure(running, workers, trial, patience)
        if best is None or seen.foreign < best.foreign:
            best = seen
        if best.foreign < machine.CALM:
            break
    assert best is not None
    return best


def measure(running: Running, workers: int, trial: Trial, patience: float) -> Seen:
    """Measure one trial, once all workers have started and other programs do little."""
    function = Sleep(trial.work, trial.nbytes) if running.sleeps else Pass(trial.work)
    source = seqtools.smap(function, range(1 << 40))
    p = seqtools.prefetch(source, workers, running.method, trial.max_cached(workers))
    with p, _counted() as jobs:
        items = iter(p)
        _read(items, trial, 0.0)
        _wait_for_workers(p, workers)
        machine.wait_until_calm(patience)
        _read(items, trial, trial.warm)
        used, sent, began = cpu.since(), len(jobs), time.perf_counter()
        central, busy = _used(running), machine.busy()
        took, n = _read(items, trial, trial.seconds)
        seconds, blocks = time.perf_counter() - began, len(jobs) - sent
        own, everything = used()
        central, busy = _used(running) - central, machine.busy() - busy
        thread, assumed, shortest = _estimates(p)
        del items
    return Seen(
        seconds=seconds,
        items=n,
        blocks=blocks,
        work=took / n,
        cpu=own,
        central=central,
        workers=everything - own - central,
        thread=thread,
        assumed=assumed,
        shortest=shortest,
        foreign=max(0.0, busy - everything) / seconds,
    )


def _calls(p: Any) -> Any:
    """Return what makes the calls of a prefetch."""
    return p._state.pump._engine._dispatcher  # noqa: SLF001 -- nobody else knows


def _wait_for_workers(p: Any, workers: int) -> None:
    until = time.monotonic() + _LONGEST
    while (there := len(_calls(p)._places)) < workers:  # noqa: SLF001
        if time.monotonic() > until:
            raise TimeoutError(f"{there} of {workers} workers have started in {_LONGEST} seconds")
        time.sleep(_LOOK)


def _estimates(p: Any) -> tuple[float, float, float]:
    """Return what the engine takes a block to cost, in two parts, and its shortest block."""
    calls = _calls(p)
    transport = calls._transport  # noqa: SLF001
    return float(calls._cost), float(transport.overhead), float(transport.grain)  # noqa: SLF001


def _used(running: Running) -> float:
    return cpu.of(running.scheduler) if running.scheduler else 0.0


def _read(items: Iterator[Any], trial: Trial, seconds: float) -> tuple[float, int]:
    """Read for so long; return the sum of what items took, and their number."""
    until, took, n = time.perf_counter() + seconds, 0.0, 0
    for value in items:
        took += value if trial.nbytes <= SMALL else value[0]
        n += 1
        if trial.step:
            time.sleep(trial.step)
        if time.perf_counter() > until:
            break
    return float(took), n


@contextlib.contextmanager
def _counted() -> Iterator[list[Job]]:
    """Note every job that a window sends."""
    jobs, sent = list[Job](), Window.sent

    def counted(self: Window, some: Sequence[Job]) -> None:
        jobs.extend(some)
        sent(self, some)

    with mock.patch.object(Window, "sent", counted):
        yield jobs


def main() -> None:
    """Do what the command line and the standard input say."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # and not without the cluster
    engine, workers, patience = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    trials = [Trial(**trial) for trial in json.load(sys.stdin)]
    with CLUSTERS[engine](workers) as running:
        seen = [calm(running, workers, trial, patience) for trial in trials]
    print(json.dumps([dataclasses.asdict(one) for one in seen]))


if __name__ == "__main__":
    main()
