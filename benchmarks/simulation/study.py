"""Fits, validates and stores: what `python -m benchmarks.simulate` does with real runs."""

import dataclasses
import json
import os
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks import results, rounds
from benchmarks.simulation import real
from benchmarks.simulation.fitting import Fitted, Observed, fit, predicted
from benchmarks.simulation.model import Costs
from benchmarks.simulation.real import Seen, Trial

FILE = os.path.join(rounds.ROOT, "benchmarks", "results", "simulation.json")
ENGINES = ("crowd", "pool", "dask", "ray")
"""Those of `clusters.CLUSTERS`, in the order in which they are fitted."""
LIMIT = 0.15
"""Largest relative error of a prediction."""

FIT: tuple[Trial, ...] = (
    Trial(work=0.001, block=1),  # as many blocks as possible
    Trial(work=0.01, block=1),
    Trial(work=0.01, block=4),
    Trial(work=0.01),
    Trial(work=0.001, block=20),
    Trial(work=0.003, block=3),
)
_QUICK = (Trial(work=0.0002, block=500),)
"""Items so quick that the reader is busy with them, and not with blocks."""
FIT_ARRAYS = Trial(work=0.01, block=2, nbytes=400_000)
VALIDATE: tuple[Trial, ...] = (
    Trial(work=0.015, block=1),
    Trial(work=0.007, block=8),
    Trial(work=0.0025, block=12),
    Trial(work=0.04),
    Trial(work=0.025, block=2, step=0.004),
)
"""Other times of items and other lengths of blocks than those of `FIT`."""

Plan = Iterable[tuple[int, Sequence[Trial], Sequence[Trial]]]
"""For each number of workers, what costs are found from, and what is compared with them."""

_MANY = (Trial(work=0.01, block=2, warm=4.0), Trial(work=0.05, block=2, warm=4.0))
_OTHERS = (Trial(work=0.025, block=2, warm=4.0), Trial(work=0.04, warm=4.0))
CROWD: Plan = (
    *((workers, (*FIT, *_QUICK), VALIDATE) for workers in (1, 2, 4, 8)),
    (50, _MANY, ()),
    (64, (), _OTHERS),
    (250, (), _OTHERS),
    (400, _MANY, ()),
    (1000, (), _OTHERS),
)
CLUSTER: Plan = tuple((workers, (*FIT, FIT_ARRAYS), VALIDATE) for workers in (1, 2, 4, 8))


def measure(engine: str, patience: float, show: Callable[[str], None] = print) -> bool:
    """Run an engine, find its costs, compare predictions with other runs, and store all that.

    Return whether all predictions are close. Trials of both kinds are mixed: the machine may be
    slower for minutes.
    """
    runs, others = list[Observed](), list[Observed]()
    for workers, fitting, comparing in CROWD if engine == "crowd" else CLUSTER:
        trials = [*((each, runs) for each in fitting), *((each, others) for each in comparing)]
        random.Random(workers).shuffle(trials)  # noqa: S311 -- not for secrets
        seen = real.run(engine, workers, [trial for trial, _ in trials], patience)
        for (trial, where), each in zip(trials, seen, strict=True):
            where.append(Observed(workers, trial, each))
    return _compare(engine, runs, others, show)


def do_again(engine: str, show: Callable[[str], None] = print) -> bool:
    """Do the same with the runs that are stored, as after a change of the model."""
    known = stored()["engines"][engine]
    return _compare(engine, _runs(known["runs"]), _runs(known["validation"]), show)


def _runs(rows: Iterable[dict[str, Any]]) -> list[Observed]:
    return [Observed(row["workers"], Trial(**row["trial"]), Seen(**row["seen"])) for row in rows]


def _compare(
    engine: str, runs: Sequence[Observed], others: Sequence[Observed], show: Callable[[str], None]
) -> bool:
    record, crowd = stored(), engine == "crowd"
    known = Costs(shared=engine in {"crowd", "pool"}, cores=os.cpu_count() or 1)
    if not crowd:
        if "crowd" not in record.get("engines", {}):
            raise LookupError("measure the crowd first: it shows what items and workers cost")
        costs = record["engines"]["crowd"]["costs"]
        known = dataclasses.replace(
            known, per_worker=costs["per_worker"], per_item=costs["per_item"]
        )
    found = fit(runs, known, many=crowd)
    show(f"{engine}: {found.costs}, error {found.error:.1%}")
    rows = [_row(run, found) for run in others]
    record.setdefault("machine", results.machine())
    record.setdefault("engines", {})[engine] = {
        "costs": dataclasses.asdict(found.costs),
        "late": found.late,
        "error": found.error,
        "runs": [_row(run, found) for run in runs],
        "validation": rows,
    }
    _store(record)
    for row in sorted(rows, key=lambda row: row["workers"]):
        show(f"{engine:6}{describe(row)}")
    return all(abs(row["error"]) <= LIMIT for row in rows)


def describe(row: dict[str, Any]) -> str:
    """Return a line about a real run and its simulation."""
    trial, seen = Trial(**row["trial"]), Seen(**row["seen"])
    block = "as the engine" if trial.block is None else f"{trial.block} items"
    return (
        f"{row['workers']:5} workers, items of {trial.work * 1e3:g} ms, blocks {block}: "
        f"{seen.rate:.1f} items/s, predicted {row['predicted']:.1f} ({row['error']:+.1%}); "
        f"efficiency {seen.rate * trial.work / row['workers']:.2f}, others {seen.foreign:.2f}"
    )


def _row(run: Observed, found: Fitted) -> dict[str, Any]:
    rate = predicted(found.costs, run.workers, run.trial, found.late)
    return {
        "workers": run.workers,
        "trial": dataclasses.asdict(run.trial),
        "seen": dataclasses.asdict(run.seen),
        "predicted": rate,
        "error": rate / run.seen.rate - 1,
    }


def fitted(record: dict[str, Any], engine: str) -> Fitted:
    """Return what was stored of an engine.

    Raises:
        LookupError: If it was not fitted.
    """
    found = record.get("engines", {}).get(engine)
    if found is None:
        message = (
            f"{engine} was not fitted: python -m benchmarks.simulate --measure --only {engine}"
        )
        raise LookupError(message)
    return Fitted(Costs(**found["costs"]), found["late"], found["error"])


def stored() -> dict[str, Any]:
    """Return all that is stored."""
    if not os.path.exists(FILE):
        return {}
    with open(FILE) as file:
        record: dict[str, Any] = json.load(file)
    return record


def _store(record: dict[str, Any]) -> None:
    with open(FILE, "w") as file:
        json.dump(record, file, indent=1)
        file.write("\n")
