"""Readers: what each of them is going to read, and where it stands.

Where a reader stands is not noted anywhere: it follows from what is left in its runs.
"""

from collections import deque
from collections.abc import Sequence
from itertools import repeat
from typing import Any

from seqtools._core.indices import ENDLESS
from seqtools.prefetching.run import Run, first_of, marker
from seqtools.prefetching.wakeup import Wakeup

NO_JOB = -1
"""In place of a job that a reader waits for: it does not wait."""


class Cursor:
    """What a reader is going to read, and the runs in which it arrives.

    The ring is never empty: the last run stays when it was read, because it says how far the
    reader has come. When a reader goes elsewhere, a single assignment replaces its cursor.

    Args:
        indices: What is read, place by place.
        position: How many of these places were read before.
        old: Runs of the cursor before, some of which may be of use.
    """

    __slots__ = ("indices", "old", "ring")

    def __init__(self, indices: Sequence[int], position: int = 0, old: Sequence[Run] = ()) -> None:
        self.indices = indices
        self.ring = [marker(position)]
        self.old = list(old)


class Reader:
    """A reader who says what it is going to read."""

    in_order = True

    def __init__(self, indices: Sequence[int]) -> None:
        self.cursor = Cursor(indices)
        self.share = 0
        """How many items may be ahead of it."""
        self.last_read = 0
        """When it read, on the clock of the window."""
        self.left = 0.0
        """When it was given a run, by the clock of the pump."""
        self.urgent = True
        """Whether the item that it reads next goes before all others."""
        self.waits = False
        """Whether it found nothing when it came last."""
        self.awaits: int | None = NO_JOB
        """The job that it waits for, `None` if any will do."""
        self.bell = Wakeup()
        """Rung when something of that job has arrived."""

    @property
    def position(self) -> int:
        """The number of places that were read."""
        front = self.cursor.ring[0]
        return front.stop - front.unread

    @property
    def endless(self) -> bool:
        """Whether it reads up to an end that is not known."""
        indices = self.cursor.indices
        return isinstance(indices, range) and indices.stop == ENDLESS

    @property
    def held(self) -> int:
        """The number of items that are planned, being evaluated or evaluated, and not read."""
        return self.cursor.ring[-1].stop - self.position

    def evaluated(self) -> int:
        """Return the same without items that are only planned."""
        return sum([run.unread for run in self.cursor.ring if not run.planned])

    @property
    def patient(self) -> bool:
        """Whether nothing is to be read ahead for now."""
        return False

    def next_run(self) -> Run | None:
        """Return the run to be read from, `None` if nothing is there yet."""
        run = self.front()
        return run if run.values else None

    def awaited(self) -> Run | None:
        """Return the first run with something unread, `None` if there is none."""
        for run in self.cursor.ring:
            if run.unread:
                return run
        return None

    def front(self) -> Run:
        """Return the first run that was not read, or else the last one; forget those before it."""
        ring = self.cursor.ring
        run = ring[0]
        if run.back:  # the interrupted `drop` was to replace it
            ring[0] = run = run.rest()
        if run.over and len(ring) > 1:
            k = 1
            while k < len(ring) - 1 and ring[k].over:  # it is the next one, most often
                k += 1
            del ring[:k]
            run = ring[0]
        return run

    def seek(self, i: int) -> bool:
        """Go to index `i` if it lies ahead on the cursor; return whether it does."""
        indices, position = self.cursor.indices, self.position
        if position < len(indices) and indices[position] == i:
            return True
        if isinstance(indices, range):
            k = indices.index(i) if i in indices else -1
        else:
            stop = min(len(indices), position + max(1, self.share))
            k = first_of([indices[k] == i for k in range(position, stop)])
            k += position if k >= 0 else 0
        if k <= position:
            return False
        self.skip(k)
        return True

    def skip(self, position: int) -> None:
        """Pass over all places before `position`."""
        self.front()
        ring = self.cursor.ring
        if position >= ring[-1].stop:
            ring[:] = [marker(position)]
            return
        k = first_of([run.stop > position for run in ring])
        run = ring[k]
        if run.values is None:
            ring[: k + 1] = [run.part(position - run.position, run.stop - run.position)]
            return
        del ring[:k]
        surplus = max(0, len(run.values) - (run.stop - position))
        deque(map(deque.popleft, repeat(run.values, surplus)), 0)  # each of them is one step

    def give_up(self, k: int) -> None:
        """Forget all runs from the `k`-th on, of which nothing was read."""
        del self.cursor.ring[k:]

    def drop(self) -> None:
        """Forget what was evaluated, from any thread: the reader goes on where it is."""
        run = self.cursor.ring[0]
        run.take_back()
        self.cursor = Cursor(self.cursor.indices, run.stop - run.unread)

    def state(self) -> dict[str, Any]:
        """Return where it stands."""
        return {"position": self.position}


class SingleReader(Reader):
    """A reader of one item, which nobody could have known of."""

    @property
    def patient(self) -> bool:
        """Whether nothing is to be read ahead: nothing follows."""
        return True


class UnorderedReader(Reader):
    """A reader who takes what is ready first."""

    in_order = False

    @property
    def held(self) -> int:
        """The number of items that are being evaluated or evaluated, and not read."""
        return self.evaluated()

    def next_run(self) -> Run | None:
        """Return the run that arrived first, `None` if nothing is there yet."""
        ring = self.cursor.ring
        if ring[-1].back or True in [bool(run.over or run.back) for run in ring[:-1]]:
            ring[:] = [
                run.rest() if run.back else run for run in ring if not run.over or run is ring[-1]
            ]
        return min([run for run in ring if run.values], key=_rank, default=None)

    def give_up(self, k: int) -> None:
        """Plan all runs from the `k`-th on again: the ring goes on saying what was read."""
        ring = self.cursor.ring
        for run in ring[k:]:
            run.take_back()  # it may be the one that is being read from
        ring[k:] = [run if run.over else run.rest() for run in ring[k:]]

    def drop(self) -> None:
        """Forget what was evaluated: what was not read is planned again."""
        old = self.cursor
        for run in old.ring:
            run.take_back()
        cursor = Cursor(old.indices, old.ring[-1].stop)
        cursor.ring[:0] = [run.rest() for run in old.ring if run.unread]
        self.cursor = cursor

    def state(self) -> dict[str, Any]:
        """Return the place up to which it has asked for items, and what it has not read before."""
        ring = self.cursor.ring
        left: list[list[int]] = []
        for run in ring:
            first, stop = run.stop - run.unread, run.stop
            if left and left[-1][1] == first:
                left[-1][1] = stop
            elif first < stop:
                left.append([first, stop])
        return {"position": ring[-1].stop, "left": left}


class RandomReader(Reader):
    """A reader by index, whose cursor is guessed.

    The guess is that it goes on one by one, or at the distance of its last reads if that was the
    same twice. After a long jump nothing is read ahead before the guess has come true once.

    Args:
        size: The length of what it reads, `None` if that is not known.
        near: A jump over at most so many items is a short one.
    """

    def __init__(self, size: int | None, near: int) -> None:
        super().__init__(range(0))
        self._size, self._near = ENDLESS if size is None else size, near
        self._last: int | None = None
        self._distance = 0
        self._patient = False
        self._aimed = False  # it was said what is read

    @property
    def patient(self) -> bool:
        """Whether to wait until the guess has come true."""
        return self._patient

    def seek(self, i: int) -> bool:
        """Go to index `i`, wherever it is, unless it was read just before."""
        position, indices = self.position, self.cursor.indices
        ahead = position < len(indices) and indices[position] == i
        last, distance = self._last, self._distance
        if position and not self._aimed and indices[position - 1] != last:
            # the window was not told of reads that went along the cursor
            last, distance = indices[position - 1], indices.step  # type: ignore[attr-defined]
        if i == last:
            return ahead  # if it was read, it is read again aside
        now = 0 if last is None else i - last
        self._last, self._distance = i, now
        if self._aimed:
            if super().seek(i):
                return True
            self._aimed = False
        elif ahead:
            self._patient = False
            return True
        elif i in indices and 0 <= indices.index(i) - position <= self._near and now != distance:
            self.skip(indices.index(i))
            return True
        step = now if now and now == distance else 1
        self._patient = step == 1 and abs(now) > self._near
        self._go(range(i, self._size if step > 0 else -1, step))
        return True

    def aim(self, indices: Sequence[int]) -> None:
        """Believe that `indices` come next, until something else is read."""
        self._aimed, self._patient = True, False
        self._go(indices)

    def _go(self, indices: Sequence[int]) -> None:
        cursor = Cursor(indices, 0, [*self.cursor.old, *self.cursor.ring])
        self.urgent = True
        self.cursor = cursor


def _rank(run: Run) -> int:
    return run.rank
