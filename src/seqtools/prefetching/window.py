"""The window: which items are evaluated ahead, and for which reader. A pure state machine.

It knows no engine, no thread and no clock. Its methods are the events, and `plan` returns what an
engine should do next. All its state can be derived from the rings of its readers; `mend` does that
after an interrupt.

Guarantees:

- Unread items that are planned, in evaluation or evaluated are at most `capacity`, except one item
  for each reader that waits, and items from before the capacity shrank.
- No index is requested that no known reader is going to read.
- An item that is expected or held for one reader, or that a reader had before a jump, is not
  evaluated again for another reader.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import zip_longest
from operator import attrgetter

from seqtools._core.indices import ENDLESS
from seqtools.engines.base import Job, Part
from seqtools.prefetching.budget import Budget
from seqtools.prefetching.planning import Planner
from seqtools.prefetching.reader import RandomReader, Reader
from seqtools.prefetching.run import Run, marker


class Window(Planner):
    """The readers, and the items that are evaluated ahead of them."""

    def __init__(self, capacity: Budget) -> None:
        super().__init__(capacity)
        self._clock = 0
        self._jumped = False  # no run was given since a reader jumped
        self._room = capacity.items  # the capacity for which shares were computed
        self._unwanted: list[int] = []  # jobs from which no reader expects items
        self._idle = False  # all requested items were evaluated before they were read

    # Events

    def open(self, reader: Reader) -> None:
        """Begin to serve `reader`."""
        reader.last_read = self._clock
        for run in reader.cursor.ring:
            if run.values is None:  # it was requested in another window, before a fork
                run.job = None
                self._planned = True
        self.readers = [*self.readers, reader]
        self._review = True

    def close(self, reader: Reader) -> None:
        """Stop serving `reader`."""
        if reader in self.readers:
            self.readers = [other for other in self.readers if other is not reader]
            self._review = True

    def visit(self, reader: Reader, *, pausing: bool = False) -> Run | None:
        """Return the run that `reader` reads from, `None` if the reader must wait.

        A quick reader frees room item by item. The window collects that room until it suffices
        for a run that is worth a message. For a reader that is `pausing` between its visits, or
        has jumped, the window is filled at once.
        """
        if self._bound and not self.jobs:
            self._idle = True
        if len(self.readers) != 1 or self.readers[0] is not reader or not reader.share:
            self._note(reader)
        run = reader.next_run()
        reader.waits = run is None
        self._visitor, self._given = reader, None
        self._pausing = pausing or self._jumped
        if run is None:
            awaited = reader.awaited()
            if awaited is None or awaited.planned:
                reader.urgent = True  # even if later runs have arrived
            if awaited is not None and awaited.planned:
                self._planned = True
        else:
            n = len(run.values)  # type: ignore[arg-type]
            self._jumped = False
            self._given = run, n
            self._clock += n
        reader.last_read = self._clock
        return run

    def seek(self, reader: Reader, i: int) -> bool:
        """Move `reader` to index `i`; return whether its cursor contains that index."""
        if reader not in self.readers:
            self.open(reader)
        cursor, position = reader.cursor, reader.position
        found = reader.seek(i)
        if cursor is not reader.cursor or position != reader.position:
            self._sweep()  # before a part arrives: runs may have been cut
            self._review = self._jumped = True
        if cursor is not reader.cursor:
            self._idle = False
        return found

    def aim(self, reader: RandomReader, indices: Sequence[int]) -> None:
        """Move `reader` to `indices`, which a hint says it reads next."""
        if reader not in self.readers:
            self.open(reader)
        reader.aim(indices)
        self._sweep()
        self._review = True
        self._idle = False

    def starved(self) -> None:
        """Note that a reader waits.

        If the window was full of evaluated items before, a larger window would have prevented
        the wait, so the window grows.
        """
        if self._idle:
            self.capacity.grow()
            self._fit()
        self._idle = False

    def weighed(self, sizes: Sequence[int | None]) -> None:
        """Note the sizes in bytes of items that have arrived, `None` for an unknown size."""
        self.capacity.weighed(sizes)
        self._fit()

    def expects(self, part: Part) -> bool:
        """Return whether a reader expects an item of `part` that has not arrived before."""
        job = self.jobs.get(part.job)
        stop = part.offset + len(part.outcomes)
        if job is None:
            return False
        for run in job.runs:
            ends = run.start + len(run.indices)
            if run.values is None and run.start < stop and part.offset < ends:
                return True
        return False

    def arrived(self, part: Part) -> None:
        """Give the outcomes of `part` to the runs that expect them, unless they arrived before."""
        if part.seconds and not part.failed:
            self.cutter.timed(part.seconds / len(part.outcomes), len(part.outcomes))
        job = self.jobs.get(part.job)
        if job is None:
            return
        left: list[Run] = []
        for run in job.runs:
            if run.values is not None:
                continue
            lo = max(0, part.offset - run.start)
            hi = min(len(run.indices), part.offset + len(part.outcomes) - run.start)
            if lo >= hi:
                left.append(run)
                continue
            shift = run.start - part.offset
            outcomes = part.outcomes[shift + lo : shift + hi]
            if hi - lo == len(run.indices):
                run.with_values(outcomes, failed=part.failed)
            else:
                before, after = run.part(0, lo), run.part(hi, len(run.indices))
                got = run.part(lo, hi).with_values(outcomes, failed=part.failed)
                left += self._replace(run, before, got, after)
        job.runs = left
        if not left:
            del self.jobs[job.id]

    def ended(self, i: int) -> None:
        """Note that the source ends before item `i`."""
        self.end = min(self.end, i)

    def finish(self, reader: Reader, i: int) -> None:
        """Forget the runs of `reader` from index `i` on, where the source has ended."""
        ring = reader.cursor.ring
        stop = ring[-1].stop
        ring[:] = [run for run in ring if len(run.indices) and run.indices[0] < i]
        ring.append(marker(stop))
        self._sweep()

    def reset(self, *, forget: bool = False) -> None:
        """Note that the engine is gone; with `forget`, also drop the evaluated items."""
        if forget:
            for reader in self.readers:
                reader.drop()
            self.end = ENDLESS
        for reader in self.readers:
            for run in reader.cursor.ring:
                if run.values is None:
                    run.job = None
        self.jobs = {}
        self._unwanted = []
        self._planned = self._review = True

    def mend(self) -> None:
        """Derive from the rings the state that an interrupted turn may have left wrong."""
        self._sweep()
        self._planned = self._review = True

    # Actions

    def plan(self) -> tuple[list[int], list[Job], list[Job]]:
        """Return the ids of jobs to cancel, the jobs ahead, and the jobs needed at once.

        Jobs are returned again until `sent` is called for them.
        """
        if self._review:
            self._share_out()
        again, self._planned, self._bound = self._planned, False, False
        columns = [self._plan_reader(reader, again=again) for reader in self.readers]
        urgent: list[Job] = []
        for reader, column in zip(self.readers, columns, strict=True):
            if reader.urgent and column:
                urgent.append(column.pop(0))
            elif reader.urgent:
                reader.urgent = False
        if len(columns) == 1:
            return self._unwanted, columns[0], urgent
        urgent = list(dict.fromkeys(urgent))
        rows = zip_longest(*columns)
        ahead = dict.fromkeys(job for row in rows for job in row if job is not None)
        return self._unwanted, [job for job in ahead if job not in urgent], urgent

    def sent(self, jobs: Sequence[Job]) -> None:
        """Note that an engine has received `jobs`, and the jobs to cancel."""
        for job in jobs:
            job.sent = True
        for reader in self.readers:
            reader.urgent = False
        self._unwanted = []

    def fill(self) -> tuple[int, int]:
        """Return the numbers of ready and of pending items; any thread may call this."""
        runs = [run for reader in self.readers for run in tuple(reader.cursor.ring)]
        ready = sum([run.unread for run in runs if run.values is not None])
        pending = sum([run.stop - run.position for run in runs if run.values is None])
        return ready, pending

    # Implementation

    def _note(self, reader: Reader) -> None:
        """Note a read by `reader`, which is not the only reader or has no share."""
        if reader not in self.readers:
            self.open(reader)
        if not reader.share or True in [r.share > 0 and self._rests(r) for r in self.readers]:
            self._review = True

    def _rests(self, reader: Reader) -> bool:
        # Twice the capacity is arbitrary: long enough for readers that alternate.
        return self._clock - reader.last_read > 2 * self.capacity.items

    def _fit(self) -> None:
        # Items are not dropped for a small change, because that would happen again and again.
        if not self._room // 2 <= self.capacity.items <= self._room:
            self._review = True

    def _replace(self, run: Run, *parts: Run) -> list[Run]:
        """Replace `run` by `parts` in its ring; return the parts that have not arrived."""
        found = [part for part in parts if len(part.indices)]
        for reader in self.readers:
            ring = reader.cursor.ring
            k = bisect_left(ring, run.position, key=attrgetter("position"))
            while k < len(ring) and ring[k].position == run.position and ring[k] is not run:
                k += 1
            if k == len(ring) or ring[k] is not run:
                ring = reader.cursor.old
                if run not in ring:
                    continue
                k = ring.index(run)
            ring[k : k + 1] = found
            return [part for part in found if part.values is None]
        return []

    def _share_out(self) -> None:
        """Divide the capacity among readers, and find the jobs that no reader expects any more."""
        self._review = False
        self._room = capacity = self.capacity.items
        busy = [r for r in self.readers if not self._rests(r) and not r.patient]
        busy = sorted(busy, key=lambda r: r.last_read)[-capacity:]
        for reader in self.readers:
            reader.share = capacity // len(busy) if reader in busy else 0
            self._trim(reader)
        self._sweep()

    def _sweep(self) -> None:
        """Derive from the rings which runs expect items of which job."""
        expected: dict[int, list[Run]] = {}
        jobs: dict[int, Job] = {}
        for reader in self.readers:
            for run in (*reader.cursor.old, *reader.cursor.ring):
                if run.values is None and run.job is not None:
                    expected.setdefault(run.job.id, []).append(run)
                    jobs[run.job.id] = run.job
        for number, job in jobs.items():
            job.runs = expected[number]
        self._unwanted += [number for number in self.jobs if number not in jobs]
        self.jobs = jobs

    def _trim(self, reader: Reader) -> None:
        """Drop runs of a reader that exceed its share."""
        ring = reader.cursor.ring
        needs = reader.urgent or reader.waits or reader is self._visitor
        least = max(reader.share, int(needs))
        surplus = reader.held - self._just_given(reader) - least
        if surplus > 0 and not least:
            reader.drop()
            return
        k = len(ring)
        while k > 1 and surplus > 0:
            run = ring[k - 1]
            if 0 < run.unread < len(run.indices):  # it is being read
                break
            k -= 1
            surplus -= 0 if run.planned else run.unread
        if k < len(ring):
            reader.give_up(k)
            self._planned = True
