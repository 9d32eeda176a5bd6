"""Medians, verdicts, and their storage: a JSON file for each workload."""

import datetime as dt
import importlib.metadata
import json
import os
import platform
import statistics
from collections.abc import Iterable
from typing import Any

from benchmarks.rounds import ROOT
from benchmarks.workload import KINDS, Figure, Kind, Target, Workload

FOLDER = os.path.join(ROOT, "benchmarks", "results")


class Results:
    """What a workload's contestants achieved in some rounds.

    Args:
        workload: What was done.
        record: As it is stored: `date`, `machine`, and for each name in `contestants` the
            list of what it answered.
    """

    def __init__(self, workload: Workload, record: dict[str, Any]) -> None:
        self.workload = workload
        self.record = record
        self._answers: dict[str, list[dict[str, Any]]] = record["contestants"]

    def error(self, name: str) -> str | None:
        """Return why a contestant failed, if it did in any round."""
        if name not in self._answers:
            return "was not run"
        for answer in self._answers[name]:
            if "error" in answer:
                return str(answer["error"])
        return None

    def version(self, name: str) -> str | None:
        """Return the version of the contestant's package."""
        return next((a["version"] for a in self._answers.get(name, ()) if a.get("version")), None)

    def values(self, name: str, figure: Figure) -> list[float]:
        """Return what was measured of a contestant in each round; empty if it failed."""
        if self.error(name):
            return []
        answers = [answer["figures"] for answer in self._answers[name]]
        return [figures[figure.name] for figures in answers if figure.name in figures]

    def median(self, name: str, figure: Figure) -> float | None:
        """Return the median over the rounds, or `None` if the contestant failed."""
        values = self.values(name, figure)
        return statistics.median(values) if values else None

    def best_peer(self, kind: Kind | None, figure: Figure) -> str | None:
        """Return the name of the best peer of a kind, or of any, if one succeeded."""
        peers = {
            name: median
            for name, contestant in self.workload.contestants.items()
            if contestant.role == "peer"
            and kind in {None, contestant.kind}
            and (median := self.median(name, figure)) is not None
        }
        if not peers:
            return None
        return (max if figure.higher else min)(peers, key=lambda name: peers[name])

    def verdict(self, target: Target) -> str:
        """Return by how much a target is reached, in words."""
        figure = self.workload.figure(target.figure)
        got = self.median(target.ours, figure)
        if got is None:
            return "**not reached**: ours failed"
        unit, beside = self._unit(target, figure)
        if unit is None:
            return f"not measured: {beside} failed"
        ratio = got / unit
        least, most = target.at_least, target.at_most
        good = (least is None or ratio >= least) and (most is None or ratio <= most)
        shown = f"{ratio:.3g} × {beside}" if beside else f"{got / figure.unit:.3g}"
        return f"reached: {shown}" if good else f"**not reached**: {shown}"

    def _unit(self, target: Target, figure: Figure) -> tuple[float | None, str]:
        if target.of is None:
            return figure.unit, ""
        kinds: dict[str, Kind | None] = {f"best {kind}": kind for kind in KINDS}
        kinds["best other"] = None
        name: str | None = target.of
        if target.of in kinds:
            name = self.best_peer(kinds[target.of], figure)
        if name is None:
            return None, target.of
        return self.median(name, figure), name


def new(answers: dict[str, Any], rounds: int, load_before: float) -> dict[str, Any]:
    """Return a record of answers, with when and where they were given."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": {**machine(), "load_before": round(load_before, 2)},
        "rounds": rounds,
        "contestants": answers,
    }


def machine() -> dict[str, Any]:
    """Return what this machine is, and its software."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.system() + " " + platform.release(),
        "python": platform.python_version(),
        "numpy": importlib.metadata.version("numpy"),
    }


def store(name: str, record: dict[str, Any]) -> None:
    """Write a workload's record, in place of what was stored before."""
    os.makedirs(FOLDER, exist_ok=True)
    with open(_path(name), "w") as file:
        json.dump(record, file, indent=1)
        file.write("\n")


def stored(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the records of those workloads that have one."""
    records = {}
    for name in names:
        if os.path.exists(_path(name)):
            with open(_path(name)) as file:
                records[name] = json.load(file)
    return records


def _path(name: str) -> str:
    return os.path.join(FOLDER, f"{name}.json")


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            models = [line.split(":", 1)[1] for line in file if line.startswith("model name")]
    except OSError:
        models = []
    return models[0].strip() if models else platform.machine()
