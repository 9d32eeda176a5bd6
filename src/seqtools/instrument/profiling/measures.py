"""Figures of a recording: of each stage, and of the way from workers to the consumer."""

from collections import defaultdict
from statistics import median
from typing import NamedTuple

from seqtools.instrument.profiling.awaited import awaited
from seqtools.instrument.profiling.probes import Stage
from seqtools.instrument.profiling.tracks import (
    BACKGROUND,
    CONSUMER,
    FILL,
    LATE,
    LOAD,
    SEND,
    USE,
    WAIT,
    Record,
    Recording,
    Track,
)

_NS = 1e-9


class Figures(NamedTuple):
    """What a stage did. Times are in seconds, and summed over all threads and processes."""

    stage: Stage
    calls: int
    """Items that were read of it."""
    own: float
    """Time of workers, and of the consumer, in it or waiting for it, without the stages it reads.

    A worker that waits at a cache for what a background thread reads waits for the stage at which
    that thread is. So all stages together have what workers spent.
    """
    total: float
    """Time in it and in the stages that it reads, in all threads."""
    mean: float
    """Time in it for an item, without the stages that it reads."""
    p95: float
    """Own time that 95 % of its reads do not exceed; reads of many items count for each."""
    computing: float | None
    """Share of its own time in which it computed; it waited in the rest. `None` if too short."""
    hits: int
    """For a cache: items that it had."""
    misses: int
    """For a cache: items that it had to read."""
    ahead: int
    """Items that were read by a background thread, because a hint said that they come next."""
    different: int
    """How many different items were read, where each was read alone."""
    awaited: float
    """Time of `own` in which workers waited at a cache, and a background thread was at this."""
    own_ahead: float
    """Own time of background threads, which is no part of `own`."""

    @property
    def everywhere(self) -> float:
        """Time in it in all threads, without the stages that it reads."""
        return self.mean * self.calls


class Item(NamedTuple):
    """What a worker did for an item of a prefetch, in seconds."""

    index: int  # type: ignore[assignment]  # a tuple has a method of this name
    waiting: float
    computing: float


class Measures(NamedTuple):
    """How the consumer was served; times are in seconds."""

    items: int
    """Number of items that the consumer was given."""
    start: float
    """Until it had the first of them."""
    seconds: float
    """From then on to the last one, which includes what the consumer did with these."""
    waited: float
    """Of these, time in which the consumer waited for items."""
    used: float
    """Of these, time in which it did not: its own, and that of stages behind the prefetch."""
    use_computing: float
    """Share of `used` in which it computed."""
    served: list[Item]
    """What workers did, in the order of the items; all of it inline if there is no prefetch."""
    send: float
    """Time for an item in which a worker packs and writes its value."""
    load: float
    """Time for an item in which the consumer unpacks its value."""
    beside: float
    """Time in which another thread of the consumer's process did that, while it had items."""
    size: float
    """Bytes for an item that went through a pipe or shared memory."""
    busy: float
    """Mean number of workers that were evaluating something, or sending it."""
    processor: float
    """Mean number of processor cores that consumer and workers computed on."""
    late: float
    """How long a thread that could go on waited for the lock of the interpreter, the median."""
    fill: list[tuple[float, int, int, int]]
    """When the window was looked at, items that were ready, its capacity, and busy workers."""
    longest: tuple[int, float] | None
    """The item for which the consumer waited longest, and how long."""


def figures(recording: Recording) -> list[Figures]:
    """Return the figures of each stage, in the order of `recording.stages`."""
    sums: dict[int, _Sum] = defaultdict(_Sum)
    for track in recording.tracks:
        for record, inner in track.reads(recording.top):
            number = recording.top if record.what == WAIT else record.what
            sums[number].add(record, inner, background=track.role == BACKGROUND)
    for (cache, number), took in awaited(recording).items():
        sums[cache].left += took * _NS
        sums[number].awaited += took * _NS
    return [sums[stage.number].figures(stage) for stage in recording.stages]


class _Sum:
    def __init__(self) -> None:
        self.calls = self.hits = self.misses = self.ahead = 0
        self.own = self.total = self.own_ahead = self.awaited = 0.0
        self.left = 0.0  # to others: what workers waited for there
        self.each: list[float] = []
        self.indices: set[int] = set()
        self.sampled = self.computing = 0.0

    def add(self, record: Record, inner: list[Record], *, background: bool) -> None:
        took = record.end - record.begin
        own = max(0, took - sum(r.end - r.begin for r in inner))
        self.calls += record.many
        self.indices.add(record.which)
        self.own += own * _NS
        self.total += took * _NS
        if record.many:
            self.each.append(own * _NS / record.many)
        if inner:
            self.misses += record.many
        else:
            self.hits += record.many
        if background:
            self.ahead += record.many
            self.own_ahead += own * _NS
        if record.processor >= 0 and all(r.processor >= 0 for r in inner):
            self.sampled += own * _NS
            self.computing += max(0, record.processor - sum(r.processor for r in inner)) * _NS

    def figures(self, stage: Stage) -> Figures:
        self.each.sort()
        cache = stage.kind == "add_cache"
        return Figures(
            stage,
            self.calls,
            max(0.0, self.own - self.own_ahead - self.left) + self.awaited,
            self.total,
            self.own / self.calls if self.calls else 0.0,
            self.each[min(len(self.each) - 1, int(0.95 * len(self.each)))] if self.each else 0.0,
            min(1.0, self.computing / self.sampled) if self.sampled > 0 else None,
            self.hits if cache else 0,
            self.misses if cache else 0,
            self.ahead,
            len(self.indices),
            self.awaited,
            self.own_ahead,
        )


def measures(recording: Recording) -> Measures:
    """Return how the consumer was served."""
    consumers = recording.lanes(CONSUMER)
    waits = [r for t in consumers for r in t.spans(WAIT)]
    waits.sort(key=lambda r: r.end)
    prefetches = recording.prefetches()
    pool = recording.pool(prefetches[0]) if prefetches else []
    first = waits[0].end if waits else recording.began
    uses = [r for t in consumers for r in t.spans(USE)]
    last = max((r.end for r in [*waits, *uses]), default=first)
    seconds = (last - first) * _NS
    later = waits[1:]
    behind, behind_computing = _behind(consumers, recording, prefetches)
    served = _served(pool, prefetches[0].sources) if prefetches else _inline(waits)
    homes = {track.pid for track in pool}
    served = _with_background(served, [t for t in recording.lanes(BACKGROUND) if t.pid in homes])
    waited = sum(r.end - r.begin for r in later) * _NS
    if not prefetches:  # what it waited for, it did itself
        behind = behind_computing = 0.0
    used = sum(r.end - r.begin for r in uses) * _NS + behind
    sampled = [r for r in uses if r.processor >= 0]
    computing = _share(sampled)
    if used:
        computing = (computing * (used - behind) + behind_computing) / used
    sends = [r for t in pool for r in t.spans(SEND)]
    loads = [r for t in recording.tracks for r in t.spans(LOAD)]
    sent = sum(r.many for r in sends) or 1
    loaded = sum(r.many for r in loads) or 1
    busy_time = sum(
        min(r.end, last) - max(r.begin, first)
        for t in pool
        for r in [*t.outermost(), *t.spans(SEND)]
        if r.end > first and r.begin < last
    )
    in_workers = sum(item.computing for item in served) * len(later) / max(1, len(served))
    transfer = (
        sum(r.end - r.begin for r in sends) / sent + sum(r.end - r.begin for r in loads) / loaded
    ) * _NS
    late = [
        (r.end - r.begin) * _NS
        for t in recording.tracks
        for r in t.spans(LATE)
        if first < r.end < last
    ]
    waits_at = max(later, key=lambda r: r.end - r.begin, default=None)
    return Measures(
        items=len(waits),
        start=(first - (waits[0].begin if waits else first)) * _NS,
        seconds=seconds,
        waited=max(0.0, waited - behind),
        used=used,
        use_computing=computing,
        served=served,
        send=sum(r.end - r.begin for r in sends) / sent * _NS,
        load=sum(r.end - r.begin for r in loads) / loaded * _NS,
        beside=_beside(consumers, recording),
        size=sum(r.which for r in sends) / sent,
        busy=busy_time * _NS / seconds if seconds else 0.0,
        processor=(in_workers + transfer * len(later) + used * computing) / seconds
        if seconds
        else 0.0,
        late=median(late) if late else 0.0,
        fill=[
            ((r.begin - recording.began) * _NS, r.many, r.which, max(0, r.processor))
            for t in consumers
            for r in t.spans(FILL)
        ],
        longest=(waits_at.which, (waits_at.end - waits_at.begin) * _NS) if waits_at else None,
    )


def _served(pool: list[Track], numbers: tuple[int, ...]) -> list[Item]:
    reads = [r for t in pool for r in t.outermost() if r.what in numbers]
    share = _share([r for r in reads if r.processor >= 0])
    items = []
    for r in sorted(reads, key=lambda r: r.which):
        took = (r.end - r.begin) * _NS / r.many
        computing = r.processor * _NS / r.many if r.processor >= 0 else took * share
        computing = min(took, computing)
        items += [Item(r.which + k, took - computing, computing) for k in range(r.many)]
    return items


def _with_background(items: list[Item], readers: list[Track]) -> list[Item]:
    """Return `items` with what background threads computed for them, and who waited for that."""
    computed = 0.0
    for track in readers:
        reads = list(track.outermost())
        took = sum(r.end - r.begin for r in reads) * _NS
        computed += took * _share([r for r in reads if r.processor >= 0])
    waited = sum(item.waiting for item in items)
    if not computed or not items:
        return items
    left = 1 - min(1.0, computed / waited) if waited else 1.0
    more = computed / len(items)
    return [Item(i.index, i.waiting * left, i.computing + more) for i in items]


def _inline(waits: list[Record]) -> list[Item]:
    share = _share([r for r in waits if r.processor >= 0])
    items = []
    for r in waits:
        took = (r.end - r.begin) * _NS
        computing = min(took, r.processor * _NS if r.processor >= 0 else took * share)
        items.append(Item(r.which, took - computing, computing))
    return items


def _share(records: list[Record]) -> float:
    """Return the share of computing in the time of these records."""
    took = sum(r.end - r.begin for r in records)
    return min(1.0, sum(r.processor for r in records) / took) if took else 1.0


def _beside(consumers: list[Track], recording: Recording) -> float:
    home = {track.pid for track in consumers}
    others = [t for t in recording.tracks if t.pid in home and t not in consumers]
    return sum(r.end - r.begin for t in others for r in t.spans(LOAD)) * _NS


def _behind(
    consumers: list[Track], recording: Recording, prefetches: list[Stage]
) -> tuple[float, float]:
    """Return the time of stages between the prefetch and the consumer, and that of computing."""
    if not prefetches or prefetches[0].number == recording.top:
        return 0.0, 0.0
    ahead = {stage.number for stage in prefetches}
    time = computing = sampled = 0.0
    for track in consumers:
        for record, inner in track.reads(recording.top):
            if record.what not in ahead:
                own = max(0, record.end - record.begin - sum(r.end - r.begin for r in inner))
                time += own * _NS
                if record.processor >= 0 and all(r.processor >= 0 for r in inner):
                    sampled += own * _NS
                    spent = record.processor - sum(r.processor for r in inner)
                    computing += min(own, max(0, spent)) * _NS
    return time, time * (computing / sampled if sampled else 1.0)
