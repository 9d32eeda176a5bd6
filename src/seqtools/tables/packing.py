"""Which items go together in packs and in padded batches, computed from their lengths alone.

Results are tables `(items, starts)`: part `k` has the items `items[starts[k] : starts[k + 1]]`,
which ascend, and parts ascend by their first item.
"""

from collections.abc import Iterator
from typing import Any

STEPS = (1 << 16) - 1
"""Most different lengths that packing distinguishes. Arbitrary: rounding up to 1/65,535 of the
capacity costs nothing that matters, and work and memory stay bounded if the capacity is 10⁹."""


def packed(lengths: Any, capacity: int) -> tuple[Any, Any]:
    """Return the table of packs: items whose lengths have a sum of at most `capacity`.

    This is best fit decreasing: from the longest item to the shortest, each goes where the room
    that is left is the least that suffices. It needs at most 11/9 of the fewest packs possible, and
    one more (D. S. Johnson, Near-optimal bin packing algorithms, 1973). All items of one length are
    placed at once, so that a million lengths take a fraction of a second.

    Args:
        lengths: An array of integers from 0 to `capacity`.
        capacity: Largest sum of the lengths of a pack, at least 1.
    """
    import numpy as np

    lengths = np.asarray(lengths, np.int64)
    grid = -(-capacity // STEPS)
    room = capacity // grid
    # an item that is longer after rounding up than all room is alone
    sizes = np.minimum(-(-lengths // grid), room)
    pack_of = np.empty(len(sizes), np.int64)
    packs = _Packs(room)
    for size, items in _by_size(sizes):
        if size:
            packs.place(size, items, pack_of)
        else:  # they fit anywhere
            packs.count = packs.count or 1
            pack_of[items] = np.arange(len(items)) % packs.count
    return _table(pack_of, packs.count)


def padded(lengths: Any, capacity: int, multiple_of: int = 1) -> tuple[Any, Any]:
    """Return the table of batches: the count times the longest is at most `capacity` in each.

    The longest is rounded up to a multiple of `multiple_of`. From the longest item to the shortest,
    a batch takes as many as fit, so that there are as few batches as possible.

    Args:
        lengths: An array of integers from 0; the longest one, rounded up, is at most `capacity`.
        capacity: Largest number of elements in a batch, those that are padded included.
        multiple_of: What the longest is rounded up to.
    """
    import numpy as np

    lengths = -(-np.asarray(lengths, np.int64) // multiple_of) * multiple_of
    order = np.argsort(-lengths, kind="stable")
    batch_of = np.empty(len(order), np.int64)
    first = count = 0
    while first < len(order):
        stop = first + capacity // max(int(lengths[order[first]]), 1)
        batch_of[order[first:stop]] = count
        first, count = stop, count + 1
    return _table(batch_of, count)


class _Packs:
    """Packs that are being filled, by the room that is left in them."""

    def __init__(self, capacity: int) -> None:
        self.count = 0
        self._capacity = capacity
        self._with_room: dict[int, list[Any]] = {}  # room -> arrays of packs that have it
        self._rooms = 0  # bit r is set if there is a pack with room r

    def place(self, size: int, items: Any, pack_of: Any) -> None:
        """Write the packs of `items`, which all have `size`, to `pack_of`."""
        import numpy as np

        while items.size:
            enough = self._rooms >> size
            if enough:
                room = size + (enough & -enough).bit_length() - 1
                packs = self._take(room)
            else:
                room = self._capacity
                new = -(-items.size // (room // size))
                packs = np.arange(self.count, self.count + new)
                self.count += new
            each = room // size  # then less room is left than an item needs
            used = min(packs.size, -(-items.size // each))
            placed = min(items.size, used * each)
            pack_of[items[:placed]] = np.repeat(packs[:used], each)[:placed]
            items = items[placed:]
            full = placed // each
            self._put(room - each * size, packs[:full])
            self._put(room - (placed - full * each) * size, packs[full:used])
            self._put(room, packs[used:])

    def _take(self, room: int) -> Any:
        parts = self._with_room[room]
        packs = parts.pop()
        if not parts:
            self._rooms ^= 1 << room
        return packs

    def _put(self, room: int, packs: Any) -> None:
        if packs.size:
            self._with_room.setdefault(room, []).append(packs)
            self._rooms |= 1 << room


def _by_size(sizes: Any) -> Iterator[tuple[int, Any]]:
    """Yield each of the `sizes`, descending, and the items that have it, ascending."""
    import numpy as np

    # numpy sorts integers of 16 bits by radix, several times as fast as others
    order = np.argsort((STEPS - sizes).astype(np.uint16), kind="stable")
    cuts = np.flatnonzero(np.diff(sizes[order])) + 1
    for items in np.split(order, cuts) if len(order) else ():
        yield int(sizes[items[0]]), items


def _table(part_of: Any, count: int) -> tuple[Any, Any]:
    """Return the table of `count` parts, none of them empty, given the part of each item."""
    import numpy as np

    n = len(part_of)
    first = np.empty(count, np.int64)
    first[part_of[::-1]] = np.arange(n - 1, -1, -1)  # what is assigned last stays
    place = np.empty(count, np.int64)
    place[np.argsort(first)] = np.arange(count)
    part_of = place[part_of]
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(part_of, minlength=count), out=starts[1:])
    return np.argsort(part_of, kind="stable"), starts
