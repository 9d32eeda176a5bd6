"""Costs of a cluster from real runs.

What processors do is measured: their seconds in each run are a sum over blocks, items and bytes.
How long messages are under way and what a block costs a worker is not seen, so these two are
searched for which simulated runs are as fast as the real ones.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from benchmarks.simulation.cluster import simulate
from benchmarks.simulation.model import Costs, Load
from benchmarks.simulation.real import Seen, Trial

_ROUNDS = 4
"""Times that the search gets finer. Arbitrary: the last step is less than a tenth."""


class Observed(NamedTuple):
    """A real run."""

    workers: int
    trial: Trial
    seen: Seen


class Fitted(NamedTuple):
    """The costs of one kind of cluster on this machine.

    Args:
        costs: Those of the simulation.
        late: Seconds that an item takes longer than it was to sleep.
        error: Root of the mean square of the relative errors of the runs that were used.
    """

    costs: Costs
    late: float
    error: float


def fit(runs: Sequence[Observed], cores: int, *, shared: bool) -> Fitted:
    """Return the costs for which simulated runs are like real ones."""
    block, per_item, per_byte = shares(
        [run.seen.cpu for run in runs],
        [(run.seen.blocks, run.seen.items, run.seen.items * run.trial.nbytes) for run in runs],
    )
    (central,) = shares([run.seen.central for run in runs], [(run.seen.blocks,) for run in runs])
    late = float(np.median([run.seen.work - run.trial.work for run in runs]))
    known = Costs(
        post=block / 2,  # how it is divided changes nothing that is measured here
        take=block / 2,
        per_item=per_item,
        per_byte=per_byte,
        central=central,
        shared=shared,
        cores=cores,
    )

    def error(hop: float, on_worker: float) -> float:
        costs = replace(known, hop=hop, on_worker=on_worker)
        wrong = [
            math.log(predicted(costs, run.workers, run.trial, late) / run.seen.rate) for run in runs
        ]
        return math.sqrt(sum(x * x for x in wrong) / len(wrong))

    hop, on_worker = search(error)
    return Fitted(replace(known, hop=hop, on_worker=on_worker), late, error(hop, on_worker))


def predicted(costs: Costs, workers: int, trial: Trial, late: float) -> float:
    """Return the items per second of a trial in the simulation."""
    load = Load(
        work=trial.work + late,
        workers=workers,
        nbytes=trial.nbytes,
        step=trial.step,
        max_cached=trial.max_cached(workers),
    )
    return simulate(costs, load, 1.0, trial.seconds).rate


def shares(totals: Sequence[float], counts: Sequence[Sequence[float]]) -> list[float]:
    """Return what one of each thing costs, at least 0, if `counts` of them cost `totals`.

    By least squares of the relative errors. What would be negative is 0.
    """
    rows = np.array(counts, float)
    scale = np.maximum(np.array(totals, float), 1e-9)
    rows, wanted = rows / scale[:, None], np.ones(len(rows))
    wanted[np.array(totals) <= 0] = 0.0
    used = [k for k in range(rows.shape[1]) if rows[:, k].any()]
    while used:
        found = np.linalg.lstsq(rows[:, used], wanted, rcond=None)[0]
        if (found >= 0).all():
            break
        del used[int(found.argmin())]
    result = [0.0] * rows.shape[1]
    for k, value in zip(used, found if used else [], strict=True):
        result[k] = float(value)
    return result


def search(error: Callable[[float, float], float]) -> tuple[float, float]:
    """Return two times between 10 µs and 30 ms for which `error` is small."""
    middle, width = (math.log(5e-4), math.log(5e-4)), math.log(50)
    best = math.inf, middle
    for _ in range(_ROUNDS):
        steps = [width * k / 3 for k in range(-3, 4)]
        for x, y in itertools.product(steps, steps):
            place = middle[0] + x, middle[1] + y
            found = error(math.exp(place[0]), math.exp(place[1]))
            best = min(best, (found, place))
        middle, width = best[1], width / 3
    return math.exp(middle[0]), math.exp(middle[1])
