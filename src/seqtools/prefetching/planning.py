"""Planning runs: the part of the window that says what a reader has evaluated next.

A pure state machine, of which [`window`](window.py) is the rest.
"""

from collections.abc import Sequence
from itertools import count

from seqtools._core.indices import ENDLESS
from seqtools.engines.base import Job
from seqtools.prefetching.budget import Budget
from seqtools.prefetching.cutting import Cutter
from seqtools.prefetching.overlap import alone, overlapping
from seqtools.prefetching.reader import Reader
from seqtools.prefetching.run import Run, first_of

_ids = count()
"""Numbers of jobs. No two jobs of this process have the same, so that what an engine delivers
late is not taken for something else."""


class Planner:
    """Readers, and what is planned for each of them."""

    def __init__(self, capacity: Budget) -> None:
        self.capacity = capacity
        self.cutter = Cutter()
        self.nworkers = 1
        self.readers: list[Reader] = []
        self.jobs: dict[int, Job] = {}
        """Jobs of which somebody expects something."""
        self.end = ENDLESS
        """Where a source without known length was found to end."""
        self._visitor: Reader | None = None  # the last one that came
        self._given: tuple[Run, int] | None = None  # what it is given, and its length then
        self._pausing = False  # it takes its time between visits
        self._review = False  # shares are to be given out again
        self._planned = False  # there may be runs without a job that was sent
        self._bound = False  # all was asked for that there is room for

    def _extend(self, reader: Reader, *, again: bool) -> list[Job]:
        """Plan runs up to what a reader may have ahead; return the jobs to be sent."""
        cursor = reader.cursor
        held = (reader.evaluated() if again else reader.held) - self._going(reader)
        room = max(reader.share - held, int(reader.urgent))
        if not (room or again or cursor.old):
            self._bound = self._bound or (reader.share > 0 and self._more(reader))
            return []
        most, jobs = self._most(reader), list[Job]()
        if again:
            room = self._again(reader, jobs, self.cutter.length(most), room)
            if room < 0:  # some of it has to wait
                self._planned = True
                return jobs
        self._append(reader, jobs, most, room)
        if cursor.old:
            cursor.old = []
            self._review = True
        return jobs

    def _most(self, reader: Reader) -> int:
        """Return how many items a run may have at most."""
        workers = 2 * self.nworkers  # each has one run to do, and one to go on with
        if not reader.in_order:  # what waits for a slow item in its worker should be little
            return reader.share // (4 * workers)
        # enough for all workers, unless all of it together takes next to no time
        most = max(self.capacity.items // workers, self.cutter.negligible)
        return min(most, reader.share // 2)

    def _append(self, reader: Reader, jobs: list[Job], most: int, room: int) -> None:
        """Add runs to the end of the ring of a reader, and jobs for what is not coming."""
        cursor = reader.cursor
        size, position = len(cursor.indices), cursor.ring[-1].stop
        while position < size:
            length = self.cutter.length(most, len(jobs) // (2 * self.nworkers))
            n = 1 if reader.urgent and not jobs else min(length, size - position)
            if room < n:
                self._bound = self._bound or reader.share > 0
                if room < 1 or not (self._pausing and reader is self._visitor):
                    return
                n = room
            indices = self._up_to_end(reader, cursor.indices[position : position + n])
            if not len(indices):
                return
            run = self._piece(reader, position, indices, jobs)
            cursor.ring.append(run)
            position = run.stop
            room -= len(run.indices)

    def _up_to_end(self, reader: Reader, indices: Sequence[int]) -> Sequence[int]:
        """Return the first of `indices`, up to the end of the source as far as that is known."""
        if self.end == ENDLESS or not reader.endless:  # others are told by each item
            return indices
        k = first_of([i >= self.end for i in indices])
        return indices if k < 0 else indices[:k]

    def _going(self, reader: Reader) -> int:
        """Return 1 if an item is just given to `reader`, which has not read it yet, else 0."""
        if self._given is None or reader is not self._visitor:
            return 0
        run, n = self._given
        return int(run.values is not None and len(run.values) == n)

    @staticmethod
    def _more(reader: Reader) -> bool:
        return reader.cursor.ring[-1].stop < len(reader.cursor.indices)

    def _again(self, reader: Reader, jobs: list[Job], length: int, room: int) -> int:
        """Add jobs for runs without one that was sent.

        Returns the room that is left, or -1 if that was not all.
        """
        ring = reader.cursor.ring
        for run in [run for run in ring if run.planned]:
            n = len(run.indices)
            if run.job is not None:  # it was to be sent when that was interrupted
                if run.job not in jobs:
                    jobs.append(run.job)
                room = max(0, room - n)
                continue
            k, parts = 0, list[Run]()
            while k < n and room > 0:
                indices = run.indices[k : k + min(length, room)]
                parts.append(self._piece(reader, run.position + k, indices, jobs))
                k += len(parts[-1].indices)
                room -= len(parts[-1].indices)
            at = ring.index(run)
            rest = [Run(run.position + k, run.indices[k:])] if k < n else []
            ring[at : at + 1] = [*parts, *rest]
            if rest:
                return -1
        return room

    def _piece(self, reader: Reader, position: int, indices: Sequence[int], jobs: list[Job]) -> Run:
        """Return a run for the first of `indices`; add a job for it unless that is coming."""
        cursor = reader.cursor
        if cursor.old or len(self.readers) > 1:
            rings = [cursor.old, *[r.cursor.ring for r in self.readers if r is not reader]]
            found = overlapping(rings, position, indices)
            if found is not None:
                return found
            indices = indices[: alone(rings, indices)]
        indices, key = self.cutter.cut(indices)
        run = Run(position, indices)
        run.job = job = Job(next(_ids), indices, key)
        job.runs = [run]
        self.jobs[job.id] = job
        jobs.append(job)
        return run
