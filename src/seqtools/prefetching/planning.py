"""Planning runs: the part of the window that decides which items are evaluated next.

A pure state machine; `Window` in [`window`](window.py) extends it.
"""

from collections.abc import Sequence
from itertools import count

from seqtools._core.indices import ENDLESS
from seqtools.engines.base import Job
from seqtools.prefetching.budget import Budget
from seqtools.prefetching.cutting import Cutter
from seqtools.prefetching.overlap import count_unshared, shared_run
from seqtools.prefetching.reader import Reader
from seqtools.prefetching.run import Run, first_of

_ids = count()
"""Ids of jobs. They are unique in this process, so that a late delivery of an engine is not
mistaken for that of another job."""

_LONG = 0.01
"""Seconds of a grain from which it matters that a worker has a run more than others at the end.
Arbitrary: clusters have twenty times as much, local workers a fifth."""


class Planner:
    """The readers, and the runs that are planned for each of them."""

    def __init__(self, capacity: Budget) -> None:
        self.capacity = capacity
        self.cutter = Cutter()
        self.nworkers = 1
        self.readers: list[Reader] = []
        self.jobs: dict[int, Job] = {}
        """Jobs from which a reader expects items."""
        self.end = ENDLESS
        """The index at which a source of unknown length was found to end."""
        self._visitor: Reader | None = None  # the reader of the last visit
        self._given: tuple[Run, int] | None = None  # the run of that visit, and its length then
        self._pausing = False  # the visitor pauses between visits
        self._review = False  # shares must be computed again
        self._planned = False  # some runs may have no job that was sent
        self._bound = False  # as many items were requested as the capacity allows

    def _plan_reader(self, reader: Reader, *, again: bool) -> list[Job]:
        """Plan runs up to the share of a reader; return the jobs to be sent."""
        cursor = reader.cursor
        held = (reader.evaluated() if again else reader.held) - self._just_given(reader)
        room = max(reader.share - held, int(reader.urgent))
        if not (room or again or cursor.old):
            self._bound = self._bound or (reader.share > 0 and self._has_more(reader))
            return []
        most, jobs = self._longest(reader), list[Job]()
        if again:
            room = self._resubmit(reader, jobs, self.cutter.length(most), room)
            if room < 0:  # some of these runs must wait
                self._planned = True
                return jobs
        self._append(reader, jobs, most, room)
        if cursor.old:
            cursor.old = []
            self._review = True
        return jobs

    def _longest(self, reader: Reader) -> int:
        """Return the largest number of items in a run."""
        workers = 2 * self.nworkers  # each has one run in evaluation, and one waiting
        if not reader.in_order:  # few items should wait behind a slow one in its worker
            return reader.share // (4 * workers)
        # enough runs for all workers, unless all items together take almost no time
        most = max(self.capacity.items // workers, self.cutter.negligible)
        return min(most, reader.share // 2)

    def _append(self, reader: Reader, jobs: list[Job], most: int, room: int) -> None:
        """Append runs to the ring of a reader, and jobs for items that no other job evaluates."""
        cursor = reader.cursor
        size, position = len(cursor.indices), cursor.ring[-1].stop
        while position < size:
            length = self.cutter.length(most, len(self.jobs) // (2 * self.nworkers))
            if self.cutter.grain > _LONG:
                length = self._balanced(length, size - position)
            n = 1 if reader.urgent and not jobs else min(length, size - position)
            if room < n:
                self._bound = self._bound or reader.share > 0
                if room < 1 or not (self._pausing and reader is self._visitor):
                    return
                n = room
            indices = self._up_to_end(reader, cursor.indices[position : position + n])
            if not len(indices):
                return
            run = self._new_run(reader, position, indices, jobs)
            cursor.ring.append(run)
            position = run.stop
            room -= len(run.indices)

    def _balanced(self, length: int, left: int) -> int:
        """Return a length for a run if so many items are `left`.

        The last runs are shorter, so that all workers finish at about the same time.
        """
        share = -(-left // (2 * self.nworkers))
        return max(1, min(length, max(share, self.cutter.worthwhile)))

    def _up_to_end(self, reader: Reader, indices: Sequence[int]) -> Sequence[int]:
        """Return the first of `indices`, up to the end of the source if that is known."""
        if self.end == ENDLESS or not reader.endless:  # other readers get an error for each item
            return indices
        k = first_of([i >= self.end for i in indices])
        return indices if k < 0 else indices[:k]

    def _just_given(self, reader: Reader) -> int:
        """Return 1 if `reader` has just received a run and read none of it, else 0."""
        if self._given is None or reader is not self._visitor:
            return 0
        run, n = self._given
        return int(run.values is not None and len(run.values) == n)

    @staticmethod
    def _has_more(reader: Reader) -> bool:
        return reader.cursor.ring[-1].stop < len(reader.cursor.indices)

    def _resubmit(self, reader: Reader, jobs: list[Job], length: int, room: int) -> int:
        """Append jobs for runs whose job was not sent.

        Returns the remaining room, or -1 if it did not suffice for all of them.
        """
        ring = reader.cursor.ring
        for run in [run for run in ring if run.planned]:
            n = len(run.indices)
            if run.job is not None:  # sending it was interrupted
                if run.job not in jobs:
                    jobs.append(run.job)
                room = max(0, room - n)
                continue
            k, parts = 0, list[Run]()
            while k < n and room > 0:
                indices = run.indices[k : k + min(length, room)]
                parts.append(self._new_run(reader, run.position + k, indices, jobs))
                k += len(parts[-1].indices)
                room -= len(parts[-1].indices)
            at = ring.index(run)
            rest = [Run(run.position + k, run.indices[k:])] if k < n else []
            ring[at : at + 1] = [*parts, *rest]
            if rest:
                return -1
        return room

    def _new_run(
        self, reader: Reader, position: int, indices: Sequence[int], jobs: list[Job]
    ) -> Run:
        """Return a run for the first of `indices`; append a job unless another evaluates them."""
        cursor = reader.cursor
        if cursor.old or len(self.readers) > 1:
            rings = [cursor.old, *[r.cursor.ring for r in self.readers if r is not reader]]
            found = shared_run(rings, position, indices)
            if found is not None:
                return found
            indices = indices[: count_unshared(rings, indices)]
        indices, key = self.cutter.cut(indices)
        run = Run(position, indices)
        run.job = job = Job(next(_ids), indices, key)
        job.runs = [run]
        self.jobs[job.id] = job
        jobs.append(job)
        return run
