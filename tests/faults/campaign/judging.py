"""What went wrong in a cell, and how long it took until a death was noticed and made good."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from seqtools.engines import fault_injection
from tests.faults.campaign.cells import Cell, sort_of
from tests.faults.campaign.payloads import FIRST
from tests.faults.campaign.watching import Diary, Lost

COLUMNS = ("hangs", "lost", "repeated", "reordered", "wrong", "blamed", "unexplained", "leaks")
"""What must be zero. Hangs are for who waits to tell."""


@dataclass
class Reading:
    """What a reader of a pipeline got."""

    order: list[int] = field(default_factory=list)  # indices, as they came
    failed: list[tuple[int, str]] = field(default_factory=list)  # index and reason
    unable: list[str] = field(default_factory=list)  # that there are no workers
    wrong: list[str] = field(default_factory=list)  # values that are damaged
    leaks: list[str] = field(default_factory=list)
    pause: float = 0.0  # longest wait for an item, in seconds


@dataclass
class Verdict:
    """What came of a cell."""

    name: str
    faults: int
    seconds: float
    defects: dict[str, list[str]] = field(default_factory=dict)  # by column
    detections: list[float] = field(default_factory=list)  # seconds
    recoveries: list[float] = field(default_factory=list)  # seconds
    overdue: list[float] = field(default_factory=list)  # seconds until one that hangs was replaced
    unnoticed: int = 0  # deaths when there was nothing more to do
    failed: int = 0  # items that failed as they had to


class Death(NamedTuple):
    """A death that was brought about."""

    time: float
    pid: int
    template: bool


def judged(cell: Cell, folder: str, diary: Diary, reading: Reading, seconds: float) -> Verdict:
    """Return what came of `cell`, from what was read and what is in the log in `folder`."""
    happened = fault_injection.injected(cell.plan, folder)
    begun = fault_injection.passed("item-begun", folder)
    by_sort: dict[str, list[fault_injection.Passed]] = {
        sort: [record for point, kind, record in happened if sort_of(point, kind) == sort]
        for sort in ("death", "stop", "raised", "not sent", "unable")
    }
    deaths = [
        Death(record.time, record.pid, point.startswith("template"))
        for point, kind, record in happened
        if sort_of(point, kind) == "death"
    ]
    deaths += [Death(when, pid, what == "template") for when, what, pid in _killed(diary)]
    deaths += _struck(cell, begun)
    hooks = _hooks(cell, folder)
    paused = sum(how == "SIGSTOP" for _, how, _, _ in diary.killed)
    verdict = Verdict(cell.name, len(happened) + len(deaths) - len(by_sort["death"]), seconds)
    verdict.faults += hooks + paused
    judge = _Judge(cell, reading, by_sort, begun, diary)
    for column, defect in (*judge.items(), *judge.failures(), *judge.starts()):
        verdict.defects.setdefault(column, []).append(defect)
    for defect in _unexplained(diary, deaths, happened, hooks):
        verdict.defects.setdefault("unexplained", []).append(defect)
    if reading.leaks:
        verdict.defects["leaks"] = reading.leaks
    if not verdict.faults:
        verdict.defects.setdefault("wrong", []).append("there was no fault")
    verdict.failed = len(reading.failed)
    _time(verdict, diary, deaths)
    ends = {lost.pid: lost.time for lost in diary.lost}
    stops = [record for record in by_sort["stop"] if record.pid in ends]
    verdict.overdue = [ends[record.pid] - record.time for record in stops]
    return verdict


def _killed(diary: Diary) -> list[tuple[float, str, int]]:
    return [
        (when, what, pid)
        for when, how, what, pid in diary.killed
        if how not in {"SIGSTOP", "SIGCONT"}
    ]


def _struck(cell: Cell, begun: Sequence[fault_injection.Passed]) -> list[Death]:
    """Return the deaths that items have brought about."""
    found = [record for record in begun if record.item in cell.struck]
    if cell.act.startswith("orphan"):  # only once
        first = {record.item: record for record in reversed(found)}
        found = list(first.values())
    return [Death(record.time, record.pid, template=False) for record in found]


def _hooks(cell: Cell, folder: str) -> int:
    """Return how often a start hook failed."""
    try:
        calls = os.path.getsize(os.path.join(folder, "hooks"))
    except FileNotFoundError:
        return 0
    return calls if cell.hopeless else min(calls, FIRST)


class _Judge:
    """Finds what is not as it should be, by column."""

    def __init__(
        self,
        cell: Cell,
        reading: Reading,
        by_sort: dict[str, list[fault_injection.Passed]],
        begun: Sequence[fault_injection.Passed],
        diary: Diary,
    ) -> None:
        self.cell, self.reading, self.by_sort = cell, reading, by_sort
        self.begun, self.diary = begun, diary

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with the items that came."""
        yield from self._counted()
        order = self.reading.order
        if self.cell.options.get("ordered", True):
            for before, after in pairwise(order):
                if after < before:
                    yield "reordered", f"item {after} after item {before}"
        for told in self.reading.wrong:
            yield "wrong", told

    def _counted(self) -> Iterator[tuple[str, str]]:
        reading, n = self.reading, self.cell.n
        seen = Counter(reading.order)
        if not self.cell.hopeless:
            missing = [i for i in range(n) if i not in seen]
            # a value that is damaged is not lost as well
            for i in missing[len(reading.wrong) :]:
                yield "lost", f"item {i}"
        for i, count in seen.items():
            if count > 1:
                yield "repeated", f"item {i}, {count} times"
            if not 0 <= i < n:
                yield "wrong", f"there is no item {i}"
        for i in self.diary.repeated:
            yield "repeated", f"item {i}, by the engine"

    def failures(self) -> Iterator[tuple[str, str]]:
        """Yield which items failed that should not have, and the other way round."""
        lost = {each.pid for each in self.diary.lost}
        raised = {record.item for record in self.by_sort["raised"]}
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
        if reasons["timeout"] > len(self.by_sort["stop"]):
            yield "blamed", f"{reasons['timeout']} items took too long"
        if reasons["not sent"] > len(self.by_sort["not sent"]):
            yield "wrong", f"{reasons['not sent']} items could not be sent"
        for i in sorted(raised - {i for i, reason in self.reading.failed if reason == "raised"}):
            yield "wrong", f"item {i} raised an error, which did not come"
        if self.cell.act.startswith("deadly"):
            died = {i for i, reason in self.reading.failed if reason == "died"}
            for i in sorted(died.symmetric_difference(self.cell.struck)):
                yield "wrong", f"item {i} kills its worker, or not: {died}"

    def starts(self) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with the errors which say that there are no workers."""
        unable, reasons = self.reading.unable, len(self.by_sort["unable"])
        if self.cell.hopeless:
            told = {"raises": "no such camera", "exits": "code 7", "dies": "SIGKILL"}
            words = told[self.cell.act.partition(":")[2]]
            if len(unable) != 1 or words not in unable[0]:
                yield "wrong", f"the hook failed, and the reader was told {unable}"
        elif len(unable) > reasons or (reasons and not unable):
            yield "wrong", f"workers could not start {reasons} times, the reader was told {unable}"


def _unexplained(
    diary: Diary, deaths: Sequence[Death], happened: Sequence[Any], hooks: int
) -> Iterator[str]:
    """Yield the deaths that nobody has brought about."""
    known = {pid for _, pid, _ in deaths} | {record.pid for _, _, record in happened}
    ended = sum(template for _, _, template in deaths)
    # one that tells that it is unable to start workers ends
    ended += sum(sort_of(point, kind) == "unable" for point, kind, _ in happened)
    if len(diary.templates) > ended:
        yield f"{len(diary.templates)} templates died, of which {ended} were killed"
    for lost in diary.lost:
        if lost.pid not in known and not ended and not hooks:
            yield f"worker {lost.number} (pid {lost.pid}) died"


def _time(verdict: Verdict, diary: Diary, deaths: Sequence[Death]) -> None:
    templates = sorted(diary.templates)
    by_pid: dict[int | None, Lost] = {lost.pid: lost for lost in reversed(diary.lost)}
    for death in sorted(deaths):
        if death.template:
            noticed = next((when for when in templates if when >= death.time), None)
            number = None
        else:
            lost = by_pid.get(death.pid)
            noticed, number = (None, None) if lost is None else (lost.time, lost.number)
        if noticed is None:
            verdict.unnoticed += 1
            continue
        verdict.detections.append(noticed - death.time)
        ready = [t for t, n in diary.ready if t >= noticed and number in {None, n}]
        if ready:
            verdict.recoveries.append(ready[0] - death.time)
