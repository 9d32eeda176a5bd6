"""Whether all that is said of one recording agrees."""

import html
import re
import tempfile
from collections.abc import Iterator

from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.page import write_page
from seqtools.instrument.profiling.report import report, snapshot, verdict_lines
from seqtools.instrument.profiling.tracks import BACKGROUND, Recording
from seqtools.instrument.quantities import duration

HALF = 0.5
_NS = 1e-9


def contradictions(recording: Recording) -> list[str]:
    """Return what of verdict, table, advice, page and figures is at odds, in words."""
    looks = (_of_texts, _of_tables, _of_names, _of_times)
    return [found for look in looks for found in look(recording)]


def _of_texts(recording: Recording) -> Iterator[str]:
    case = Case(recording)
    said, figures = report(case), snapshot(case)
    if not said.startswith("\n".join(verdict_lines(case))):
        yield "the report does not begin with the verdict"
    if not said.startswith(figures["verdict"]):
        yield "the verdict is not that of the snapshot"
    advised = re.findall(r"^  \d\. (.*)$", said, re.MULTILINE)
    if [advice["text"] for advice in figures["advice"]] != advised:
        yield "the advice of the report is not that of the snapshot"
    for waited, used in re.findall(r"waited (\d+) % of the time, and used the other (\d+) %", said):
        if int(waited) + int(used) != 100:
            yield f"the loop waited {waited} % and used {used} %"


def _of_tables(recording: Recording) -> Iterator[str]:
    case = Case(recording)
    with tempfile.NamedTemporaryFile("r") as file:
        write_page(case, file.name)
        page = file.read()
    lines = report(case).splitlines()
    for row in snapshot(case)["stages"]:
        if row["calls"]:
            own = duration(row["own_seconds"])
            start = rf" *{re.escape(row['stage'])} +{row['calls']:,} +{re.escape(own)} "
            if not any(re.match(start, line) for line in lines):
                yield f"the table has no {own} of {row['stage']}"
    shown = _words(html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)))
    for line in lines:
        for part in re.split(" {2,}", re.sub(r"^ +\d\. ", "", line).strip()):
            if part not in _TITLES and _words(part) not in shown:
                yield f"the page has no {part} of {line}"


_TITLES = ("stages, with the times of all workers", "because", "ceiling", "try, in this order")


def _words(text: str) -> str:
    """Return `text` without what differs between a line and a cell: spaces, and a colon."""
    return " ".join(text.replace(": ", " ").split())


def _of_names(recording: Recording) -> Iterator[str]:
    case = Case(recording)
    said = report(case)
    rows = {row["stage"]: row for row in snapshot(case)["stages"] if row["calls"]}
    rows.pop("prefetch", None)
    named = re.findall(r"most of their time is in (.*?): ", said)
    for name in named:
        longest = max(rows, key=lambda other: rows[other]["own_seconds"])
        if rows[name]["own_seconds"] < rows[longest]["own_seconds"]:
            yield f"{name} is named, and {longest} takes longer"
        if f"in {name}: it computes (" in said and rows[name]["computing"] < HALF:
            yield f"{name} waits, and is said to compute"
    for name in re.findall(r"keep what (.*?) returns", said):
        if named and name not in named:
            yield f"{name} is to be kept, and {named} takes longer"


def _of_times(recording: Recording) -> Iterator[str]:
    case = Case(recording)
    spent = 0.0
    for track in recording.tracks:
        if track.role != BACKGROUND:
            reads = list(track.reads(recording.top))
            inside = {id(each) for _, inner in reads for each in inner}
            spent += sum(r.end - r.begin for r, _ in reads if id(r) not in inside) * _NS
    own = sum(figure.own for figure in case.figures)
    if abs(own - spent) > 1e-6 * max(1.0, spent):
        yield f"own times are {own}, and workers spent {spent}"
    for figure in case.figures:
        if figure.computing is not None and not 0 <= figure.computing <= 1:
            yield f"{figure.stage.name} computes in {figure.computing} of its time"
    m = case.measures
    if min(m.waited, m.used) < 0 or m.waited + m.used > m.seconds * 1.001 + 1e-6:
        yield f"the loop waited {m.waited} and used {m.used} of {m.seconds} s"
