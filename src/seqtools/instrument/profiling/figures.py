"""Figures of each stage of a recording."""

from typing import NamedTuple

from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.tracks import BACKGROUND, Record, Recording

_NS = 1e-9


class Figures(NamedTuple):
    """What a stage did. Times are in seconds, and summed over all threads and processes."""

    stage: Stage
    calls: int
    """Items that were read of it."""
    own: float
    """Time of workers, and of the consumer, in it or waiting for it, without the stages it reads.

    A worker that waits at a cache for what a background thread reads waits for the stages that it
    reads. So all stages together have what workers spent.
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
    own_ahead: float
    """Own time of background threads, which is no part of `own`."""

    @property
    def everywhere(self) -> float:
        """Time in it in all threads, without the stages that it reads."""
        return self.mean * self.calls


def figures(recording: Recording) -> list[Figures]:
    """Return the figures of each stage, in the order of `recording.stages`."""
    sums = [OwnTimes() for _ in recording.stages]
    for track in recording.tracks:
        for record, inner in track.reads(recording.top):
            sums[record.what].add(record, inner, background=track.role == BACKGROUND)
    for cache in recording.stages:
        if cache.kind == "add_cache":
            _give_to_background(sums, recording, cache)
    return [sums[stage.number].figures(stage) for stage in recording.stages]


class OwnTimes:
    """What reads took in their own stage, in seconds."""

    def __init__(self) -> None:
        self.calls = self.hits = self.misses = self.ahead = 0
        self.own = self.total = self.own_ahead = self.awaited = 0.0
        self.hit = 0.0  # of workers, in reads that needed no other stage
        self.left = 0.0  # to others: what workers waited for there
        self.each: list[float] = []
        self.indices: set[int] = set()
        self._sampled = self._computing = 0.0

    def add(self, record: Record, inner: list[Record], *, background: bool = False) -> None:
        """Add a read, and what was read right within it."""
        took = (record.end - record.begin) * _NS
        own = max(0.0, took - sum(r.end - r.begin for r in inner) * _NS)
        self.calls += record.many
        self.indices.add(record.which)
        self.own += own
        self.total += took
        if record.many:
            self.each.append(own / record.many)
        if inner:
            self.misses += record.many
        else:
            self.hits += record.many
            self.hit += 0.0 if background else own
        if background:
            self.ahead += record.many
            self.own_ahead += own
        if record.processor >= 0 and all(r.processor >= 0 for r in inner):
            self._sampled += own
            self._computing += max(0, record.processor - sum(r.processor for r in inner)) * _NS

    @property
    def computing(self) -> float | None:
        """Share of the time in which it computed, `None` if it was too short to sample that."""
        return min(1.0, self._computing / self._sampled) if self._sampled > 0 else None

    def figures(self, stage: Stage) -> Figures:
        """Return all this as figures of `stage`."""
        self.each.sort()
        cache = stage.kind == "add_cache"
        return Figures(
            stage,
            self.calls,
            max(0.0, self.own - self.own_ahead - self.left) + self.awaited,
            self.total,
            self.own / self.calls if self.calls else 0.0,
            self.each[min(len(self.each) - 1, int(0.95 * len(self.each)))] if self.each else 0.0,
            self.computing,
            self.hits if cache else 0,
            self.misses if cache else 0,
            self.ahead,
            len(self.indices),
            self.own_ahead,
        )


def _give_to_background(sums: list[OwnTimes], recording: Recording, cache: Stage) -> None:
    """Have what workers waited at a cache be time of what background threads read for it.

    That is shared out by how long they were at each stage: which one it was in each moment would
    say nearly the same.
    """
    read = {
        number: sums[number].own_ahead
        for number in recording.upstream(cache)
        if recording.stages[number].kind != "add_cache"
    }
    total = sum(read.values())
    waited = min(sums[cache.number].hit, total)
    for number, took in read.items() if waited else ():
        part = waited * took / total
        sums[number].awaited += part
        sums[cache.number].left += part
