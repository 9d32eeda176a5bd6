"""`make bench WORKLOAD=verdict`: are verdicts right, and does advice do what is estimated?

Pipelines are drawn from a seed, five of each of six kinds for which it is known what starves the
consumer. Each is profiled. Then the first advice that changes arguments of `prefetch` is taken,
and the time of that is measured without a profile, from the first item on. Where there is nothing
to change, it is measured as it is.

Then come six real jobs, in fresh processes, whose whole time is measured: see `jobs` and `job`.
"""

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import seqtools
from benchmarks import job, rounds
from benchmarks.job import CLOSE
from seqtools import instrument
from seqtools.instrument.profiling.verdict import (
    CONSUMER,
    LOADING,
    LOCK,
    SLOW,
    TRANSFER,
    judge,
)

EACH = 5
"""Pipelines of each kind."""
NEEDED_RIGHT, NEEDED_CLOSE = 28, 24
"""Of the drawn pipelines."""
NEEDED_OF_JOBS = 5
"""How many jobs must be right, and how many close."""

_FEW = 40  # items at least, so that what happens at both ends is little


def compute(seconds: float) -> None:
    """Compute for so long, on a processor of one's own."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        sum(range(200))


class Work:
    """What a function of a pipeline does for each item."""

    def __init__(
        self, waiting: float, computing: float, values: int = 0, slow: tuple[int, float] = (-1, 0)
    ) -> None:
        self.waiting, self.computing, self.values, self.slow = waiting, computing, values, slow
        self._kept = [chr(97 + k % 26) * 50_000 for k in range(values)]

    def __call__(self, i: int) -> Any:
        if self.waiting:
            time.sleep(self.waiting)
        compute(self.computing)
        if i == self.slow[0]:
            time.sleep(self.slow[1])
        if not self.values:
            return i
        return list(self._kept)

    def __str__(self) -> str:
        parts = [f"waits {self.waiting * 1e3:.1f} ms" if self.waiting else ""]
        parts += [f"computes {self.computing * 1e3:.1f} ms" if self.computing else ""]
        parts += [f"{self.values:,} texts of 50 kB" if self.values else ""]
        parts += [f"item {self.slow[0]}: {self.slow[1]:.1f} s" if self.slow[1] else ""]
        return ", ".join(part for part in parts if part)


class Drawn(NamedTuple):
    """A pipeline, and what is the matter with it."""

    kind: str
    expected: str
    work: Work
    items: int
    use_waiting: float
    use_computing: float
    options: dict[str, Any]

    def source(self) -> Any:
        return seqtools.smap(self.work, range(self.items))


def draw(seed: int) -> Iterator[Drawn]:
    """Yield the pipelines of a seed."""
    r = random.Random(seed)  # noqa: S311 -- not for secrets

    def ms(low: float, high: float) -> float:
        return r.uniform(low, high) / 1e3

    for _ in range(EACH):
        n = r.randint(80, 120)
        options: dict[str, Any] = {"nworkers": r.choice([1, 2, 3]), "method": "thread"}
        work = Work(ms(8, 25), ms(0.05, 0.4))
        yield Drawn("waits for files", LOADING, work, n, 0, ms(0.05, 0.5), options)
    for _ in range(EACH):
        options = {"nworkers": 1, "method": "process"}
        work = Work(0, ms(4, 12))
        yield Drawn("computes", LOADING, work, r.randint(80, 120), ms(0, 1), 0, options)
    for _ in range(EACH):
        options = {"nworkers": r.choice([2, 3, 4]), "method": "thread"}
        work = Work(0, ms(4, 10))
        yield Drawn("holds the lock", LOCK, work, r.randint(100, 140), ms(0, 0.5), 0, options)
    for _ in range(EACH):
        options = {"nworkers": r.choice([1, 2]), "method": "process"}
        work = Work(0, ms(0.1, 0.5), values=r.randint(100, 400))
        yield Drawn("is large to send", TRANSFER, work, r.randint(60, 90), 0, ms(0.5, 2), options)
    for _ in range(EACH):
        options = {"nworkers": 2, "method": r.choice(["thread", "process"])}
        waiting = r.random() < 0.5
        work = Work(ms(1, 3) if waiting else 0, ms(0.2, 1))
        use = ms(4, 10)
        used = (use, 0.0) if r.random() < 0.5 else (0.0, use)
        yield Drawn("is used slowly", CONSUMER, work, r.randint(80, 120), *used, options)
    for _ in range(EACH):
        n = r.randint(100, 140)
        slow = r.randint(n // 3, n // 2), r.uniform(0.25, 0.5)
        options = {"nworkers": 2, "method": "thread", "max_cached": 10}
        work = Work(ms(3, 6), ms(0.05, 0.3), slow=slow)
        yield Drawn("has one slow item", SLOW, work, n, ms(4, 6), 0, options)


class Row(NamedTuple):
    """What came of a pipeline."""

    kind: str
    what: str
    verdict: str
    right: bool
    before: float
    advice: str
    predicted: float
    measured: float

    @property
    def close(self) -> bool:
        return abs(self.predicted - self.measured) <= CLOSE * self.measured


def try_one(drawn: Drawn) -> Row:
    """Profile a pipeline, take the advice, and measure again."""
    p = seqtools.prefetch(drawn.source(), **drawn.options)
    with instrument.profile(p) as prof:
        use(p, drawn)
    case = prof._case()  # noqa: SLF001 -- for the parts of the report
    found = judge(case)
    before = case.measures.seconds
    advice = next((a for a in found.advice if a.arguments), None)
    arguments = advice.arguments if advice else {}
    predicted = advice.seconds if advice else before
    measured = float("inf")
    for _ in range(2):  # the better one: what else runs on the machine is not the question
        with seqtools.prefetch(drawn.source(), **{**drawn.options, **arguments}) as changed:
            measured = min(measured, use(changed, drawn))
    said = ", ".join(f"{k}={v!r}" for k, v in arguments.items()) or "nothing"
    right = found.kind == drawn.expected
    what = f"{drawn.work}; used in {(drawn.use_waiting + drawn.use_computing) * 1e3:.1f} ms"
    given = ", ".join(f"{v}" for v in drawn.options.values())
    return Row(drawn.kind, f"{what}; {given}", found.kind, right, before, said, predicted, measured)


def use(p: Any, drawn: Drawn) -> float:
    """Read all, and return the seconds from the first item on."""
    first = 0.0
    for k, _ in enumerate(p):
        if not k:
            first = time.perf_counter()
        time.sleep(drawn.use_waiting) if drawn.use_waiting else None
        compute(drawn.use_computing) if drawn.use_computing else None
    return time.perf_counter() - first


def run(seed: int | None = None, show: Callable[[str], None] = print) -> bool:
    """Try all pipelines, print and store what came of them; return whether that is enough."""
    seed = random.SystemRandom().randrange(10_000) if seed is None else seed
    show(f"seed {seed}")
    rows = []
    for drawn in draw(seed):
        row = try_one(drawn)
        rows.append(row)
        show(
            f"{'right' if row.right else 'WRONG'} {'close' if row.close else 'FAR  '} "
            f"{row.kind:18} {row.before:6.2f} s, then {row.predicted:5.2f} predicted, "
            f"{row.measured:5.2f} measured: {row.verdict}; {row.advice} ({row.what})"
        )
    right, close = sum(r.right for r in rows), sum(r.close for r in rows)
    show(f"verdicts: {right} of {len(rows)} right, {NEEDED_RIGHT} are needed")
    show(f"estimates: {close} of {len(rows)} within {CLOSE:.0%}, {NEEDED_CLOSE} are needed")
    jobs = []
    for tried in job.try_all():
        jobs.append(tried)
        show(str(tried))
    jobs_right, jobs_close = sum(j.right for j in jobs), sum(j.close for j in jobs)
    show(f"jobs: {jobs_right} of {len(jobs)} right, {NEEDED_OF_JOBS} are needed")
    show(f"jobs: {jobs_close} of {len(jobs)} within {CLOSE:.0%}, {NEEDED_OF_JOBS} are needed")
    record = {
        "seed": seed,
        "rows": [row._asdict() for row in rows],
        "right": right,
        "close": close,
        "jobs": [tried._asdict() for tried in jobs],
        "jobs_right": jobs_right,
        "jobs_close": jobs_close,
    }
    with open(os.path.join(rounds.ROOT, "benchmarks", "results", "verdict.json"), "w") as file:
        json.dump(record, file, indent=1)
        file.write("\n")
    enough = right >= NEEDED_RIGHT and close >= NEEDED_CLOSE
    return enough and min(jobs_right, jobs_close) >= NEEDED_OF_JOBS


if __name__ == "__main__":
    import sys

    sys.exit(not run(int(sys.argv[1]) if sys.argv[1:] else None))
