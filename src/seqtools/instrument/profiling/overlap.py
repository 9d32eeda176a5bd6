"""How much of the loading happens while workers compute, and how long workers still wait for it."""

from collections import defaultdict
from typing import NamedTuple

from seqtools.instrument.profiling.figures import Figures
from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.tracks import Process, Recording

_NS = 1e-9
_REPEATED = 1.1
"""Reads per item from which items are called repeated. Arbitrary."""
_AHEAD = ("add_cache", "prefetch")
"""Kinds of stages that read ahead."""


class Loading(NamedTuple):
    """A stage that waits, as for files. Times are in seconds, after the first item."""

    figure: Figures
    """The stage."""
    kept: bool
    """Whether a cache keeps what it returns."""
    cache: Stage | None
    """That cache, if its size can be changed."""
    inner: Stage | None
    """The prefetch that already reads the stage ahead, inside the outermost one."""
    missed: float
    """Time in which workers waited for the stage and did nothing else."""
    hidden: float
    """Share of its time that threads other than the workers spent."""
    reads: int
    """How many items were read from it."""
    different: dict[Process, int]
    """How many different items each process read."""

    @property
    def again(self) -> bool:
        """Whether processes read items that they had read before."""
        return self.reads > _REPEATED * sum(self.different.values())


def loading(
    recording: Recording, prefetch: Stage, figures: list[Figures], waiter: Figures
) -> Loading:
    """Return how the workers of `prefetch` wait for `waiter`."""
    number = waiter.stage.number
    keepers = [
        s
        for s in recording.stages
        if s.kind in _AHEAD and s is not prefetch and number in recording.upstream(s)
    ]
    between = {s.number for s in keepers} & set(recording.upstream(prefetch))
    waiting = {n: 1 - (figures[n].computing or 0.0) for n in {number, *between}}
    pool, first = recording.pool(prefetch), recording.first
    caches = [s for s in keepers if s.kind == "add_cache"]
    inners = [s for s in keepers if s.kind == "prefetch" and s.number in between]
    missed = whole = needed = 0.0
    reads = 0
    different: defaultdict[Process, set[int]] = defaultdict(set)
    for track in recording.tracks:
        for record, inner in track.nested():
            if record.what not in waiting:
                continue
            took = record.end - record.begin
            own = max(0, took - sum(r.end - r.begin for r in inner)) * _NS
            if track in pool:
                # waiting for the first item belongs to the start
                later = max(0, record.end - max(record.begin, first)) / max(1, took)
                missed += own * waiting[record.what] * later
            if record.what == number:
                whole += own
                needed += own if track in pool else 0.0
                if record.end > first:
                    reads += record.many
                    different[track.process].update(range(record.which, record.which + record.many))
    nearest = min(caches, key=lambda s: recording.upstream(s).index(number), default=None)
    return Loading(
        waiter,
        bool(caches),
        nearest if nearest and not nearest.options["given"] else None,
        min(inners, key=lambda s: recording.upstream(s).index(number), default=None),
        missed,
        1 - needed / whole if whole else 0.0,
        reads,
        {process: len(indices) for process, indices in different.items()},
    )
