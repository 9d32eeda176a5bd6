"""The results of a profile as text and as plain data."""

import os
from collections.abc import Iterator
from typing import Any

from seqtools._core.source_code import cell_of, place
from seqtools.instrument.profiling.advice import Advice
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.figures import Figures
from seqtools.instrument.profiling.machine import circumstances
from seqtools.instrument.profiling.starting import start
from seqtools.instrument.profiling.verdict import Verdict, judge
from seqtools.instrument.quantities import duration, share, volume

_RESOLVED = 0.02
"""Seconds of the loop's own time below which it is not known better. Arbitrary."""
_AS_LONG, _LITTLE = 1.005, 1.095
"""Speed-ups up to which a change gains nothing, and little. Arbitrary."""
_ALIKE = 0.85
"""Ratio of two speed-ups from which they are not told apart. Arbitrary."""
HEADS = ("calls", "own time", "mean", "95 %", "computes")
"""What the figures of a stage are."""


def report(case: Case) -> str:
    """Return the verdict, the stages, remarks, and when and where it was measured."""
    about = (f"{title}: {text}" for title, text in circumstances(case.recording))
    return "\n".join([*verdict_lines(case), "", *stage_lines(case), "", *remarks(case), "", *about])


def verdict_lines(case: Case) -> Iterator[str]:
    """Yield the bottleneck, the reasons, and what to try."""
    found = judge(case)
    yield headline(case, found)
    yield ""
    yield "because"
    yield from (f"  {reason}" for reason in found.because)
    if found.ceiling is not None:
        yield ""
        yield "ceiling"
        yield from (f"  {line}" for line in ceiling(case, found.ceiling))
    if found.advice:
        yield ""
        yield "try, in this order"
        for k, advice in enumerate(found.advice, 1):
            yield f"  {k}. {advice.text}"
            yield f"     {effect(case, advice)}"


def headline(case: Case, found: Verdict) -> str:
    """Return the verdict in one line."""
    seconds = case.measures.seconds
    if not seconds:
        return found.kind
    return f"{found.kind}: your loop waited {share(min(1.0, case.waited / seconds))} of the time"


def ceiling(case: Case, seconds: float) -> Iterator[str]:
    """Yield how long the items would take if loading were free, and how certain that is."""
    free = duration(seconds) if seconds >= _RESOLVED else f"less than {duration(_RESOLVED)}"
    if case.recording.replayed:
        yield f"{case.count:,} items take {free}, however fast they are loaded"
        return
    now = duration(case.measures.seconds)
    yield f"if loading were free, {case.count:,} items would take {free}, not {now}"
    if case.shares_cores and seconds >= _RESOLVED:
        yield (
            "less certain, because your loop and loading compute at the same time: "
            "instrument.profile(…, replay=True) measures your loop alone"
        )


def effect(case: Case, advice: Advice) -> str:
    """Return the estimated effect of an advice."""
    note = f"; {advice.note}" if advice.note else ""
    if case.too_short:
        return f"not estimated, because {case.too_short}: profile a longer run{note}"
    now, then = case.measures.start + case.measures.seconds, advice.whole(case)
    times, later = now / max(then, 1e-9), advice.gain(case)
    if advice.pace is not None and not _ALIKE < later / times < 1 / _ALIKE:
        note = f"; {later:.1f} times as fast in a long run{note}"
    instead = (
        f"{'at best' if advice.bound else 'about'} {duration(then)} instead of {duration(now)}"
    )
    if times < 1 / _AS_LONG and advice.start is not None:
        return f"{instead}, because workers start in {duration(advice.start)}{note}"
    if times < _AS_LONG:
        return f"about as long: {duration(now)}{note}"
    if times < _LITTLE:
        return f"{instead}: {share(1 - then / now)} less, which is little{note}"
    return f"{instead}: {times:.1f} times as fast{note}"


def remarks(case: Case) -> Iterator[str]:
    """Yield figures about the start, transfer and window."""
    m = case.measures
    yield from start(case)
    for name, took in case.recording.scans():
        yield (
            f"scan: {name} read all items of its source in {duration(took)}, before the first one "
            "was returned: only the times of the stages include that; table= keeps what it found"
        )
    if m.size:
        yield (
            f"transfer: {volume(m.size)} an item; a worker takes {duration(m.send)} to send it, "
            f"the consumer {duration(m.load)} to receive it"
        )
    if m.fill:
        ready = sum(fill.ready for fill in m.fill) / len(m.fill)
        yield f"window: {ready:.1f} of {m.fill[-1].capacity} items were ready on average"
    yield from case.recording.clocks()
    if case.recording.full:
        yield "the recording was full before the end: all figures are from before that"


def stage_lines(case: Case) -> Iterator[str]:
    """Yield a table of the stages."""
    yield "stages, with the times of all workers"
    rows = [("  " * depth + f.stage.name, *cells(f)) for f, depth in in_order(case)]
    table = [("", *HEADS, ""), *rows]
    name, *widths = (max(map(len, column)) for column in zip(*table, strict=True))
    for row in table:
        numbers = [f"{cell:>{width}}" for cell, width in zip(row[1:-1], widths, strict=False)]
        yield "  ".join([f"  {row[0]:<{name}}", *numbers, row[-1]]).rstrip()


def cells(figure: Figures) -> tuple[str, ...]:
    """Return the figures of a stage, and a remark."""
    notes = ", ".join(_notes(figure))
    if not figure.calls:
        return "0", "", "", "", "", notes
    times = [duration(seconds) for seconds in (figure.own, figure.mean, figure.p95)]
    computing = "" if figure.computing is None else share(figure.computing)
    return f"{figure.calls:,}", *times, computing, notes


def _notes(figure: Figures) -> Iterator[str]:
    if figure.stage.kind == "prefetch":
        yield "the time is what was waited for it"
    if figure.is_cache and figure.calls:
        yield f"{figure.hits:,} kept, {figure.misses:,} read"
    if figure.ahead:
        yield f"{figure.ahead:,} read ahead for hints, in {duration(figure.own_ahead)}"
    file, line = figure.stage.site
    if cell_of(file):
        yield place(file, line)
    elif file and not file.startswith("<"):
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


def _plain(case: Case, advice: Advice) -> dict[str, Any]:
    values = advice._asdict()
    return {**values, "seconds": None, "start": None, "pace": None} if case.too_short else values


def snapshot(case: Case) -> dict[str, Any]:
    """Return the figures as plain numbers, strings, lists and dicts."""
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
        "cores_of_others": case.recording.others,
        "bytes_per_item": m.size,
        "window": {"ready": m.fill[-1].ready, "capacity": m.fill[-1].capacity} if m.fill else None,
        "advice": [_plain(case, advice) for advice in found.advice],
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
                "hits": figure.hits if figure.is_cache else 0,
                "misses": figure.misses if figure.is_cache else 0,
                "ahead": figure.ahead,
            }
            for figure, depth in in_order(case)
        ],
    }
