"""What went wrong in a cell, and how long it took until a death was noticed."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.faults.harness.cells import Cell, sort_of
from tests.faults.harness.log import Passed, injected, passed
from tests.faults.harness.payloads import FIRST
from tests.faults.harness.reading import Reading
from tests.faults.harness.watching import Diary

DEFECTS = ("lost", "repeated", "reordered", "wrong", "blamed", "unexplained")
"""What must not happen."""


@dataclass
class Verdict:
    """What came of a cell."""

    name: str
    faults: int
    failed: int
    """Items that failed as they had to."""
    defects: dict[str, list[str]] = field(default_factory=dict)
    detections: list[float] = field(default_factory=list)
    """Seconds until each death was noticed."""
    overdue: list[float] = field(default_factory=list)
    """Seconds until each worker that hung was replaced."""
    unnoticed: int = 0
    """Deaths when there was nothing more to do."""


class Death(NamedTuple):
    """A death that was brought about."""

    time: float
    pid: int
    template: bool


def judged(cell: Cell, folder: Path, diary: Diary, reading: Reading) -> Verdict:
    """Return what came of `cell`, from what was read and what is in the log in `folder`."""
    judge = _Judge(cell, folder, diary, reading)
    verdict = Verdict(cell.name, judge.faults(), len(reading.failed))
    for column, defect in judge.defects():
        verdict.defects.setdefault(column, []).append(defect)
    if not verdict.faults:
        verdict.defects.setdefault("wrong", []).append("there was no fault")
    _time(verdict, diary, judge.deaths)
    ends = {lost.pid: lost.time for lost in diary.lost}
    stops = [record for record in judge.records["stop"] if record.pid in ends]
    verdict.overdue = [ends[record.pid] - record.time for record in stops]
    return verdict


class _Judge:
    """Finds what is not as it should be, by column."""

    def __init__(self, cell: Cell, folder: Path, diary: Diary, reading: Reading) -> None:
        self.cell, self.diary, self.reading = cell, diary, reading
        self.begun = passed("item-begun", str(folder))
        self.happened = injected(cell.plan, str(folder))
        self.records: dict[str, list[Passed]] = {
            sort: [record for point, kind, record in self.happened if sort_of(point, kind) == sort]
            for sort in ("death", "stop", "raised", "not sent", "unable")
        }
        self.hooks = _hooks(cell, folder / "hooks")
        self.deaths = [
            Death(record.time, record.pid, point.startswith("template"))
            for point, kind, record in self.happened
            if sort_of(point, kind) == "death"
        ]
        self.deaths += [
            Death(kill.time, kill.pid, kill.what == "template")
            for kill in diary.killed
            if kill.how not in {"SIGSTOP", "SIGCONT"}
        ]
        self.deaths += _struck(cell, self.begun)

    def faults(self) -> int:
        """Return how many there were."""
        others = len(self.deaths) - len(self.records["death"])
        paused = sum(kill.how == "SIGSTOP" for kill in self.diary.killed)
        return len(self.happened) + others + self.hooks + paused

    def defects(self) -> Iterator[tuple[str, str]]:
        """Yield all that is wrong."""
        yield from self.reading.defects
        if not self.cell.hopeless:
            yield from self.reading.missing(self.cell.n)
        for i in self.diary.repeated:
            yield "repeated", f"item {i}, by the engine"
        yield from self._failures()
        yield from self._starts()
        for defect in self._unexplained():
            yield "unexplained", defect

    def _failures(self) -> Iterator[tuple[str, str]]:
        """Yield which items failed that should not have, and the other way round."""
        lost = {each.pid for each in self.diary.lost}
        raised = {record.item for record in self.records["raised"]}
        reasons = Counter(reason for _, reason in self.reading.failed)
        for i, reason in self.reading.failed:
            # by the log, and not by what the engine believes
            hits = {record.pid for record in self.begun if record.item == i} & lost
            if reason == "died" and len(hits) < 2:
                yield "blamed", f"item {i} was begun by {len(hits)} workers that died"
            if reason == "raised" and i not in raised:
                yield "wrong", f"item {i} failed without a reason"
            if reason not in {"died", "timeout", "raised", "not sent"}:
                yield "wrong", f"item {i} failed: {reason}"
        if reasons["timeout"] > len(self.records["stop"]):
            yield "blamed", f"{reasons['timeout']} items took too long"
        if reasons["not sent"] > len(self.records["not sent"]):
            yield "wrong", f"{reasons['not sent']} items could not be sent"
        for i in sorted(raised - {i for i, reason in self.reading.failed if reason == "raised"}):
            yield "wrong", f"item {i} raised an error, which did not come"
        if self.cell.act.startswith("deadly"):
            died = {i for i, reason in self.reading.failed if reason == "died"}
            for i in sorted(died.symmetric_difference(self.cell.struck)):
                yield "wrong", f"item {i} kills its worker, or not: {died}"

    def _starts(self) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with the errors which say that there are no workers."""
        unable, reasons = self.reading.unable, len(self.records["unable"])
        if self.cell.hopeless:
            told = {"raises": "no such camera", "exits": "code 7", "dies": "SIGKILL"}
            words = told[self.cell.act.partition(":")[2]]
            if len(unable) != 1 or words not in unable[0]:
                yield "wrong", f"the hook failed, and the reader was told {unable}"
        elif len(unable) > reasons or (reasons and not unable):
            yield "wrong", f"workers could not start {reasons} times, the reader was told {unable}"

    def _unexplained(self) -> Iterator[str]:
        """Yield the deaths that nobody has brought about."""
        known = {death.pid for death in self.deaths}
        known |= {record.pid for _, _, record in self.happened}
        # a template that tells that it is unable to start workers ends
        ended = sum(death.template for death in self.deaths) + len(self.records["unable"])
        if len(self.diary.templates) > ended:
            yield f"{len(self.diary.templates)} templates died, of which {ended} were killed"
        for lost in self.diary.lost:
            if lost.pid not in known and not ended and not self.hooks:
                yield f"worker {lost.number} (pid {lost.pid}) died"


def _struck(cell: Cell, begun: Sequence[Passed]) -> list[Death]:
    """Return the deaths that items have brought about."""
    found = [record for record in begun if record.item in cell.struck]
    if cell.act.startswith("orphan"):  # only once
        first = {record.item: record for record in reversed(found)}
        found = list(first.values())
    return [Death(record.time, record.pid, template=False) for record in found]


def _hooks(cell: Cell, log: Path) -> int:
    """Return how often a start hook failed."""
    calls = log.stat().st_size if log.exists() else 0
    return calls if cell.hopeless else min(calls, FIRST)


def _time(verdict: Verdict, diary: Diary, deaths: Sequence[Death]) -> None:
    by_pid = {lost.pid: lost.time for lost in reversed(diary.lost)}
    for death in sorted(deaths):
        if death.template:
            noticed = next((t for t in sorted(diary.templates) if t >= death.time), None)
        else:
            noticed = by_pid.get(death.pid)
        if noticed is None:
            verdict.unnoticed += 1
        else:
            verdict.detections.append(noticed - death.time)
