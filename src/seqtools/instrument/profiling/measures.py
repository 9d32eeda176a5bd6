"""Figures of a recording: of the way from workers to the consumer."""

from statistics import median
from typing import NamedTuple

from seqtools.instrument.profiling.figures import OwnTimes
from seqtools.instrument.profiling.recorded_pipeline import Stage
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


class Item(NamedTuple):
    """What a worker did for an item of a prefetch, in seconds."""

    index: int  # type: ignore[assignment]  # a tuple has a method of this name
    waiting: float
    computing: float

    @property
    def took(self) -> float:
        """Time for the item."""
        return self.waiting + self.computing


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
    """Of these, time in which it did not: its own, and that of stages after the prefetch."""
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


def measures(recording: Recording) -> Measures:
    """Return how the consumer was served."""
    consumers = recording.lanes(CONSUMER)
    waits = sorted((r for t in consumers for r in t.spans(WAIT)), key=lambda r: r.end)
    prefetches = recording.prefetches()
    pool = recording.pool(prefetches[0]) if prefetches else []
    first = waits[0].end if waits else recording.began
    uses = [r for t in consumers for r in t.spans(USE)]
    last = max((r.end for r in [*waits, *uses]), default=first)
    seconds = (last - first) * _NS
    later = waits[1:]
    after = _after_prefetch(consumers, recording, prefetches)
    served = _served(pool, prefetches[0].sources) if prefetches else _items(waits)
    homes = {track.pid for track in pool}
    served = _with_background(served, [t for t in recording.lanes(BACKGROUND) if t.pid in homes])
    used = _time(uses) + after.own
    computing = _share(uses)
    if used:
        spent = after.own * (1.0 if after.computing is None else after.computing)
        computing = (computing * _time(uses) + spent) / used
    sends = [r for t in pool for r in t.spans(SEND)]
    loads = [r for t in recording.tracks for r in t.spans(LOAD)]
    home = {track.pid for track in consumers}
    beside = [t for t in recording.tracks if t.pid in home and t not in consumers]
    send, load = _mean(sends), _mean(loads)
    busy_time = sum(
        min(r.end, last) - max(r.begin, first)
        for t in pool
        for r in [*t.outermost(), *t.spans(SEND)]
        if r.end > first and r.begin < last
    )
    in_workers = sum(item.computing for item in served) / max(1, len(served))
    processor = (in_workers + send + load) * len(later) + used * computing
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
        waited=max(0.0, _time(later) - after.own),
        used=used,
        use_computing=computing,
        served=served,
        send=send,
        load=load,
        beside=_time([r for t in beside for r in t.spans(LOAD)]),
        size=sum(r.which for r in sends) / max(1, sum(r.many for r in sends)),
        busy=busy_time * _NS / seconds if seconds else 0.0,
        processor=processor / seconds if seconds else 0.0,
        late=median(late) if late else 0.0,
        fill=[
            ((r.begin - recording.began) * _NS, r.many, r.which, max(0, r.processor))
            for t in consumers
            for r in t.spans(FILL)
        ],
        longest=(waits_at.which, (waits_at.end - waits_at.begin) * _NS) if waits_at else None,
    )


def _served(pool: list[Track], numbers: tuple[int, ...]) -> list[Item]:
    """Return what workers did for the stages with these numbers, in the order of the items."""
    reads = [r for t in pool for r in t.outermost() if r.what in numbers]
    return _items(sorted(reads, key=lambda r: r.which))


def _items(reads: list[Record]) -> list[Item]:
    """Return what was done for each item that was read."""
    share = _share(reads)
    items = []
    for r in reads:
        took = (r.end - r.begin) * _NS / r.many
        computing = min(took, r.processor * _NS / r.many if r.processor >= 0 else took * share)
        items += [Item(r.which + k, took - computing, computing) for k in range(r.many)]
    return items


def _with_background(items: list[Item], readers: list[Track]) -> list[Item]:
    """Return `items` with what background threads computed for them, and who waited for that."""
    computed = 0.0
    for track in readers:
        reads = list(track.outermost())
        computed += _time(reads) * _share(reads)
    waited = sum(item.waiting for item in items)
    if not computed or not items:
        return items
    left = 1 - min(1.0, computed / waited) if waited else 1.0
    more = computed / len(items)
    return [Item(i.index, i.waiting * left, i.computing + more) for i in items]


def _after_prefetch(
    consumers: list[Track], recording: Recording, prefetches: list[Stage]
) -> OwnTimes:
    """Return what stages between the prefetch and the consumer took."""
    found = OwnTimes()
    if prefetches and prefetches[0].number != recording.top:
        ahead = {stage.number for stage in prefetches}
        for track in consumers:
            for record, inner in track.reads(recording.top):
                if record.what not in ahead:
                    found.add(record, inner)
    return found


def _time(records: list[Record]) -> float:
    """Return the seconds that these records took."""
    return sum(r.end - r.begin for r in records) * _NS


def _mean(records: list[Record]) -> float:
    """Return the seconds for each of the items of these records."""
    return _time(records) / max(1, sum(r.many for r in records))


def _share(records: list[Record]) -> float:
    """Return the share of computing in the time of those records of which it is known."""
    sampled = [r for r in records if r.processor >= 0]
    took = sum(r.end - r.begin for r in sampled)
    return min(1.0, sum(r.processor for r in sampled) / took) if took else 1.0
