"""The time of iterables, which more workers do not reduce.

Only one thread at a time advances an iterator, and each worker process iterates by itself.
"""

from collections import defaultdict
from typing import NamedTuple

from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.tracks import Process, Recording


class Iterating(NamedTuple):
    """The slowest iterable."""

    stage: Stage | None
    seconds: float
    """Time spent in it after the first item, in the process that spent most."""


def iterating(recording: Recording) -> Iterating:
    """Return the stage over an iterable in which one process spent most time, if there is one."""
    first = recording.first
    spans: defaultdict[tuple[int, Process], list[tuple[int, int]]] = defaultdict(list)
    numbers = {stage.number for stage in recording.stages if stage.kind == "uniter"}
    for track in recording.tracks if numbers else ():
        for record in track.spans(*numbers):
            if record.end > first:
                spans[record.what, track.process].append((max(first, record.begin), record.end))
    times = {where: _covered(each) for where, each in spans.items()}
    if not times:
        return Iterating(None, 0.0)
    longest = max(times, key=lambda where: times[where])
    return Iterating(recording.stages[longest[0]], times[longest])


def _covered(spans: list[tuple[int, int]]) -> float:
    """Return the seconds that spans cover; they may overlap."""
    total = until = 0
    for begin, end in sorted(spans):
        total += max(0, end - max(begin, until))
        until = max(until, end)
    return total * 1e-9
