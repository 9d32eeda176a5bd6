"""Recognizes jobs that are submitted again.

A thread submits its jobs again if it is interrupted after the engine has accepted them.
"""

from collections.abc import Iterable, Sequence

from seqtools.engines.base import Job

_MOST = 4096
"""Jobs that are remembered. Arbitrary: as many as a window has."""


class RecentJobs:
    """See the module."""

    def __init__(self) -> None:
        self._keys: dict[tuple[int, int], None] = {}

    def new(self, jobs: Iterable[Job]) -> Sequence[Job]:
        """Return those of `jobs` that are new, and remember them."""
        keys = self._keys
        found = [job for job in jobs if (job.id, job.offset) not in keys]
        for job in found:
            keys[job.id, job.offset] = None
        while len(keys) > _MOST:
            del keys[next(iter(keys))]
        return found
