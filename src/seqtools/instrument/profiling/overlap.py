"""How much of the loading happens while workers compute, and how much they still wait for."""

from collections import defaultdict
from typing import NamedTuple

from seqtools.instrument.profiling.figures import Figures
from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.tracks import Recording

_NS = 1e-9
_TWICE = 1.1
"""So many times as often as there are items, reads are counted as repeated. Arbitrary."""
_AHEAD = ("add_cache", "prefetch")
"""Kinds of stages that read ahead what others are told to need."""


class Loading(NamedTuple):
    """What is loaded, and who waits for that. Times are in seconds, from the first item on."""

    figure: Figures
    """The stage that waits, as for files."""
    kept: bool
    """Whether any stage keeps what it returns."""
    cache: Stage | None
    """That stage, if its size can be changed."""
    inner: Stage | None
    """The prefetch that already reads it ahead for the one that is nearest to the consumer."""
    missed: float
    """Time for which workers waited for it, and did nothing else."""
    hidden: float
    """Share of the time in it that others spent than workers who need it."""
    reads: int
    """How many items of it were read."""
    different: dict[int, int]
    """How many of these were different ones, for each process in which they were read."""

    @property
    def again(self) -> bool:
        """Whether processes read items that they had read before."""
        return self.reads > _TWICE * sum(self.different.values())


def loading(
    recording: Recording, prefetch: Stage, figures: list[Figures], waiter: Figures
) -> Loading:
    """Return who waits for `waiter`, of the workers of `prefetch`."""
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
    different: defaultdict[int, set[int]] = defaultdict(set)
    for track in recording.tracks:
        for record, inner in track.nested():
            if record.what not in waiting:
                continue
            took = record.end - record.begin
            own = max(0, took - sum(r.end - r.begin for r in inner)) * _NS
            if track in pool:
                # what the first item waited for belongs to the start
                later = max(0, record.end - max(record.begin, first)) / max(1, took)
                missed += own * waiting[record.what] * later
            if record.what == number:
                whole += own
                needed += own if track in pool else 0.0
                if record.end > first:
                    reads += record.many
                    different[track.pid].update(range(record.which, record.which + record.many))
    return Loading(
        waiter,
        bool(caches),
        caches[-1] if caches and not caches[-1].options["given"] else None,
        inners[-1] if inners else None,
        missed,
        1 - needed / whole if whole else 0.0,
        reads,
        {pid: len(indices) for pid, indices in different.items()},
    )
