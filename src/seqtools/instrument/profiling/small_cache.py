"""A cache that is too small: what it read again, and the size that would have kept it."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.tracks import BACKGROUND, Process, Record, Recording

_NS = 1e-9
_REPEATED = 1.1
"""Reads per item from which a cache is called too small. Arbitrary."""
_MOST = 100_000
"""Most reads of a process that are searched for a size. Arbitrary: it takes about a second."""


class SmallCache(NamedTuple):
    """A cache that read items again because it had dropped them."""

    stage: Stage
    """The cache."""
    source: Stage
    """What it reads."""
    different: int
    """How many different items were read from the source, summed over processes."""
    processes: int
    """In how many processes, each of which has a cache."""
    reads: int
    """How many were read from it in all."""
    size: int | None
    """The smallest size with few repeated reads, `None` if it is not known."""
    least: int
    """How many items would be read with that size, or at best if it is not known."""
    seconds: float
    """Time of workers and the consumer in it and in what it reads."""

    @property
    def avoidable(self) -> float:
        """The part of `seconds` for reads that a larger cache avoids."""
        return self.seconds * max(0.0, 1 - self.least / self.reads)


def small_cache(recording: Recording) -> SmallCache | None:
    """Return the cache that loses most time by reading items again, `None` if none does."""
    caches = [s for s in recording.stages if s.kind == "add_cache" and not s.options["given"]]
    found = [small for cache in caches if (small := _judged(recording, cache)) is not None]
    return max(found, key=lambda small: small.avoidable, default=None)


def _judged(recording: Recording, cache: Stage) -> SmallCache | None:
    """Return what is known of `cache` if it is too small."""
    if not cache.options["cache_size"] or len(cache.sources) != 1:
        return None
    (number,) = cache.sources
    if sum(number in stage.sources for stage in recording.stages) > 1:
        return None  # others read the source too
    loads: defaultdict[Process, list[Record]] = defaultdict(list)
    uses: defaultdict[Process, list[Record]] = defaultdict(list)
    for track in recording.tracks:
        for record, _ in track.reads(recording.top):
            if record.what == number:
                loads[track.process].append(record)
            elif record.what == cache.number and record.many and track.role != BACKGROUND:
                uses[track.process].append(record)
    reads = sum(r.many for records in loads.values() for r in records)
    different = sum(_different(records) for records in loads.values())
    if reads <= _REPEATED * different:
        return None
    size, least = None, different
    used = uses.values()
    if all(r.many == 1 and r.which >= 0 for records in used for r in records):
        size, again = _sufficient([_distances(records) for records in used], different)
        if size <= cache.options["cache_size"]:
            return None  # it is for another reason, as for items read ahead and not used
        least += again
    seconds = sum(r.end - r.begin for records in used for r in records) * _NS
    source = recording.stages[number]
    return SmallCache(cache, source, different, len(loads), reads, size, least, seconds)


def _different(records: Iterable[Record]) -> int:
    """Return the number of different items of these reads."""
    return len({i for r in records for i in range(r.which, r.which + r.many)})


def _distances(records: Iterable[Record]) -> Counter[int]:
    """Return how often an item is read again, by the size of a cache that would still have it."""
    found: Counter[int] = Counter()
    last: dict[int, int] = {}
    recent: list[int] = []  # the last read of each item, in order
    for k, record in enumerate(sorted(records, key=lambda r: r.begin)[:_MOST]):
        if record.which in last:
            at = bisect_left(recent, last[record.which])
            found[len(recent) - at] += 1
            del recent[at]
        recent.append(k)
        last[record.which] = k
    return found


def _sufficient(distances: Iterable[Counter[int]], different: int) -> tuple[int, int]:
    """Return the smallest size with few repeated reads, and how many these are."""
    needed: Counter[int] = Counter()
    for each in distances:
        needed += each
    size, again = 1, needed.total() - needed[1]
    for larger in sorted(needed):
        if again <= (_REPEATED - 1) * different:
            break
        if larger > size:
            size, again = larger, again - needed[larger]
    return size, again
