"""How the consumer was served, from the records of workers and consumer."""

from bisect import bisect_left
from statistics import median
from typing import NamedTuple

from seqtools.instrument.profiling.figures import Figures
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
_SOME = 0.3
"""Share of the consumer's computing from which other threads of its process are worth counting, and
least cores for that: what is measured is not exact. Arbitrary, as are all numbers below."""
_LONG_ENOUGH, _EACH = 0.01, 50e-6
"""Seconds in all, and for a sample, from which they can be counted: to look at the clocks takes
some microseconds."""
_LATE = 0.002
"""Seconds that a thread waits for the lock while another one computes in Python, at least: it
changes hands every 5 ms. A thread that only waits for a core waits less, usually."""
_FEWEST = 12
"""Fewest samples of the lock while a thread computes."""


class Item(NamedTuple):
    """The time of a worker for an item of a prefetch, in seconds."""

    index: int  # type: ignore[assignment]  # a tuple has a method of this name
    waiting: float
    computing: float

    @property
    def took(self) -> float:
        """The whole time."""
        return self.waiting + self.computing


class Fill(NamedTuple):
    """The state of the window at one moment."""

    seconds: float
    """Time since the start of the recording."""
    ready: int
    capacity: int


class Measures(NamedTuple):
    """How the consumer was served; times are in seconds."""

    items: int
    """Number of items that the consumer received."""
    start: float
    """Time until it received the first."""
    seconds: float
    """Time from then until it had used the last."""
    waited: float
    """The part of `seconds` in which the consumer waited for items."""
    used: float
    """The other part: its own time, and that of stages after the prefetch."""
    use_computing: float
    """Share of `used` in which it computed."""
    helpers: float
    """Mean number of cores that other threads of its process used meanwhile, as those of libraries
    do, without workers and threads that receive values."""
    item_helpers: float
    """The same while it evaluates items, if it does so itself."""
    served: list[Item]
    """Times of workers in the order of items; without a prefetch, times of the consumer."""
    send: float
    """Time for a worker to send an item."""
    load: float
    """Time to receive an item in the consumer's process."""
    received_aside: float
    """Total time in which other threads of the consumer's process received items."""
    size: float
    """Bytes of an item that went through a pipe or shared memory."""
    busy: float
    """Mean number of workers that were evaluating or sending something."""
    processor: float
    """Mean number of processor cores that consumer and workers used, without helpers."""
    late: float
    """How long a thread that could go on waited for the lock of the interpreter, the median."""
    locked: float | None
    """Share of computing under the lock while items are evaluated, if the consumer does that
    itself; `None` if there are too few samples to say."""
    samples: int
    """The fewest samples of any of: items evaluated, items used."""
    fill: list[Fill]
    """Samples of the window."""
    longest: tuple[int, float] | None
    """The item for which the consumer waited longest, and how long."""


def measures(recording: Recording) -> Measures:
    """Return how the consumer was served."""
    consumers = recording.tracks_of(CONSUMER)
    waits = sorted((r for t in consumers for r in t.spans(WAIT)), key=lambda r: r.end)
    prefetches = recording.prefetches()
    pool = recording.pool(prefetches[0]) if prefetches else []
    first = waits[0].end if waits else recording.began
    uses = [r for t in consumers for r in t.spans(USE)]
    last = max((r.end for r in [*waits, *uses]), default=first)
    seconds = (last - first) * _NS
    later = waits[1:]
    count = sum(r.many for r in later)
    after = _after_prefetch(consumers, recording, prefetches)
    served = _served(pool, prefetches[0].sources) if prefetches else _items(waits)
    homes = {track.process for track in pool}
    background = [t for t in recording.tracks_of(BACKGROUND) if t.process in homes]
    served = _with_background(served, background)
    used = _time(uses) + after.own
    computing = _computing_share(uses)
    if used:
        spent = after.own * (1.0 if after.computing is None else after.computing)
        computing = (computing * _time(uses) + spent) / used
    sends = [r for t in pool for r in t.spans(SEND)]
    loads = [r for t in recording.tracks for r in t.spans(LOAD)]
    home = {track.process for track in consumers}
    aside = [t for t in recording.tracks if t.process in home and t not in consumers]
    send, load = _mean(sends), _mean(loads)
    busy_time = sum(
        min(r.end, last) - max(r.begin, first)
        for t in pool
        for r in [*t.outermost(), *t.spans(SEND)]
        if r.end > first and r.begin < last
    )
    in_workers = sum(item.computing for item in served) / max(1, len(served))
    processor = (in_workers + send + load) * count + used * computing
    lates = [r for t in recording.tracks for r in t.spans(LATE) if first < r.end < last]
    late = [(r.end - r.begin) * _NS for r in lates]
    beside = _time([r for t in aside for r in t.spans(LOAD)])  # of the consumer's thread
    if any(track in pool for track in aside):
        beside += in_workers * count
    beside /= max(seconds, _NS)
    read = [r for t in pool for r in t.outermost()] if prefetches else waits
    longest = max(later, key=lambda r: r.end - r.begin, default=None)
    return Measures(
        items=sum(r.many for r in waits),
        start=(first - (waits[0].begin if waits else first)) * _NS,
        seconds=seconds,
        waited=max(0.0, _time(later) - after.own),
        used=used,
        use_computing=computing,
        helpers=_helpers(consumers, USE, beside) * _time(uses) / used if used else 0.0,
        item_helpers=0.0 if prefetches else _helpers(consumers, WAIT, 0.0),
        served=served,
        send=send,
        load=load,
        received_aside=_time([r for t in aside for r in t.spans(LOAD)]),
        size=sum(r.which for r in sends) / max(1, sum(r.many for r in sends)),
        busy=busy_time * _NS / seconds if seconds else 0.0,
        processor=processor / seconds if seconds else 0.0,
        late=median(late) if late else 0.0,
        locked=None if prefetches else _locked(lates, waits),
        samples=min(sum(r.processor >= 0 for r in each) for each in (read, uses)),
        fill=[
            Fill((r.begin - recording.began) * _NS, r.many, r.which)
            for t in consumers
            for r in t.spans(FILL)
        ],
        longest=(longest.which, (longest.end - longest.begin) * _NS) if longest else None,
    )


def _served(pool: list[Track], numbers: tuple[int, ...]) -> list[Item]:
    """Return the times of workers for the stages with these numbers, in the order of items."""
    reads = [r for t in pool for r in t.outermost() if r.what in numbers]
    return _items(sorted(reads, key=lambda r: r.which))


def _items(reads: list[Record]) -> list[Item]:
    """Return the times of each item that was read."""
    share = _computing_share(reads)
    items = []
    for r in reads:
        took = (r.end - r.begin) * _NS / r.many
        computing = min(took, r.processor * _NS / r.many if r.processor >= 0 else took * share)
        items += [Item(r.which + k, took - computing, computing) for k in range(r.many)]
    return items


def _with_background(items: list[Item], tracks: list[Track]) -> list[Item]:
    """Return `items` with the computing time of background threads added.

    It replaces an equal part of the time that workers waited for these threads.
    """
    computed = 0.0
    for track in tracks:
        reads = list(track.outermost())
        computed += _time(reads) * _computing_share(reads)
    waited = sum(item.waiting for item in items)
    if not computed or not items:
        return items
    left = 1 - min(1.0, computed / waited) if waited else 1.0
    more = computed / len(items)
    return [Item(i.index, i.waiting * left, i.computing + more) for i in items]


def _after_prefetch(
    consumers: list[Track], recording: Recording, prefetches: list[Stage]
) -> Figures:
    """Return the figures of all stages between the prefetch and the consumer together."""
    found = Figures(recording.stages[recording.top])
    if prefetches and prefetches[0].number != recording.top:
        ahead = {stage.number for stage in prefetches}
        for track in consumers:
            for record, inner in track.reads(recording.top):
                if record.what not in ahead:
                    found.add(record, inner)
    return found


def _helpers(consumers: list[Track], what: int, beside: float) -> float:
    """Return the cores that other threads of the process used while the consumer did `what`.

    Args:
        consumers: The threads of the consumer.
        what: A kind of records.
        beside: The cores that known threads used, which do not count.
    """
    everywhere = [r for t in consumers for r in t.processes if r.what == what]
    took = sum(r.end - r.begin for r in everywhere)
    own = [r for t in consumers for r in t.spans(what) if r.processor >= 0]
    if not own or took * _NS < max(_LONG_ENOUGH, _EACH * len(everywhere)):
        return 0.0
    alone = _computing_share(own)
    cores = sum(r.processor for r in everywhere) / took - alone - beside
    return cores if cores > _SOME * max(_SOME, alone) else 0.0


def _locked(lates: list[Record], waits: list[Record]) -> float | None:
    """Return the share of computing in `waits` for which another thread waited for the lock."""
    ends = [r.end for r in waits]
    held = []
    for late in lates:
        k = bisect_left(ends, late.begin)
        if k < len(waits) and waits[k].begin <= late.begin:
            held.append((late.end - late.begin) * _NS > _LATE)
    computing = _computing_share(waits)
    if len(held) * computing < _FEWEST:
        return None
    return min(1.0, sum(held) / len(held) / computing)


def _time(records: list[Record]) -> float:
    """Return the seconds that these records took."""
    return sum(r.end - r.begin for r in records) * _NS


def _mean(records: list[Record]) -> float:
    """Return the seconds per item of these records."""
    return _time(records) / max(1, sum(r.many for r in records))


def _computing_share(records: list[Record]) -> float:
    """Return the share of computing in the time of the records for which it was sampled."""
    sampled = [r for r in records if r.processor >= 0]
    took = sum(r.end - r.begin for r in sampled)
    return min(1.0, sum(r.processor for r in sampled) / took) if took else 1.0
