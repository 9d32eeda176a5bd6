"""Jobs that an engine has taken lately, so that one that comes again is known.

A thread that is interrupted after an engine took its jobs submits them again.
"""

from collections.abc import Iterable, Sequence

from seqtools.engines.base import Job

_MOST = 4096
"""Jobs that are known. Arbitrary: as many as a window has. The next call submits them again."""


class RecentJobs:
    """See the module."""

    def __init__(self) -> None:
        self._keys: dict[tuple[int, int], None] = {}

    def new(self, jobs: Iterable[Job]) -> Sequence[Job]:
        """Return those of `jobs` that are not known, which they are from now on."""
        keys = self._keys
        found = [job for job in jobs if (job.id, job.offset) not in keys]
        for job in found:
            keys[job.id, job.offset] = None
        while len(keys) > _MOST:
            del keys[next(iter(keys))]
        return found
