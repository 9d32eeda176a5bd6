"""Which items to evaluate ahead, for whom, and in what order.

A pure state machine: events come in by its methods, `plan` says what to do next. It
knows no engine, no thread and no clock, and can be tested without any of them.

What it guarantees:

- Items that are evaluated or being evaluated for a reader are at most `capacity`, but for
  those that were there before it became less.
- No index is asked for that no reader is going to read, as far as readers are known.
- What a reader still needs after a jump is kept.
"""

from collections.abc import Collection, Sequence
from itertools import zip_longest
from typing import Any

from seqtools.indices import ENDLESS
from seqtools.prefetching.capacity import Capacity
from seqtools.prefetching.cursors import Cursor, Gatherer
from seqtools.prefetching.lending import MISSING, lend, take_back


class Window:
    """Items between what readers have read and what is evaluated ahead of them."""

    def __init__(self, capacity: Capacity, singly: Collection[type] = ()) -> None:
        self._capacity = capacity
        self.capacity = capacity.items
        self._bound = False  # it asked for all that there was room for
        self._was_idle = False  # all of that was evaluated before it was read
        self._singly = frozenset(singly)  # outcomes of these types are no values
        self.ready: dict[int, Any] = {}
        self.pending: set[int] = set()
        self.end = ENDLESS
        """Where a source without length was found to end."""
        self._unwanted: set[int] = set()  # pending, but nobody expects it any more
        self._cursors: list[Cursor] = []
        self._alone: Cursor | None = None  # the only reader, but for others that rest
        self._urgent: list[int] = []
        self._clock = 0
        self._review = False

    # Events

    def open(self, cursor: Cursor) -> None:
        """Begin to serve a reader."""
        cursor.last_read = self._clock
        self._cursors.append(cursor)
        self._review = True

    def close(self, cursor: Cursor) -> None:
        """Serve a reader no more."""
        if cursor in self._cursors:
            self._cursors.remove(cursor)
            self._review = True

    def take(self, cursor: Cursor, i: int) -> Any:
        """Return the outcome of item `i`, needed by `cursor` now, or `MISSING`.

        An outcome that was returned is not held any more, unless others expect it.
        """
        if cursor.run:
            take_back(self.ready, cursor)  # it goes another way
        self._visit(cursor)
        position = self._arrive(cursor, i)
        outcome = self.ready.get(i, MISSING)
        if outcome is MISSING:
            cursor.needs = i
            return MISSING
        cursor.needs = None
        if position is not None:
            cursor.head = position + 1
        alone = cursor is self._alone and isinstance(cursor.indices, range)
        if alone or not any(c.expects(i) for c in self._cursors):
            del self.ready[i]
        return outcome

    def take_any(self, cursor: Gatherer) -> tuple[int, Any]:
        """Return an index that `cursor` is still to read, with its outcome or `MISSING`.

        It is what became ready first, and with `MISSING` what is needed first.
        """
        self._visit(cursor)
        for i in self.ready:
            if cursor.wants(i):
                break
        else:
            cursor.needs = first = cursor.indices[cursor.head]
            return first, MISSING
        cursor.needs = None
        outcome = self.ready[i]
        cursor.given = i
        cursor.got(i)
        if cursor is self._alone or not any(c.expects(i) for c in self._cursors):
            del self.ready[i]
        return i, outcome

    def starved(self) -> None:
        """Note that a reader waits, and that nothing has arrived that was not received.

        If all that there was room for had been evaluated before, a larger window would
        have kept it from waiting.
        """
        if self._was_idle:
            self._capacity.grow()
            self._adjust()
        self._was_idle = False

    def weighed(self, sizes: Sequence[int | None]) -> None:
        """Note the sizes in bytes of items that have arrived, `None` where it is not known."""
        self._capacity.weighed(sizes)
        self._adjust()

    def lend(self, cursor: Cursor, most: int) -> None:
        """Move up to `most` items that come next, as many as are ready, to the run of `cursor`.

        They count as evaluated and not yet read, until the reader has taken them from
        there. Nothing is lent where other readers could expect the same items.
        """
        if not self._review and cursor is self._alone:
            self._clock += lend(self.ready, cursor, most, self._singly)

    def aimed(self) -> None:
        """Note that what a reader is going to read has changed."""
        self._review = True

    def received(self, results: Sequence[tuple[int, Any]]) -> None:
        """Note outcomes that arrived; those that nobody expects any more are dropped."""
        arrived = dict(results)
        if not self._unwanted and self.pending.issuperset(arrived):
            self.pending.difference_update(arrived)
            self.ready.update(arrived)
            return
        for i, outcome in results:
            if i in self.pending:
                self.pending.discard(i)
                if i in self._unwanted:
                    self._unwanted.discard(i)
                else:
                    self.ready[i] = outcome

    def ended(self, i: int) -> None:
        """Note that a source without length has no item `i`."""
        self.end = min(self.end, i)

    def reset(self, *, forget: bool = False) -> None:
        """Note that what was pending is lost, and with `forget` what is ready no longer good.

        It is going to be asked for again.
        """
        self.pending.clear()
        self._unwanted.clear()
        if forget:
            for cursor in self._cursors:
                take_back(self.ready, cursor)
            self.ready.clear()
            self.end = ENDLESS
        self._review = True

    # From outside

    def fill(self) -> tuple[int, int]:
        """Return how many items are ready, those included that were lent, and how many pending.

        Any thread may call this at any time, and nothing of it is true for long.
        """
        lent = sum([len(cursor.run) for cursor in tuple(self._cursors)])
        return len(self.ready) + lent, len(self.pending)

    # Actions

    def plan(self) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        """Return the indices not to evaluate after all, those needed now, and those ahead.

        The first are still counted as pending, until `cancelled` says which of them
        are not going to arrive; the others are dropped when they do.
        """
        unwanted = self._sweep() if self._review else []
        room = self.capacity - len(self.ready) - len(self.pending) + len(self._unwanted)
        room -= sum(len(cursor.run) for cursor in self._cursors)
        urgent = []
        for cursor in self._cursors:
            i = cursor.needs
            if i is None or i in self.ready or (i in self.pending and i not in self._unwanted):
                continue
            if room <= 0:
                unwanted += self._make_room()
            room -= 1
            if i in self.pending:
                self._unwanted.discard(i)
                continue
            urgent.append(i)
            self.pending.add(i)
        ahead = self._fill(room) if room > 0 else []
        self._bound = len(ahead) >= room
        return unwanted, urgent, ahead

    def cancelled(self, indices: Collection[int]) -> None:
        """Note indices that were pending and are not going to arrive."""
        self.pending.difference_update(indices)
        self._unwanted.difference_update(indices)

    # Parts

    def _adjust(self) -> None:
        # What is there is not dropped for a little, which it would be again and again.
        items = self._capacity.items
        self._review = self._review or not self.capacity // 2 <= items <= self.capacity
        self.capacity = items

    def _visit(self, cursor: Cursor) -> None:
        """Note that `cursor` reads now."""
        if self._bound and not self.pending:
            self._was_idle = True
        if cursor is not self._alone:
            self._alone = None
            if cursor not in self._cursors:  # it has not read yet, or was opened before a fork
                self.open(cursor)
        self._clock += 1
        if not cursor.share or cursor is not self._alone:
            self._review = self._review or not cursor.share or self._some_rest()
        cursor.last_read = self._clock

    def _arrive(self, cursor: Cursor, i: int) -> int | None:
        """Have `cursor` stand at `i`; return its position, `None` if it stays where it was."""
        position = cursor.find(i)
        if position is None:
            if cursor.jump(i):
                position = 0
                self._review = True
                self._was_idle = False
        elif position > cursor.head:
            cursor.head = position  # what was passed over is not going to be read
            self._review = True
        return position

    def _some_rest(self) -> bool:
        return any(c.share and self._rests(c) for c in self._cursors)

    def _rests(self, cursor: Cursor) -> bool:
        # Twice the capacity is arbitrary: long enough for readers that take turns.
        return self._clock - cursor.last_read > 2 * self.capacity

    def _sweep(self) -> list[int]:
        """Share the capacity among readers, and drop what none of them expects."""
        self._review = False
        busy = [c for c in self._cursors if not self._rests(c)]
        share = max(1, self.capacity // max(1, len(busy)))
        expected: set[int] = set()
        for cursor in self._cursors:
            cursor.share = share if cursor in busy and not cursor.patient else 0
            cursor.tail = cursor.head
            expected.update(map(int, cursor.expected()))
            if cursor.needs is not None:
                expected.add(cursor.needs)
        served = [c for c in self._cursors if c.share or c.needs is not None]
        self._alone = served[0] if len(served) == 1 else None
        for i in [i for i in self.ready if i not in expected]:
            del self.ready[i]
        self._unwanted = self.pending - expected
        return list(self._unwanted)

    def _make_room(self) -> list[int]:
        """Give up the item that is needed last, for one that is needed now.

        Returns it if it is still to arrive.
        """
        needed = {c.needs for c in self._cursors}
        distance = {int(i): d for c in self._cursors for d, i in enumerate(c.expected())}
        held = [*self.ready, *(self.pending - self._unwanted)]
        others = [i for i in held if i not in needed]
        for cursor in self._cursors:
            cursor.tail = cursor.head
        if not others:
            return []
        last = max(others, key=lambda i: distance.get(i, self.capacity))
        if last in self.ready:
            del self.ready[last]
            return []
        self._unwanted.add(last)
        return [last]

    def _fill(self, room: int) -> Sequence[int]:
        """Return the indices to evaluate ahead, in order of need, readers in turn."""
        if self._alone is not None:
            return self._ahead(self._alone, room)
        columns = [self._ahead(cursor, room) for cursor in self._cursors]
        order = [i for row in zip_longest(*columns) for i in row if i is not None]
        chosen = list(dict.fromkeys(order))
        for i in chosen[room:]:
            self.pending.discard(i)
        if len(chosen) > room:
            for cursor in self._cursors:
                cursor.tail = cursor.head
        return chosen[:room]

    def _ahead(self, cursor: Cursor, room: int) -> Sequence[int]:
        """Return the next indices that `cursor` expects and that are not there, up to `room`."""
        indices = cursor.indices
        stop = cursor.reach()
        position = max(cursor.tail, cursor.head)
        run = indices[position : min(stop, position + room)]
        if (
            type(run) is range
            and type(cursor) is not Gatherer
            and self.pending.isdisjoint(run)
            and self.ready.keys().isdisjoint(run)
            and (not run or max(run[0], run[-1]) < self.end)
        ):  # all of them at once, in a tenth of the time
            self.pending.update(run)
            cursor.tail = position + len(run)
            return run
        chosen: list[int] = []
        while position < stop and len(chosen) < room:
            i = int(indices[position])
            if i >= self.end:
                break
            if cursor.passes(position):
                pass
            elif i in self.pending:
                room -= i in self._unwanted
                self._unwanted.discard(i)
            elif i not in self.ready:
                chosen.append(i)
                self.pending.add(i)
            position += 1
        cursor.tail = position
        return chosen
