"""The state of the prefetches of a pipeline as a short text."""

from collections.abc import Iterator
from time import perf_counter
from typing import Any

from seqtools._core.walk import upstream
from seqtools.prefetching.status import Status

_LONGEST = 40
"""Most characters after a bar, so that it has room in a terminal."""


class PrefetchStatus:
    """The waiting time of an iteration, and the state of the prefetches upstream."""

    __slots__ = ("_began", "_noted", "_prefetches", "waited")

    def __init__(self, source: Any) -> None:
        self._prefetches = list(nearest_prefetches(source))
        self.waited = 0.0
        """Seconds of waiting, up to the last `note`."""
        self._began = self._noted = 0.0

    def begin(self) -> None:
        """Begin to measure now."""
        self._began = self._noted = perf_counter()

    def note(self, waited: float, now: float) -> None:
        """Set the seconds of waiting up to `now`."""
        self.waited, self._noted = waited, now

    def text(self) -> str:
        """Return window, workers and waiting, in at most 40 characters."""
        elapsed = self._noted - self._began
        share = f"{min(1.0, self.waited / elapsed) if elapsed > 0 else 0.0:.0%} waited"
        loads = [stage._status() for stage in self._prefetches]
        load = Status(*map(sum, zip(*loads, strict=True)))
        if not load.nworkers:  # there is no prefetch, or it has not started
            return share
        workers = f"{load.busy}/{load.nworkers} busy, {share}"
        for fill in (f"{load.ready}/{load.capacity}", f"{load.ready / load.capacity:.0%}"):
            text = f"window {fill}, {workers}"
            if len(text) <= _LONGEST:
                return text
        return workers


def nearest_prefetches(source: Any) -> Iterator[Any]:
    """Yield the prefetches nearest to the consumer: `source` itself or upstream of it."""
    for stage in upstream(source, past=lambda stage: not stage._traits.reads_ahead):
        if stage._traits.reads_ahead:
            yield stage
