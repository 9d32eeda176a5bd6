"""`python -m tests.faults.campaign`: kill workers at every point, and see that nothing is lost.

Each cell is a test of pytest, which runs them in several processes, ends those that hang, and
finds what they leave behind. `test_deaths` runs some of them.
"""

import argparse
import faulthandler
import os
import random
import resource
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import pytest

from tests import leaks
from tests.faults.harness.cells import TIMEOUT, Cell, cell, names
from tests.faults.harness.judging import DEFECTS, Verdict
from tests.faults.harness.running import run

LEAST_CELLS, LEAST_FAULTS = 300, 2000
NOTICED_99, NOTICED_MAX = 0.25, 2.0
"""Promised: seconds until a death is noticed, by 99 of 100 and by all."""

_HANGS = 120  # seconds after which a cell hangs
_SEED, _CELLS = "SEQTOOLS_CAMPAIGN_SEED", "SEQTOOLS_CAMPAIGN_CELLS"  # for processes of pytest


def story(verdict: Verdict, tried: Cell, seed: int) -> str:
    """Return what came of a cell, and how to try it again."""
    act = f" act={tried.act}, every {tried.every} items" if tried.act else ""
    told = [f"{column}: {defect}" for column, found in verdict.defects.items() for defect in found]
    return "\n".join(
        [
            f"{verdict.name}: {verdict.faults} faults",
            *told[:20],
            f"again: python -m tests.faults.campaign --cell {verdict.name} --seed {seed}",
            f"which is SEQTOOLS_FAULTS={tried.plan!r} n={tried.n} {tried.options}{act}",
        ]
    )


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """Have workers die in silence, and other programs leave what they like in /dev/shm."""
    faulthandler.disable()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaks, "foreign", leaks.OTHERS)
        yield


@pytest.mark.parametrize("name", os.environ.get(_CELLS, "").split() or names())
def test_nothing_is_lost(name: str, record_property: Callable[[str, object], None]) -> None:
    seed = int(os.environ[_SEED])
    tried = cell(name, seed)
    verdict = run(tried)
    record_property("verdict", asdict(verdict))
    assert not verdict.defects, story(verdict, tried, seed)


class Summary:
    """A plugin of pytest that says what came of all cells."""

    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []
        self.defects = Counter(dict.fromkeys(("hangs", *DEFECTS, "leaks"), 0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told: Any = dict(report.user_properties).get("verdict")
        if report.when == "call" and told:
            self.verdicts.append(Verdict(**told))
            self.defects.update({column: len(found) for column, found in told["defects"].items()})
        elif report.failed:  # by who waits for it, or its process has crashed
            self.defects["leaks" if report.when == "teardown" else "hangs"] += 1

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.write_line("\n".join(self.lines()))

    @property
    def faults(self) -> int:
        """How many there were."""
        return sum(verdict.faults for verdict in self.verdicts)

    def lines(self) -> list[str]:
        """Return what came of all cells."""
        overdue = [t for verdict in self.verdicts for t in verdict.overdue]
        return [
            "",
            f"cells {len(self.verdicts)}, faults {self.faults}",
            ", ".join(f"{column} {count}" for column, count in self.defects.items()),
            f"{'milliseconds':45}{'median':>8}{'99 %':>8}{'max':>8}{'of':>7}",
            _row("from a death until it is noticed", self.detections()),
            _row(f"from a stop until the end, timeout {TIMEOUT:g} s", overdue),
            f"items that failed as they had to: {sum(v.failed for v in self.verdicts)}",
            f"deaths when there was nothing more to do: {sum(v.unnoticed for v in self.verdicts)}",
        ]

    def detections(self) -> list[float]:
        """Return how many seconds it took until each death was noticed."""
        return [t for verdict in self.verdicts for t in verdict.detections]

    def complaints(self) -> list[str]:
        """Return what is wrong with the whole."""
        found, times = [], self.detections() or [0.0]
        if len(self.verdicts) < LEAST_CELLS or self.faults < LEAST_FAULTS:
            found.append(f"fewer than {LEAST_CELLS} cells or {LEAST_FAULTS} faults")
        if _at(times, 0.99) > NOTICED_99:
            found.append(f"one death of 100 is noticed after more than {NOTICED_99} s")
        if max(times) > NOTICED_MAX:
            found.append(f"a death was noticed after {max(times):.2f} s")
        return found


def _row(name: str, times: Sequence[float]) -> str:
    shown = (_at(times, 0.5), _at(times, 0.99), max(times)) if times else ()
    return f"{name:45}" + "".join(f"{1000 * t:8.1f}" for t in shown) + f"{len(times):7}"


def _at(times: Sequence[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign", description=__doc__)
    parser.add_argument("--cell", action="append", metavar="NAME", help="only this one")
    parser.add_argument("--seed", type=int, help="varies when the faults are; random by default")
    parser.add_argument("--processes", type=int, default=2, help="that run cells at the same time")
    parser.add_argument("--list", action="store_true", help="print the names of all cells")
    options = parser.parse_args()
    if options.list:
        print("\n".join(names()))
        return
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    print(f"==> seed {seed}", flush=True)
    os.environ[_SEED] = str(seed)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ[_CELLS] = " ".join(options.cell or ())
    pytest_options = f"-n{options.processes} --maxschedchunk=1 -q -pno:cacheprovider --every"
    hangs = [f"--timeout={_HANGS}", "-ofaulthandler_timeout=0"]
    summary = Summary()
    code = pytest.main([__file__, *pytest_options.split(), *hangs], plugins=[summary])
    complaints = [] if options.cell else summary.complaints()
    sys.exit("\n".join(f"error: {each}" for each in complaints) or int(code))


if __name__ == "__main__":
    main()
