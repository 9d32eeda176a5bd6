"""How long runs are, and where they end: a pure state machine.

A run should be worth a message, and should keep no reader waiting: it takes about `grain`
seconds, as far as the times of items so far tell. It ends where its group ends, for example with
the last item of a file, if the engine wants items of one group to be evaluated by one worker.
"""

from collections.abc import Hashable, Sequence

from seqtools.engines.base import GroupOf
from seqtools.prefetching.run import first_of

_NEAR = 4
"""The mean time is moved by a factor of so much at most, so that a single item does not decide.
Arbitrary."""
_NEGLIGIBLE = 10
"""What takes less than a grain divided by this is as soon done by one worker as by several.
Arbitrary: 0.5 ms with threads."""
_DOUBLINGS = 16
"""Most of them: a run of 65,536 items is long enough. Arbitrary."""
_FEW = 64
"""Indices after which it is seen that hardly any share something. Arbitrary."""
_PASS = 4096
"""Indices not to look at then. Arbitrary: finding the group of an index takes up to 50 µs."""


class Cutter:
    """Cuts what a reader is going to read into runs."""

    def __init__(self) -> None:
        self.grain = 0.0
        """Seconds of work that are worth a message."""
        self.seconds: float | None = None
        """How long an item takes, by a moving average; `None` before one was timed."""
        self._fitting = 1  # so many items are worth a message
        self._longest = 1  # a run may have so many items, by those that have arrived
        self._group_of: GroupOf | None = None
        self._no_groups: GroupOf | None = None  # which has been found to be of no use
        self._pass = 0  # so many indices are not looked at
        self._items = 0  # that were looked at
        self._keys: set[Hashable] = set()  # of their groups

    def use(self, group_of: GroupOf | None) -> None:
        """Have runs end at the ends of these groups, or anywhere if it is `None`."""
        if group_of is not self._no_groups:
            self._group_of = group_of

    def timed(self, seconds: float, n: int) -> None:
        """Note that `n` items were evaluated one after the other, in so many seconds each.

        A run may become twice as long as what has arrived together.
        """
        if self.seconds is None:
            self.seconds = seconds
        else:
            near = min(max(seconds, self.seconds / _NEAR), _NEAR * self.seconds)
            self.seconds += 0.5 * (near - self.seconds)
        self._fitting = max(1, int(self.grain / max(self.seconds, 1e-9)))
        self._longest = min(self._fitting, max(self._longest, 2 * n))

    @property
    def negligible(self) -> int:
        """How many items take so little that it does not matter which worker evaluates them."""
        return self._fitting // _NEGLIGIBLE

    def length(self, most: int, doublings: int = 0) -> int:
        """Return the number of items of the next run, at most `most`.

        What is further ahead may be longer, by some `doublings`: or else a large window would be
        filled with hundreds of short runs at first.
        """
        return max(1, min(self._longest << min(doublings, _DOUBLINGS), self._fitting, most))

    def cut(self, indices: Sequence[int]) -> tuple[Sequence[int], Hashable]:
        """Return the first of `indices`, up to the end of their group, and the group."""
        if self._group_of is None:
            return indices, None
        if self._pass:
            self._pass = max(0, self._pass - len(indices))
            return indices, None
        key, group = self._group_of(int(indices[0]))
        if key is None:  # this pipeline has no groups
            self._no_groups, self._group_of = self._group_of, None
            return indices, None
        if len(group) < self._longest:
            self._pass = self._longest
            return indices, None
        n = _within(indices, group)
        self._items += n
        self._keys.add(key)
        if self._items >= _FEW:
            if self._items < 2 * len(self._keys):
                self._pass = _PASS
            self._items = 0
            self._keys.clear()
        return indices[:n], key


def _within(indices: Sequence[int], group: range) -> int:
    """Return how many of the first `indices` lie in `group`, which has the first one."""
    if isinstance(indices, range) and indices.step == group.step == 1:
        return min(len(indices), group.stop - indices[0])
    k = first_of([i not in group for i in indices])
    return len(indices) if k < 0 else k
