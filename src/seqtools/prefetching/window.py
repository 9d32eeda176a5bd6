"""What is evaluated ahead, for whom: a pure state machine.

It knows no engine, no thread and no clock. Events come in by its methods, and `plan` says what an
engine should do next. All that it notes can be derived from the rings of its readers: after an
interrupt, `mend` does that.

What it guarantees:

- Items that are planned, being evaluated or evaluated, and not read, are at most `capacity`.
  Exceptions are one item for each reader that waits, and what was there before the capacity
  became less.
- No index is asked for that no reader is going to read, as far as readers are known.
- What one reader has coming, or had before a jump, is not evaluated again for another one.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import zip_longest

from seqtools._core.indices import ENDLESS
from seqtools.engines.base import Job, Part
from seqtools.prefetching.budget import Budget
from seqtools.prefetching.planning import Planner
from seqtools.prefetching.reader import RandomReader, Reader
from seqtools.prefetching.run import Run, marker


class Window(Planner):
    """Readers, and what is evaluated ahead of them."""

    def __init__(self, capacity: Budget) -> None:
        super().__init__(capacity)
        self._clock = 0
        self._jumped = False  # the next visit is where a reader has gone to
        self._room = capacity.items  # for which shares were given out
        self._unwanted: list[int] = []  # jobs that nobody expects any more
        self._idle = False  # all that was asked for was evaluated before it was read

    # Events

    def open(self, reader: Reader) -> None:
        """Begin to serve `reader`."""
        reader.last_read = self._clock
        for run in reader.cursor.ring:
            if run.values is None:  # it was asked for in another window, before a fork
                run.job = None
                self._planned = True
        self.readers = [*self.readers, reader]
        self._review = True

    def close(self, reader: Reader) -> None:
        """Serve `reader` no more."""
        if reader in self.readers:
            self.readers = [other for other in self.readers if other is not reader]
            self._review = True

    def visit(self, reader: Reader, *, pausing: bool = False) -> Run | None:
        """Return the run that `reader` reads from, `None` if it has to wait.

        A quick reader gives back room bit by bit, which is kept until it is enough for a run that
        is worth a message. For one that is `pausing` between its visits, or has jumped, the
        window is filled up.
        """
        if self._bound and not self.jobs:
            self._idle = True
        if len(self.readers) != 1 or self.readers[0] is not reader or not reader.share:
            self._note(reader)
        run = reader.next_run()
        reader.waits = run is None
        self._visitor, self._given = reader, None
        self._pausing, self._jumped = pausing or self._jumped, False
        if run is None:
            awaited = reader.awaited()
            if awaited is None or awaited.planned:
                reader.urgent = True  # whatever is there behind it
            if awaited is not None and awaited.planned:
                self._planned = True
        else:
            n = len(run.values)  # type: ignore[arg-type]
            self._given = run, n
            self._clock += n
        reader.last_read = self._clock
        return run

    def seek(self, reader: Reader, i: int) -> bool:
        """Have `reader` go to index `i`; return whether that is on its cursor."""
        if reader not in self.readers:
            self.open(reader)
        cursor, position = reader.cursor, reader.position
        found = reader.seek(i)
        if cursor is not reader.cursor or position != reader.position:
            self._sweep()  # before anything arrives: runs may have been cut
            self._review = self._jumped = True
        if cursor is not reader.cursor:
            self._idle = False
        return found

    def aim(self, reader: RandomReader, indices: Sequence[int]) -> None:
        """Have `reader` go on with `indices`, as it was said to do."""
        if reader not in self.readers:
            self.open(reader)
        reader.aim(indices)
        self._sweep()
        self._review = True
        self._idle = False

    def starved(self) -> None:
        """Note that a reader waits.

        If all that there was room for had been evaluated before, a larger window would have kept
        it from waiting.
        """
        if self._idle:
            self.capacity.grow()
            self._fit()
        self._idle = False

    def weighed(self, sizes: Sequence[int | None]) -> None:
        """Note the sizes in bytes of items that have arrived, `None` where it is not known."""
        self.capacity.weighed(sizes)
        self._fit()

    def expects(self, part: Part) -> bool:
        """Return whether anything of `part` has not arrived before, and somebody expects it."""
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
        """Give what came of a job to the runs that expect it, unless it has arrived before."""
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
        """Note that there is no item `i`."""
        self.end = min(self.end, i)

    def finish(self, reader: Reader, i: int) -> None:
        """Forget what `reader` would read from index `i` on: there is nothing."""
        ring = reader.cursor.ring
        stop = ring[-1].stop
        ring[:] = [run for run in ring if len(run.indices) and run.indices[0] < i]
        ring.append(marker(stop))
        self._sweep()

    def reset(self, *, forget: bool = False) -> None:
        """Note that the engine is gone; with `forget`, drop what was evaluated as well."""
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
        """Derive from the rings what an interrupted turn may have left undone."""
        self._sweep()
        self._planned = self._review = True

    # Actions

    def plan(self) -> tuple[list[int], list[Job], list[Job]]:
        """Return the jobs not to begin, those ahead, and those needed at once.

        What is returned is planned again until `sent` is called for it.
        """
        if self._review:
            self._share_out()
        again, self._planned, self._bound = self._planned, False, False
        columns = [self._extend(reader, again=again) for reader in self.readers]
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
        """Note that an engine has `jobs`, and was told which are not wanted."""
        for job in jobs:
            job.sent = True
        for reader in self.readers:
            reader.urgent = False
        self._unwanted = []

    def fill(self) -> tuple[int, int]:
        """Return how many items are ready, and how many pending; any thread may call this."""
        runs = [run for reader in self.readers for run in tuple(reader.cursor.ring)]
        ready = sum([run.unread for run in runs if run.values is not None])
        pending = sum([run.stop - run.position for run in runs if run.values is None])
        return ready, pending

    # Parts

    def _note(self, reader: Reader) -> None:
        """Note that `reader` reads, who is not the only one or has no share."""
        if reader not in self.readers:
            self.open(reader)
        if not reader.share or True in [r.share > 0 and self._rests(r) for r in self.readers]:
            self._review = True

    def _rests(self, reader: Reader) -> bool:
        # Twice the capacity is arbitrary: long enough for readers that take turns.
        return self._clock - reader.last_read > 2 * self.capacity.items

    def _fit(self) -> None:
        # What is there is not dropped for a little, because that would happen again and again.
        if not self._room // 2 <= self.capacity.items <= self._room:
            self._review = True

    def _replace(self, run: Run, *parts: Run) -> list[Run]:
        """Put `parts` in place of `run` in its ring; return those that are still to arrive."""
        found = [part for part in parts if len(part.indices)]
        for reader in self.readers:
            ring = reader.cursor.ring
            k = bisect_left(ring, run.position, key=_position)
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
        """Share the room among readers, and find the jobs that nobody expects any more."""
        self._review = False
        self._room = capacity = self.capacity.items
        busy = [r for r in self.readers if not self._rests(r) and not r.patient]
        busy = sorted(busy, key=lambda r: r.last_read)[-capacity:]
        for reader in self.readers:
            reader.share = capacity // len(busy) if reader in busy else 0
            self._trim(reader)
        self._sweep()

    def _sweep(self) -> None:
        """Derive from the rings who expects something of which job."""
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
        """Drop what is further ahead of a reader than it may be."""
        ring = reader.cursor.ring
        needs = reader.urgent or reader.waits or reader is self._visitor
        least = max(reader.share, int(needs))
        surplus = reader.held - self._going(reader) - least
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


def _position(run: Run) -> int:
    return run.position
