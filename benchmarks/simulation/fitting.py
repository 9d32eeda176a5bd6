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
from benchmarks.simulation.real import SMALL, Seen, Trial

_FEW = 8
"""Workers up to which runs say how long messages are under way: with more, processors are busy."""
_SLOW = 0.001
"""Seconds of an item from which they do so: the reader is busy with quicker ones, whose simulation
takes long besides."""
_UNIT = 1e-4
"""Seconds from which the search begins, with quotients of 2 to some power."""
_LAST_STEP = 0.1
"""Of that power: 7 %. Arbitrary."""


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


def fit(runs: Sequence[Observed], known: Costs, *, many: bool = False) -> Fitted:
    """Return the costs for which simulated runs are like real ones.

    Args:
        runs: Real runs.
        known: What is known of the cluster: whether its queue is shared, its processors, and what
            an item costs the reader, and a block for each worker.
        many: Whether these two are to be found too, from runs with many items and workers.
    """
    seen, blocks = [run.seen for run in runs], [run.seen.blocks for run in runs]
    items = [one.items for one in seen]
    nbytes = [run.seen.items * run.trial.nbytes if run.trial.nbytes > SMALL else 0 for run in runs]
    places = [run.workers * run.seen.blocks for run in runs]
    own = np.array([one.cpu for one in seen])
    if many:
        found = shares(own.tolist(), [blocks, nbytes, items, places])
        block, per_byte, per_item, per_worker = found
    else:
        per_item, per_worker = known.per_item, known.per_worker
        own -= per_item * np.array(items) + per_worker * np.array(places)
        block, per_byte = shares(own.tolist(), [blocks, nbytes])
    # a scheduler does not see items, but the process that plays many workers does
    central = shares([one.central for one in seen], [blocks, items] if many else [blocks])[0]
    always = [run.workers * run.seen.seconds for run in runs]
    on_cores, on_worker_per_byte, aside = shares(
        [one.workers for one in seen], [blocks, nbytes, always]
    )
    late = float(np.median([run.seen.work - run.trial.work for run in runs]))
    known = replace(
        known,
        post=block / 2,  # how it is divided changes nothing that is measured here
        take=block / 2,
        per_item=per_item,
        per_byte=per_byte,
        per_worker=per_worker,
        thread=float(np.median([one.thread for one in seen])),
        assumed=seen[0].assumed,
        shortest=runs[0].seen.shortest,
        central=central,
        on_cores=on_cores,
        aside=aside,
        on_worker_per_byte=on_worker_per_byte,
    )

    few = [run for run in runs if run.workers <= _FEW and run.trial.work >= _SLOW]

    def error(hop: float, on_worker: float) -> float:
        costs = replace(known, hop=hop, on_worker=on_worker)
        wrong = [
            math.log(predicted(costs, run.workers, run.trial, late) / run.seen.rate) for run in few
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
        step=trial.step + late if trial.step else 0.0,  # the loop sleeps too
        max_cached=trial.max_cached(workers),
    )
    # longer than the real run, so that it does not depend on which block ends when
    return simulate(costs, load, trial.warm, 2 * trial.seconds).rate


def shares(totals: Sequence[float], counts: Sequence[Sequence[float]]) -> list[float]:
    """Return what one of each thing costs, at least 0, if `counts` of each cost `totals` together.

    By least squares, so that most is learnt from runs in which most was done: a processor that
    wakes up for each message takes up to twice as long for it. What would be negative is 0.
    """
    rows, wanted = np.array(counts, float).T, np.array(totals, float)
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
    """Return two times for which `error` is small: the best of a grid, and then nearby."""
    known: dict[tuple[float, float], float] = {}

    def wrong(x: float, y: float) -> float:
        if (x, y) not in known:
            known[x, y] = error(_UNIT * 2**x, _UNIT * 2**y)
        return known[x, y]

    step = 3.0
    x, y = min(itertools.product((0.0, step, 2 * step), repeat=2), key=lambda at: wrong(*at))
    while step > _LAST_STEP:
        near = [(x + step, y), (x - step, y), (x, y + step), (x, y - step)]
        best = min(near, key=lambda at: wrong(*at))
        if wrong(*best) < wrong(x, y):
            x, y = best
        else:
            step /= 2
    return _UNIT * 2**x, _UNIT * 2**y
