"""The times of each stage in a recording."""

from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.tracks import BACKGROUND, Record, Recording

_NS = 1e-9


class Figures:
    """What a stage did. Times are in seconds, summed over all threads and processes."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.calls = 0
        """Items that were read from it."""
        self.hits = 0
        """Items that it had: read without reading another stage."""
        self.misses = 0
        """Items for which it read another stage."""
        self.ahead = 0
        """Items that a background thread read because of a hint."""
        self.indices: set[int] = set()
        """The first index of each read."""
        self.total = 0.0
        """Time in it and in the stages that it reads."""
        self.everywhere = 0.0
        """Time in it, without the stages that it reads."""
        self.own_ahead = 0.0
        """The part of `everywhere` that background threads spent."""
        self.hit_time = 0.0
        """Time of workers and the consumer in reads that read no other stage."""
        self.moved = 0.0
        """Waiting time that counts for this stage instead of a cache; negative for a cache."""
        self._each: list[float] = []
        self._sampled = self._computing = 0.0

    def add(self, record: Record, inner: list[Record], *, background: bool = False) -> None:
        """Add a read, with the reads directly inside it."""
        took = (record.end - record.begin) * _NS
        own = max(0.0, took - sum(r.end - r.begin for r in inner) * _NS)
        self.calls += record.many
        self.indices.add(record.which)
        self.everywhere += own
        self.total += took
        if record.many:
            self._each.append(own / record.many)
        if inner:
            self.misses += record.many
        else:
            self.hits += record.many
            self.hit_time += 0.0 if background else own
        if background:
            self.ahead += record.many
            self.own_ahead += own
        if record.processor >= 0 and all(r.processor >= 0 for r in inner):
            self._sampled += own
            self._computing += max(0, record.processor - sum(r.processor for r in inner)) * _NS

    @property
    def own(self) -> float:
        """Time of workers and the consumer in it or waiting for it, without the stages it reads.

        A worker that waits at a cache for a background thread waits for the stages that this
        thread reads. So the own times of all stages add up to the time of the workers.
        """
        return max(0.0, self.everywhere - self.own_ahead + self.moved)

    @property
    def mean(self) -> float:
        """Time in it for one item, without the stages that it reads."""
        return self.everywhere / self.calls if self.calls else 0.0

    @property
    def p95(self) -> float:
        """The own time that 95 % of its reads do not exceed; for bulk reads, the time per item."""
        each = sorted(self._each)
        return each[min(len(each) - 1, int(0.95 * len(each)))] if each else 0.0

    @property
    def computing(self) -> float | None:
        """Share of its own time in which it computed; `None` if it was never sampled."""
        return min(1.0, self._computing / self._sampled) if self._sampled > 0 else None

    @property
    def is_cache(self) -> bool:
        """Whether `hits` and `misses` have a meaning."""
        return self.stage.kind == "add_cache"


def figures(recording: Recording) -> list[Figures]:
    """Return the figures of each stage, in the order of `recording.stages`."""
    found = [Figures(stage) for stage in recording.stages]
    for track in recording.tracks:
        for record, inner in track.reads(recording.top):
            found[record.what].add(record, inner, background=track.role == BACKGROUND)
    for figure in found:
        if figure.is_cache:
            _move_waiting(figure, recording, found)
    return found


def _move_waiting(cache: Figures, recording: Recording, found: list[Figures]) -> None:
    """Count the time that workers waited at a cache for the stages that background threads read.

    Each stage gets a part in proportion to the time that background threads spent in it. The
    exact moments would give nearly the same.
    """
    upstream = [found[number] for number in recording.upstream(cache.stage)]
    read = [figure for figure in upstream if not figure.is_cache]
    total = sum(figure.own_ahead for figure in read)
    waited = min(cache.hit_time, total)
    for figure in read if waited else ():
        part = waited * figure.own_ahead / total
        figure.moved += part
        cache.moved -= part
