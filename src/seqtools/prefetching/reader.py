"""Readers: what each of them is going to read, and its position.

The position of a reader is stored nowhere: it follows from what is left in its runs.
"""

from collections import deque
from collections.abc import Sequence
from itertools import repeat
from operator import attrgetter

from seqtools._core.indices import ENDLESS
from seqtools.prefetching.run import Run, first_of, marker
from seqtools.prefetching.wakeup import Wakeup

NO_JOB = -1
"""In place of the id of a job that a reader waits for: the reader does not wait."""


class Cursor:
    """The indices that a reader is going to read, and the runs in which they arrive.

    The ring is never empty: the last run stays after it was read, because it holds the position of
    the reader. When a reader jumps, a single assignment replaces its cursor.

    Args:
        indices: The indices to read, one for each place.
        position: How many of these places were read before.
        old: Runs of the previous cursor, some of which may be reused.
    """

    __slots__ = ("indices", "old", "ring")

    def __init__(self, indices: Sequence[int], position: int = 0, old: Sequence[Run] = ()) -> None:
        self.indices = indices
        self.ring = [marker(position)]
        self.old = list(old)


class Reader:
    """A reader that reads given indices in order."""

    in_order = True
    patient = False
    """Whether nothing should be evaluated ahead for now."""

    def __init__(self, indices: Sequence[int]) -> None:
        self.cursor = Cursor(indices)
        self.share = 0
        """How many items may be evaluated ahead for it."""
        self.last_read = 0
        """When it last read, on the clock of the window."""
        self.served = 0.0
        """When it last received a run, on the clock of the pump."""
        self.urgent = True
        """Whether its next item takes precedence over all others."""
        self.waits = False
        """Whether it found no item at its last visit."""
        self.awaits: int | None = NO_JOB
        """The id of the job that it waits for, `None` for any job."""
        self.wakeup = Wakeup()
        """Set when a part of that job has arrived."""
        self.gone = False
        """Whether a thread that waits for it must return, because nobody wants the item."""

    @property
    def position(self) -> int:
        """The number of places that it has read."""
        front = self.cursor.ring[0]
        return front.stop - front.unread

    @property
    def endless(self) -> bool:
        """Whether it reads up to an unknown end."""
        indices = self.cursor.indices
        return isinstance(indices, range) and indices.stop == ENDLESS

    @property
    def held(self) -> int:
        """The number of unread items that are planned, in evaluation or evaluated."""
        return self.cursor.ring[-1].stop - self.position

    def evaluated(self) -> int:
        """Return the same number without items that are only planned."""
        return sum([run.unread for run in self.cursor.ring if not run.planned])

    def next_run(self) -> Run | None:
        """Return the run to read from, `None` if its items have not arrived."""
        run = self.front()
        return run if run.values else None

    def awaited(self) -> Run | None:
        """Return the first run with unread items, `None` if there is none."""
        for run in self.cursor.ring:
            if run.unread:
                return run
        return None

    def front(self) -> Run:
        """Return the first run with unread items, or the last one; forget those before it."""
        ring = self.cursor.ring
        run = ring[0]
        if run.back:  # an interrupted `drop` was going to replace it
            ring[0] = run = run.rest()
        if run.over and len(ring) > 1:
            k = 1
            while k < len(ring) - 1 and ring[k].over:  # usually it is the next one
                k += 1
            del ring[:k]
            run = ring[0]
        return run

    def seek(self, i: int) -> bool:
        """Move to index `i` if it is ahead on the cursor; return whether it is."""
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
        """Skip all places before `position`."""
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
        deque(map(deque.popleft, repeat(run.values, surplus)), 0)  # each is one step

    def give_up(self, k: int) -> None:
        """Forget all runs from the `k`-th on; none of their items was read."""
        del self.cursor.ring[k:]

    def drop(self) -> None:
        """Forget the evaluated items; the reader keeps its position. Any thread may call this."""
        run = self.cursor.ring[0]
        run.take_back()
        self.cursor = Cursor(self.cursor.indices, run.stop - run.unread)

    def state(self) -> tuple[int, list[range]]:
        """Return its position, and the ranges of places before it that were not read."""
        return self.position, []


class SingleReader(Reader):
    """A reader of one item that could not be predicted."""

    patient = True


class UnorderedReader(Reader):
    """A reader that takes items in the order in which they become ready."""

    in_order = False

    @property
    def held(self) -> int:
        """The number of unread items that are in evaluation or evaluated."""
        return self.evaluated()

    def next_run(self) -> Run | None:
        """Return the run that arrived first, `None` if none has arrived."""
        ring = self.cursor.ring
        if ring[-1].back or True in [bool(run.over or run.back) for run in ring[:-1]]:
            ring[:] = [
                run.rest() if run.back else run for run in ring if not run.over or run is ring[-1]
            ]
        return min([run for run in ring if run.values], key=attrgetter("rank"), default=None)

    def give_up(self, k: int) -> None:
        """Plan all runs from the `k`-th on again; the ring must still say what was read."""
        ring = self.cursor.ring
        for run in ring[k:]:
            run.take_back()  # the reader may be reading from this run
        ring[k:] = [run if run.over else run.rest() for run in ring[k:]]

    def drop(self) -> None:
        """Forget the evaluated items; unread ones are planned again."""
        old = self.cursor
        for run in old.ring:
            run.take_back()
        cursor = Cursor(old.indices, old.ring[-1].stop)
        cursor.ring[:0] = [run.rest() for run in old.ring if run.unread]
        self.cursor = cursor

    def state(self) -> tuple[int, list[range]]:
        """Return the number of requested places, and the ranges of them that were not read."""
        ring = self.cursor.ring
        left: list[range] = []
        for run in ring:
            first, stop = run.stop - run.unread, run.stop
            if left and left[-1].stop == first:
                left[-1] = range(left[-1].start, stop)
            elif first < stop:
                left.append(range(first, stop))
        return ring[-1].stop, left


class RandomReader(Reader):
    """A reader by index, whose next indices are predicted.

    The prediction is the next index, or the distance of the last reads if it was the same twice.
    After a long jump nothing is evaluated ahead until the prediction was right once.

    Args:
        size: The length of the sequence, `None` if it is unknown.
        near: The largest number of items that a short jump skips.
    """

    def __init__(self, size: int | None, near: int) -> None:
        super().__init__(range(0))
        self._size, self._near = ENDLESS if size is None else size, near
        self._last: int | None = None
        self._distance = 0
        self._aimed = False  # a hint has given the indices

    def seek(self, i: int) -> bool:
        """Move to index `i`, unless it was the last index read."""
        position, indices = self.position, self.cursor.indices
        ahead = position < len(indices) and indices[position] == i
        last, distance = self._last, self._distance
        if position and not self._aimed and indices[position - 1] != last:
            # the window did not see the reads that followed the cursor
            last, distance = indices[position - 1], indices.step  # type: ignore[attr-defined]
        if i == last:
            return ahead  # an item that was read is read again by a reader of its own
        now = 0 if last is None else i - last
        self._last, self._distance = i, now
        if self._aimed:
            if super().seek(i):
                return True
            self._aimed = False
        elif ahead:
            self.patient = False
            return True
        elif i in indices and 0 <= indices.index(i) - position <= self._near and now != distance:
            self.skip(indices.index(i))
            return True
        step = now if now and now == distance else 1
        self.patient = step == 1 and abs(now) > self._near
        self._jump_to(range(i, self._size if step > 0 else -1, step))
        return True

    def aim(self, indices: Sequence[int]) -> None:
        """Expect `indices` next, until another index is read."""
        self._aimed, self.patient = True, False
        self._jump_to(indices)

    def _jump_to(self, indices: Sequence[int]) -> None:
        cursor = Cursor(indices, 0, [*self.cursor.old, *self.cursor.ring])
        self.urgent = True
        self.cursor = cursor
