"""The length of runs, and where they end: a pure state machine.

A run should be worth a message, but not so long that a reader waits for it. So it takes about
`grain` seconds, estimated from the times of previous items. If the engine wants one worker to
evaluate all items of a group, a run ends with its group, for example with the last item of a file.
"""

from collections.abc import Hashable, Sequence

from seqtools.engines.base import GroupOf
from seqtools.prefetching.run import first_of

_NEAR = 4
"""The mean time changes at most by this factor, so that no single item decides. Arbitrary."""
_NEGLIGIBLE = 10
"""Work of less than a grain divided by this takes one worker no longer than several. Arbitrary:
0.5 ms with threads."""
_DOUBLINGS = 16
"""Most doublings: a run of 65,536 items is long enough. Arbitrary."""
_FEW = 64
"""Indices after which it is decided whether groups are of any use. Arbitrary."""
_SKIP = 4096
"""Indices whose groups are then not looked up. Arbitrary: a lookup takes up to 50 µs."""


class Cutter:
    """Cuts the indices that a reader is going to read into runs."""

    def __init__(self) -> None:
        self.grain = 0.0
        """Seconds of work that are worth a message."""
        self.seconds: float | None = None
        """Moving average of the seconds that an item takes; `None` before one was timed."""
        self._fitting = 1  # the number of items that are worth a message
        self._longest = 1  # the longest run, twice as long as the longest that has arrived
        self._group_of: GroupOf | None = None
        self._no_groups: GroupOf | None = None  # groups that were found to be of no use
        self._skip = 0  # the number of next indices whose groups are not looked up
        self._items = 0  # items whose groups were looked up
        self._keys: set[Hashable] = set()  # the groups of these items

    def use(self, group_of: GroupOf | None) -> None:
        """End runs at the ends of these groups, or anywhere if `group_of` is `None`."""
        if group_of is not self._no_groups:
            self._group_of = group_of

    def timed(self, seconds: float, n: int) -> None:
        """Note that `n` items were evaluated one after the other, in `seconds` each.

        The next runs may be twice as long as `n`.
        """
        if self.seconds is None:
            self.seconds = seconds
        else:
            near = min(max(seconds, self.seconds / _NEAR), _NEAR * self.seconds)
            self.seconds += 0.5 * (near - self.seconds)
        self._fitting = max(1, round(self.grain / max(self.seconds, 1e-9)))
        self._longest = min(self._fitting, max(self._longest, 2 * n))

    @property
    def negligible(self) -> int:
        """The number of items that take one worker no longer than several."""
        return self._fitting // _NEGLIGIBLE

    @property
    def worthwhile(self) -> int:
        """The number of items that take an eighth of a grain: less is no run of its own."""
        return self._fitting // 8

    def length(self, most: int, doublings: int = 0) -> int:
        """Return the number of items of the next run, at most `most`.

        Runs further ahead may be longer, by a number of `doublings`; otherwise a large window
        would at first be filled with hundreds of short runs.
        """
        return max(1, min(self._longest << min(doublings, _DOUBLINGS), self._fitting, most))

    def cut(self, indices: Sequence[int]) -> tuple[Sequence[int], Hashable]:
        """Return the first of `indices`, up to the end of their group, and the group."""
        if self._group_of is None:
            return indices, None
        if self._skip:
            self._skip = max(0, self._skip - len(indices))
            return indices, None
        key, group = self._group_of(int(indices[0]))
        if key is None:  # this pipeline has no groups
            self._no_groups, self._group_of = self._group_of, None
            return indices, None
        if len(group) < self._longest:
            self._skip = self._longest
            return indices, None
        n = _within(indices, group)
        self._items += n
        self._keys.add(key)
        if self._items >= _FEW:
            if self._items < 2 * len(self._keys):
                self._skip = _SKIP
            self._items = 0
            self._keys.clear()
        return indices[:n], key


def _within(indices: Sequence[int], group: range) -> int:
    """Return how many of the first `indices` are in `group`, which contains the first one."""
    if isinstance(indices, range) and indices.step == group.step == 1:
        return min(len(indices), group.stop - indices[0])
    k = first_of([i not in group for i in indices])
    return len(indices) if k < 0 else k
