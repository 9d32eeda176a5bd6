"""The order of a run: epochs, each of which has every item once, in an order of its own.

An epoch is one permutation of all items; or, if items are stored in blocks, blocks in random order,
which are divided into groups of few blocks, each shuffled by itself.

What was computed for an epoch is kept for some epochs, because several may be read side by side.
`functools.lru_cache` is safe to use in threads, and holds no lock that a fork could leave locked.
"""

import math
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Protocol

from seqtools._core.chance.seeds import Seed
from seqtools._core.indices import Indices, as_array, within
from seqtools._core.order.permutation import Permutation, permutation

_KEPT = 64
"""Epochs whose permutation is kept: at most 32 KB for each. Arbitrary."""
_KEPT_BLOCKS = 4
"""Epochs whose order of blocks is kept: two integers for each block. Arbitrary."""
_KEPT_GROUPS = 64
"""Groups of blocks whose permutation is kept, for each of these epochs: at most 32 KB for each.
Arbitrary."""

_PIECE = 1 << 16
"""Items of an epoch that are compared at once in a search. Arbitrary."""

BATCH = 256
"""Items of the batches of which `mixing` is told. Arbitrary."""


class Order(Protocol):
    """The order of an epoch. Indices are not checked."""

    def at(self, i: int) -> int:
        """Return the item at index `i`."""

    def at_many(self, indices: Any) -> Any:
        """Return the items at an array of indices."""


class Epochs:
    """The items at the positions of a run of any number of epochs, each of `length` items."""

    def __init__(self, length: int, order: Callable[[int], Order], kept: int) -> None:
        self.length = length
        self._order = lru_cache(kept)(order)

    def at(self, i: int) -> int:
        """Return the item at position `i`."""
        epoch, index = divmod(i, self.length)
        return self._order(epoch).at(index)

    def at_many(self, indices: Indices) -> Any:
        """Return an array of the items at the positions of a range or an array."""
        if isinstance(indices, range) and indices:
            epoch = indices[0] // self.length
            if epoch == indices[-1] // self.length:  # no arithmetic on arrays is needed
                inside = as_array(within(range(-epoch * self.length, 1), indices))
                return self._order(epoch).at_many(inside)
        positions = as_array(indices)
        if not positions.size:
            return positions
        numbers = positions // self.length
        return _each(
            numbers,
            positions - numbers * self.length,
            lambda epoch, inside: self._order(epoch).at_many(inside),
        )

    def where(self, items: Any, n: int) -> Any:
        """Return an array of the positions below `n` of an array of items, epoch after epoch."""
        import numpy as np

        found = [np.empty(0, np.int64)]
        for epoch in range(-(-n // self.length) if self.length else 0):
            inside = _where(self._order(epoch), items, self.length)
            found.append(inside[inside < self.length] + epoch * self.length)
        return np.concatenate(found)


def _where(order: Order, items: Any, length: int) -> Any:
    """Return the indices of items in an epoch; those that are left out may be past its end."""
    where = getattr(order, "where", None)
    if where is not None:
        return where(items)
    import numpy as np

    return np.concatenate(
        [
            start + np.flatnonzero(np.isin(order.at_many(as_array(piece)), items))
            for start in range(0, length, _PIECE)
            for piece in (range(start, min(length, start + _PIECE)),)
        ]
    )


def shuffled(n: int, length: int, seed: Seed) -> Epochs:
    """Return epochs of the first `length` of all `n` items, shuffled fully."""
    return Epochs(length, lambda epoch: permutation(n, (seed, epoch)), _KEPT)


def shuffled_blocks(sizes: Any, length: int, seed: Seed, opened: int) -> Epochs:
    """Return epochs of the first `length` items of blocks, of which `opened` are in use at once."""
    import numpy as np

    firsts = np.cumsum(sizes) - sizes
    there = sizes > 0
    order = partial(Blocks, sizes[there], firsts[there], opened, seed)
    return Epochs(length, order, _KEPT_BLOCKS)


class Blocks:
    """Blocks in random order, divided into groups of `opened` blocks that are shuffled together.

    The blocks stand in a line, in their random order, and groups are parts of it. An index
    belongs to a group, whose permutation gives the position in the line where the item is.

    If the number of blocks is no multiple of `opened`, all groups are a little smaller: of a last
    group with few blocks, batches would be badly mixed.
    """

    def __init__(self, sizes: Any, firsts: Any, opened: int, seed: Seed, epoch: int) -> None:
        import numpy as np

        self._number = number = len(sizes)
        self._groups = _groups(number, opened)
        order = permutation(number, (seed, epoch, "blocks")).at_many(np.arange(number))
        self._starts = np.concatenate([[0], np.cumsum(sizes[order])])  # of the blocks, in the line
        self._shifts = firsts[order] - self._starts[:-1]  # from a position in the line to the item
        # views whose items are integers of Python, for single items
        self._read_starts: Any = memoryview(self._starts.data)
        self._read_shifts: Any = memoryview(self._shifts.data)
        make = partial(_group, self._starts, self._groups, seed, epoch)
        self._group = lru_cache(_KEPT_GROUPS)(make)

    def at(self, i: int) -> int:
        """Return the item at index `i`."""
        starts = self._read_starts
        group = (bisect_right(starts, i) * self._groups - 1) // self._number
        _, begin, shuffled = self._group(group)
        there = begin + shuffled.at(i - begin)
        return self._read_shifts[bisect_right(starts, there) - 1] + there  # type: ignore[no-any-return]

    def at_many(self, indices: Any) -> Any:
        """Return the items at an array of indices."""
        import numpy as np

        blocks = np.searchsorted(self._starts, indices, side="right")
        return _each((blocks * self._groups - 1) // self._number, indices, self._in_group)

    def _in_group(self, group: int, indices: Any) -> Any:
        import numpy as np

        blocks, begin, shuffled = self._group(group)
        there = begin + shuffled.at_many(indices - begin)
        block = np.searchsorted(self._starts[blocks], there, side="right") - 1
        return self._shifts[blocks][block] + there


def _groups(number: int, opened: int) -> int:
    """Return into how many groups a number of blocks is divided.

    Block `b` of the line is in group `((b + 1) * groups - 1) // number`.
    """
    return -(-number // opened)


def _group(
    starts: Any, groups: int, seed: Seed, epoch: int, number: int
) -> tuple[slice, int, Permutation]:
    """Return the blocks of a group, where it begins in the line, and the order of its items."""
    count = len(starts) - 1
    first, last = number * count // groups, (number + 1) * count // groups
    begin, end = int(starts[first]), int(starts[last])
    order = permutation(end - begin, (seed, epoch, "group", number))
    return slice(first, last), begin, order


def _each(numbers: Any, indices: Any, change: Callable[[int, Any], Any]) -> Any:
    """Return `change(number, indices)` for the indices of each of `numbers`, in their order."""
    import numpy as np

    if numbers[0] == numbers[-1] and numbers.min() == numbers.max():
        return change(int(numbers[0]), indices)
    order = np.argsort(numbers, kind="stable")
    cuts = np.flatnonzero(np.diff(numbers[order])) + 1
    result = np.empty_like(indices)
    for part in np.split(order, cuts):
        result[part] = change(int(numbers[part[0]]), indices[part])
    return result


def mixing(sizes: Any, opened: int) -> str:
    """Return in words how well blocks are mixed, at worst.

    At worst, all items of a block have one label, as in sorted data. Two items of a batch are of
    one block with a probability of c / m, if `m` of `N` blocks are open, and `c` is the mean of the
    squared sizes by the square of their mean. Different blocks of a group are a little less alike
    than chance has it, because no block is there twice. Together, the variance of the share of a
    label in batches of `B` items is 1 + B * c / m * (1 - (m - 1) / (N - 1)) times that of a full
    shuffle.
    """
    sizes = sizes[sizes > 0].astype(float)
    number = len(sizes)
    if number <= opened:
        return f"all {number} blocks at once: a full shuffle"
    mean = number / _groups(number, opened)
    together = min(1.0, float((sizes**2).mean() / sizes.mean() ** 2) / mean)
    times = 1 + BATCH * together * (1 - (mean - 1) / (number - 1))
    shown = f"{times:.1f}" if times < 10 else f"{times:,.0f}"  # noqa: PLR2004 -- two digits
    return (
        f"{math.ceil(mean)} of {number:,} blocks at once: label shares in batches of {BATCH} "
        f"have up to {shown} times the variance of a full shuffle"
    )
