"""For what workers waited at a cache, while a background thread read it.

A cache that waits for its background thread waits for the stage that this thread is at, which may
be any of those that the cache reads, directly or through others.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator

from seqtools.instrument.profiling.tracks import BACKGROUND, Record, Recording, Track

Span = tuple[int, int, int]
"""Begin, end, and the number of the stage."""


def awaited(recording: Recording) -> dict[tuple[int, int], int]:
    """Return nanoseconds by the cache at which workers waited, and the stage for which."""
    caches = {stage.number for stage in recording.stages if stage.kind == "add_cache"}
    ahead = _Ahead(recording, caches)
    found: defaultdict[tuple[int, int], int] = defaultdict(int)
    for track in recording.tracks if ahead.spans else ():
        if track.role != BACKGROUND:
            for record, inner in track.reads(recording.top):
                if record.what in caches:
                    for begin, end, cache in gaps(record, inner):
                        for number, took in ahead.during(track.pid, begin, end, cache):
                            found[cache, number] += took
    return dict(found)


def gaps(record: Record, inner: list[Record]) -> Iterator[Span]:
    """Yield when a read was in its own stage, and not in one of the stages that this reads."""
    begin = record.begin
    for each in inner:
        if each.begin > begin:
            yield begin, each.begin, record.what
        begin = max(begin, each.end)
    if record.end > begin:
        yield begin, record.end, record.what


class _Ahead:
    """What background threads did, by process and the cache for which they did it."""

    def __init__(self, recording: Recording, caches: set[int]) -> None:
        self.spans: defaultdict[tuple[int, int], list[list[Span]]] = defaultdict(list)
        self._caches = caches
        for track in recording.lanes(BACKGROUND):
            for source, spans in _by_source(track).items():
                for cache in caches:
                    if source in recording.stages[cache].sources:
                        self.spans[track.pid, cache].append(spans)

    def during(self, pid: int, begin: int, end: int, cache: int) -> Iterator[tuple[int, int]]:
        """Yield what was read for a cache meanwhile: the stage, and for how long."""
        covered = begin
        for spans in self.spans.get((pid, cache), ()):
            k = max(0, bisect_right(spans, (begin,)) - 1)
            while k < len(spans) and spans[k][0] < end:
                since, until = max(covered, spans[k][0]), min(end, spans[k][1])
                if until > since:
                    yield from self._at(pid, since, until, spans[k][2])
                    covered = until
                k += 1

    def _at(self, pid: int, begin: int, end: int, number: int) -> Iterator[tuple[int, int]]:
        """Yield what a background thread was at, or waited for in its turn at another cache."""
        left = end - begin
        if number in self._caches:
            for stage, took in self.during(pid, begin, end, number):
                left -= took
                yield stage, took
        if left:
            yield number, left


def _by_source(track: Track) -> dict[int, list[Span]]:
    """Return what a background thread was at, in order, by the stage that it read on the whole."""
    spans = sorted(span for record, inner in track.nested() for span in gaps(record, inner))
    outer = list(track.outermost())
    begins = [record.begin for record in outer]
    found: defaultdict[int, list[Span]] = defaultdict(list)
    for span in spans:
        found[outer[bisect_right(begins, span[0]) - 1].what].append(span)
    return found
