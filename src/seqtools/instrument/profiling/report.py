"""What a profile says, as a text and as plain data."""

import os
from collections.abc import Iterator
from typing import Any

from seqtools.instrument.profiling.advice import Advice
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.figures import Figures
from seqtools.instrument.profiling.starting import start
from seqtools.instrument.profiling.tracks import Recording
from seqtools.instrument.profiling.verdict import Verdict, judge
from seqtools.instrument.quantities import duration, share, volume

_AS_LONG, _LITTLE = 1.005, 1.095
"""So many times as fast is no gain, and a small one. Arbitrary."""
HEADS = ("calls", "own time", "mean", "95 %", "computes", "")
"""What the cells of a stage are."""


def headline(case: Case, found: Verdict) -> str:
    """Return the verdict, and the share of time for which the loop waited."""
    m = case.measures
    if not m.seconds:
        return found.kind
    return f"{found.kind}: your loop waited {share(min(1.0, case.waited / m.seconds))} of the time"


def report(recording: Recording) -> str:
    """Return what a recording says, the verdict first."""
    case = Case(recording)
    table = ["stages, with the times of all workers", *_table(case)]
    return "\n".join([*_verdict(case), "", *table, "", *remarks(case)])


def verdict(recording: Recording) -> str:
    """Return the beginning of the report: what is wrong, why, and what to try."""
    return "\n".join(_verdict(Case(recording)))


def _verdict(case: Case) -> Iterator[str]:
    found = judge(case)
    yield headline(case, found)
    yield ""
    yield "because"
    yield from (f"  {reason}" for reason in found.because)
    if found.ceiling is not None:
        yield ""
        yield "ceiling"
        yield f"  {ceiling(case, found.ceiling)}"
    if found.advice:
        yield ""
        yield "try, in this order"
        for k, advice in enumerate(found.advice, 1):
            yield f"  {k}. {advice.text}"
            yield f"     {effect(case, advice)}"


def ceiling(case: Case, seconds: float) -> str:
    """Return how fast it would be if loading were free, which is so many seconds."""
    free, now = duration(seconds), duration(case.measures.seconds)
    return f"if loading were free, {case.count:,} items would take {free}, not {now}"


def effect(case: Case, advice: Advice) -> str:
    """Return what an advice is estimated to do."""
    now, then = (case.measures.start + each for each in (case.measures.seconds, advice.seconds))
    note = f"; {advice.note}" if advice.note else ""
    times = now / max(then, 1e-9)
    if times < _AS_LONG:
        return f"about as long: {duration(now)}{note}"
    instead = f"about {duration(then)} instead of {duration(now)}"
    if times < _LITTLE:
        return f"{instead}: {share(1 - then / now)} less, which is little{note}"
    return f"{instead}: {times:.1f} times as fast{note}"


def remarks(case: Case) -> Iterator[str]:
    """Yield what else there is to know."""
    m = case.measures
    yield from start(case)
    if m.size:
        yield (
            f"transfer: {volume(m.size)} an item; a worker takes {duration(m.send)} to hand it "
            f"over, the consumer {duration(m.load)} to take it"
        )
    if m.fill:
        ready = sum(at[1] for at in m.fill) / len(m.fill)
        yield f"window: {ready:.1f} of {m.fill[-1][2]} items were ready on the average"
    if case.recording.full:
        yield "the recording was full before the end: figures are of what was before"


def _table(case: Case) -> Iterator[str]:
    rows = [("  " * depth + f.stage.name, *cells(f)) for f, depth in in_order(case)]
    table = [("", *HEADS), *rows]
    name, *widths = (max(map(len, column)) for column in zip(*table, strict=True))
    for row in table:
        numbers = [f"{cell:>{width}}" for cell, width in zip(row[1:-1], widths, strict=False)]
        yield "  ".join([f"  {row[0]:<{name}}", *numbers, row[-1]]).rstrip()


def cells(figure: Figures) -> tuple[str, ...]:
    """Return what is said of a stage, under each of the heads."""
    said = ", ".join(_notes(figure))
    if not figure.calls:
        return "0", "", "", "", "", said
    times = [duration(seconds) for seconds in (figure.own, figure.mean, figure.p95)]
    computing = "" if figure.computing is None else share(figure.computing)
    return f"{figure.calls:,}", *times, computing, said


def _notes(figure: Figures) -> Iterator[str]:
    """Yield what there is to say of a stage besides its times."""
    if figure.stage.kind == "prefetch":
        yield "the time is what was waited for it"
    if figure.hits or figure.misses:
        yield f"{figure.hits:,} kept, {figure.misses:,} read"
    if figure.ahead:
        yield f"{figure.ahead:,} read ahead for hints, in {duration(figure.own_ahead)}"
    file, line = figure.stage.site
    if file and not file.startswith("<"):
        yield f"{os.path.basename(file)}:{line}"


def in_order(case: Case) -> Iterator[tuple[Figures, int]]:
    """Yield the stages from the last to the sources, with their depths, each once."""
    left, seen = [(case.recording.top, 0)], set()
    while left:
        number, depth = left.pop()
        if number not in seen:
            seen.add(number)
            yield case.figures[number], depth
            left += [(source, depth + 1) for source in reversed(case.figures[number].stage.sources)]


def snapshot(recording: Recording) -> dict[str, Any]:
    """Return the figures as plain numbers, texts, lists and dicts."""
    case = Case(recording)
    m, found = case.measures, judge(case)
    return {
        "verdict": found.kind,
        "items": m.items,
        "seconds": m.seconds,
        "start_seconds": m.start,
        "waited_seconds": m.waited,
        "used_seconds": m.used,
        "items_per_second": case.count / m.seconds if m.seconds else None,
        "workers": case.workers,
        "busy_workers": m.busy,
        "cores_used": m.processor,
        "bytes_per_item": m.size,
        "window": {"ready": m.fill[-1][1], "capacity": m.fill[-1][2]} if m.fill else None,
        "advice": [
            {"text": a.text, "arguments": a.arguments, "seconds": a.seconds, "note": a.note}
            for a in found.advice
        ],
        "stages": [
            {
                "stage": figure.stage.name,
                "depth": depth,
                "file": figure.stage.site[0],
                "line": figure.stage.site[1],
                "calls": figure.calls,
                "own_seconds": figure.own,
                "ahead_seconds": figure.own_ahead,
                "total_seconds": figure.total,
                "mean_seconds": figure.mean,
                "p95_seconds": figure.p95,
                "computing": figure.computing,
                "hits": figure.hits,
                "misses": figure.misses,
                "ahead": figure.ahead,
            }
            for figure, depth in in_order(case)
        ],
    }
