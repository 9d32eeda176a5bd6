"""How long iterables take that no number of workers goes through any faster.

Threads advance an iterator in turns, and each worker process goes through all of an iterable.
"""

from collections import defaultdict
from typing import NamedTuple

from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.tracks import Recording


class Iterating(NamedTuple):
    """What the iterable takes that takes longest."""

    stage: Stage | None
    seconds: float
    """From the first item on, in the process that goes through it for longest."""


def iterating(recording: Recording) -> Iterating:
    """Return the stage over an iterable in which some process is for longest, if there is one."""
    first = recording.first
    spans: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    numbers = {stage.number for stage in recording.stages if stage.kind == "uniter"}
    for track in recording.tracks if numbers else ():
        for record in track.spans(*numbers):
            if record.end > first:
                spans[record.what, track.pid].append((max(first, record.begin), record.end))
    times = {where: _covered(each) for where, each in spans.items()}
    if not times:
        return Iterating(None, 0.0)
    longest = max(times, key=lambda where: times[where])
    return Iterating(recording.stages[longest[0]], times[longest])


def _covered(spans: list[tuple[int, int]]) -> float:
    """Return the seconds that are covered by spans, which may overlap."""
    total = until = 0
    for begin, end in sorted(spans):
        total += max(0, end - max(begin, until))
        until = max(until, end)
    return total * 1e-9
