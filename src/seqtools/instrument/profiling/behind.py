"""How much of the loading is hidden behind computing, and how much workers still wait for."""

import heapq
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from seqtools.instrument.profiling.measures import Figures
from seqtools.instrument.profiling.probes import Stage
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
    homes: list[list[float]]
    """For each process in which it is read, how long each item took, in the order of time."""
    again: bool
    """Whether processes read items that they had read before."""
    wanted: list[list[int]]
    """For each process, the indices of items that its workers wanted."""


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
    first = recording.first
    pool = recording.pool(prefetch)
    caches = [s for s in keepers if s.kind == "add_cache"]
    inners = [s for s in keepers if s.kind == "prefetch" and s.number in between]
    asked = [number, *(s.number for s in inners), *(s.number for s in caches)][-1]
    missed = whole = needed = 0.0
    wanted: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    different: defaultdict[int, set[int]] = defaultdict(set)
    homes: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
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
                if record.what == asked:
                    indices = range(record.which, record.which + record.many)
                    wanted[track.pid] += [(record.begin, i) for i in indices]
            if record.what == number:
                whole += own
                needed += own if track in pool else 0.0
                if record.end > first:
                    homes[track.pid] += [(record.begin, own / max(1, record.many))] * record.many
                    different[track.pid] |= {*range(record.which, record.which + record.many)}
    reads = sum(map(len, homes.values()))
    return Loading(
        waiter,
        bool(caches),
        caches[-1] if caches and not caches[-1].options["given"] else None,
        inners[-1] if inners else None,
        missed,
        1 - needed / whole if whole else 0.0,
        [[took for _, took in sorted(each)] for each in homes.values()],
        reads > _TWICE * sum(map(len, different.values())),
        [[i for _, i in sorted(wanted[pid])] for pid in homes],
    )


def misses(wanted: Sequence[int], size: int) -> int:
    """Return how many items are read of those that are wanted, where some are kept.

    Args:
        wanted: Their indices, in order.
        size: Number of items that are kept, those that were used last.
    """
    kept: dict[int, None] = {}
    count = 0
    for i in wanted:
        if i not in kept:
            count += 1
        kept.pop(i, None)
        kept[i] = None
        if len(kept) > size:
            del kept[next(iter(kept))]
    return count


def missed(loads: Sequence[float], use: float, room: int, readers: int) -> float:
    """Return for how long one who uses each item for `use` seconds waits for it to be read.

    Args:
        loads: How long it takes to read each of them.
        use: For how long each is used.
        room: Most items that are in use, or read ahead. With 1, nothing is read ahead.
        readers: Number of threads that read.
    """
    free = [0.0] * readers
    ends: list[float] = []
    now = waited = 0.0
    for k, took in enumerate(loads):
        begin = max(heapq.heappop(free), ends[k - room] if k >= room else 0.0)
        heapq.heappush(free, begin + took)
        waited += max(0.0, begin + took - now)
        now = max(now, begin + took) + use
        ends.append(now)
    return waited
