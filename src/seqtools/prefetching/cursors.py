"""Where readers stand, and what they are going to read next."""

from collections import deque
from collections.abc import Sequence
from typing import Any

from seqtools.indices import ENDLESS


class Cursor:
    """A reader: the indices that it is going to read, and where it stands in them."""

    __slots__ = (
        "back",
        "brisk",
        "head",
        "indices",
        "last_read",
        "left",
        "needs",
        "run",
        "share",
        "tail",
    )

    def __init__(self, indices: Sequence[int]) -> None:
        self.indices = indices
        self.head = 0  # position of the next read, behind the run
        # Outcomes of the items just before the head, which the reader takes without asking.
        # It may do so at any moment: no length of it is true for long.
        self.run: deque[Any] = deque()
        self.back: deque[Any] = deque()  # taken back from the end of the run, the last one first
        self.left = 0.0  # when it was given something last
        self.brisk = 0  # so many items it reads so fast that they may be given together
        self.tail = 0  # position up to which items were asked for
        self.share = 0  # number of items that may be asked for ahead
        self.needs: int | None = None  # index that the reader waits for
        self.last_read = 0  # on the clock of the window

    @property
    def patient(self) -> bool:
        """Whether nothing is to be read ahead for now."""
        return False

    def find(self, i: int) -> int | None:
        """Return the position of index `i` at or after the head, `None` if it is not near."""
        indices, head = self.indices, self.head
        if head < len(indices) and indices[head] == i:
            return head
        if isinstance(indices, range):
            position = indices.index(i) if i in indices else -1
            return position if position >= head else None
        for position in range(head, min(head + self.share, len(indices))):
            if indices[position] == i:
                return position
        return None

    def expected(self) -> Sequence[int]:
        """Return the indices that may be evaluated ahead."""
        return self.indices[self.head : self.head + self.share]

    def expects(self, i: int) -> bool:
        """Return whether `i` is needed, or among what may be evaluated ahead."""
        return self.needs == i or i in self.expected()

    def passes(self, position: int) -> bool:
        """Return whether what is at `position` has been read before its turn."""
        del position
        return False

    def reach(self) -> int:
        """Return the position up to which items may be asked for."""
        return min(self.head + self.share, len(self.indices))

    def jump(self, i: int) -> bool:
        """Go to `i`, which is not ahead; return False if this reader keeps its course."""
        del i
        return False

    def following(self) -> int | None:
        """Return the index behind the run, `None` at the end."""
        position = self.head - len(self.back)
        return self.indices[position] if position < len(self.indices) else None

    def passed(self, i: int) -> None:
        """Note that `i` is evaluated by the reader, who was given nothing."""
        if not (self.run or self.back) and self.head < len(self.indices):
            self.head += self.indices[self.head] == i

    def return_to(self, ready: dict[int, Any]) -> None:
        """Have what was taken back ready."""
        head = self.head - len(self.back)
        ready.update(zip(reversed(self.indices[head : self.head]), self.back, strict=True))
        # one after the other, so that no interrupt comes in between
        self.head = head
        self.back = deque()


class Gatherer(Cursor):
    """A reader who takes the items of a range in the order in which they become ready.

    Its run holds pairs of an index and an outcome.
    """

    __slots__ = ("_early", "given")

    def __init__(self, indices: range) -> None:
        super().__init__(indices)
        self.given: int | None = None  # the index that it got, until it is read
        self._early: set[int] = set()  # positions behind the head that were read

    @property
    def ended(self) -> bool:
        """Whether nothing is left to read."""
        return self.head >= len(self.indices)

    def expected(self) -> Sequence[int]:
        """Return the indices that may be evaluated ahead."""
        places = range(self.head, self.reach())
        return [self.indices[k] for k in places if k not in self._early]

    def expects(self, i: int) -> bool:
        """Return whether `i` is among what may be evaluated ahead."""
        return self.wants(i) and self.indices.index(i) < self.reach()

    def passes(self, position: int) -> bool:
        """Return whether what is at `position` has been read before its turn."""
        return position in self._early

    def reach(self) -> int:
        """Return the position up to which items may be asked for."""
        return min(self.head + self.share + len(self._early), len(self.indices))

    def wants(self, i: int) -> bool:
        """Return whether `i` is still to be read."""
        indices: range = self.indices  # type: ignore[assignment]
        return i in indices and self.head <= (k := indices.index(i)) and k not in self._early

    def got(self, i: int) -> None:
        """Note that `i` was taken to be read."""
        # Assigned one after the other, so that no interrupt comes in between; as below.
        early, head = self._with([i])
        self._early = early
        self.head = head

    def lent(self, run: deque[tuple[int, Any]]) -> None:
        """Take `run` for what comes next."""
        early, head = self._with([i for i, _ in run])
        self._early = early
        self.head = head
        self.run = run

    def passed(self, i: int) -> None:
        """Note that `i` is evaluated by the reader, who was given nothing."""
        early, head = self._with([i])
        self._early = early
        self.head = head
        self.given = i

    def _with(self, indices: list[int]) -> tuple[set[int], int]:
        """Return where it stands if `indices` were read."""
        head, early = self.head, self._early.union(map(self.indices.index, indices))
        while head in early:
            early.discard(head)
            head += 1
        return early, head

    def give_back(self, i: int) -> None:
        """Have `i`, which it got last, to be read again."""
        early, head, tail = self._without([i])
        self._early = early
        self.head = head
        self.tail = tail
        self.given = None

    def return_to(self, ready: dict[int, Any]) -> None:
        """Have what was taken back ready."""
        ready.update(self.back)
        early, head, tail = self._without([i for i, _ in self.back])
        self._early = early
        self.head = head
        self.tail = tail
        self.back = deque()

    def _without(self, indices: list[int]) -> tuple[set[int], int, int]:
        """Return where it stands if `indices` were not read."""
        positions = set(map(self.indices.index, indices))
        head = min(self.head, *positions)
        early = self._early.union(range(head, self.head)) - positions
        return early, head, min(self.tail, head)

    def end_at(self, i: int) -> None:
        """Note that there is no item `i`, nor any behind it."""
        self.indices = self.indices[: self.indices.index(i)]


class Follower(Cursor):
    """A reader that does not say what it is going to read: it is guessed.

    It is taken to go on one by one, or at the distance of its last reads if that was
    the same twice. After a jump so far that nothing of the window is of use, nothing
    is read ahead before the guess has come true once.
    """

    __slots__ = ("_aimed", "_distance", "_near", "_patient", "_previous", "_stop")

    def __init__(self, size: int | None, near: int) -> None:
        super().__init__(range(0))
        self._stop = ENDLESS if size is None else size
        self._near = near  # a jump over at most so many is a short one
        self._previous: int | None = None
        self._distance = 1
        self._patient = False
        self._aimed = False  # what it is going to read was said, after all

    @property
    def patient(self) -> bool:
        """Whether to wait until the guess has come true."""
        return self._patient

    def find(self, i: int) -> int | None:
        """Return the position of `i` if the reader goes on as guessed, or skips a little."""
        position = super().find(i)
        if self._aimed:
            self._aimed = position is not None
            self._previous = i if position is not None else None
            return position
        if position is None or position > self.head + self._near or self._previous is None:
            return None
        distance = i - self._previous
        if not distance:  # asked again: it was not ready
            return position
        if distance == self._distance != self.indices.step:  # type: ignore[attr-defined]
            return None
        self._patient = False
        self._previous, self._distance = i, distance
        return position

    def aim(self, indices: Sequence[int]) -> None:
        """Believe that `indices` come next, until something else is read."""
        self.indices = indices
        self.head = self.tail = 0
        self._aimed, self._patient = True, False

    def jump(self, i: int) -> bool:
        """Go on from `i`, at the distance of the last two reads if they agree."""
        distance = 1 if self._previous is None else i - self._previous
        step = distance if distance and distance == self._distance else 1
        self._patient = step == 1 and abs(distance) > self._near
        self._distance = distance or self._distance
        self._previous = i
        self.indices = range(i, self._stop if step > 0 else -1, step)
        self.head = self.tail = 0
        return True
