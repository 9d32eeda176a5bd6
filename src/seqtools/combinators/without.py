"""A sequence without some of its items."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, TypeVar

from seqtools._core import blocks, keys
from seqtools._core.checks import check_source
from seqtools._core.display.short import short
from seqtools._core.indices import Indices, as_array
from seqtools._core.lengths import since_refresh
from seqtools._core.rearrangement import Rearrangement
from seqtools._core.resume import plain
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, ends_unseen, size_of
from seqtools._core.walk import draw_index_of

T = TypeVar("T")


class Without(Rearrangement[T]):
    """The items of a sequence whose indices are not in an array, which ascends."""

    __slots__ = ("_before", "_left_out")

    def __init__(self, sequence: Any, left_out: Any) -> None:
        super().__init__(sequence)
        import numpy as np

        # items of a memoryview are Python integers
        self._left_out = memoryview(left_out)
        # the number of items before each of those left out, which are here too
        self._before = memoryview(left_out - np.arange(len(left_out)))

    def _size(self) -> int | None:
        n, left_out = size_of(self._sequences[0]), self._left_out
        if n is None:
            return None
        if len(left_out) and left_out[-1] >= n:
            message = (
                f"without() leaves out item {left_out[-1]} of a sequence that has {n} items"
                f"{since_refresh(self)}"
            )
            raise ValueError(message)
        return n - len(left_out)

    def _locate(self, i: int) -> tuple[int, int]:
        return 0, i + bisect_right(self._before, i)

    def _runs(self, indices: Indices) -> list[tuple[int, Indices]]:
        import numpy as np

        if isinstance(indices, range) and indices.step > 0 and indices:
            first, last = (bisect_right(self._before, i) for i in (indices[0], indices[-1]))
            if first == last:
                return [(0, range(indices.start + first, indices[-1] + first + 1, indices.step))]
        flat = as_array(indices)
        return [(0, flat + np.searchsorted(self._before.obj, flat, side="right"))]

    def _users(self, number: int, js: Any, n: int) -> Any:
        del number, n
        import numpy as np

        left_out = self._left_out.obj
        return (js - np.searchsorted(left_out, js))[~np.isin(js, left_out)]

    def _draw_index(self, i: int) -> int:
        """Return that of the item in the whole sequence."""
        (_, j), of_source = self._locate(i), draw_index_of(self._sequences[0])
        return j if of_source is None else of_source(j)

    @property
    def blocks(self) -> Any:
        """The numbers of items that are left of each block of the source."""
        sizes = blocks.of(self._sequences[0])
        return None if sizes is None else sizes - blocks.counted(sizes, self._left_out.obj)

    def _identity(self) -> Any:
        return "without", plain(self._left_out.obj)

    def _rebuild(self, *sources: Any) -> "Without[T]":
        return Without(sources[0], self._left_out.obj)

    def _args(self) -> tuple[Any, ...]:
        return self._sequences[0], self._left_out.obj


def without(sequence: Source[T], indices: Sequence[int] | Any) -> LazySequence[T]:
    """Return `sequence` without the items at `indices`; the others keep their order.

    Nothing is read or copied, and an item is found in a time that hardly depends on how many are
    left out. Assigning to an item assigns to `sequence`. Random numbers that later stages draw for
    an item stay the same as long as they keep the order.

    An item that is left out makes the sequence shorter, so a later `shuffle` has another order.

    Args:
        sequence: The sequence to take items from, which may be endless.
        indices: Integers in any order: a list, a range or an array. Negative ones count from the
            end. One that is there several times counts once.

    Raises:
        TypeError: If `sequence` is not a sequence, or `indices` are no integers. For a mask, use
            `compress(sequence, ~mask)`.
        IndexError: If there is no such item; the message names the index.

    Example:
        >>> list(without("abcdef", [1, -1]))
        ['a', 'c', 'd', 'e']
    """
    check_source(sequence)
    if not keys.is_several(indices):
        single = hasattr(indices, "__index__")
        advice = f": use [{indices}]" if single else ""
        message = f"indices must be a list or an array of integers, got {short(indices)}{advice}"
        raise TypeError(message)
    given = keys.as_plain(indices)
    if keys.is_mask(given):
        message = "indices must be integers, got a mask: use compress(sequence, ~mask)"
        raise TypeError(message)
    import numpy as np

    n = None if ends_unseen(sequence) else size_of(sequence)
    left_out = np.unique(np.asarray(keys.indices(given, n), np.int64))
    result = Without[T](sequence, left_out)
    result._length()
    return result
