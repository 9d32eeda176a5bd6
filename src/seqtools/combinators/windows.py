"""Items in overlapping rows."""

import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from seqtools._core.checks import check_count, check_source
from seqtools._core.indices import LIMIT, Indices, TooManyIndices, as_array, as_list, is_run
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, read_many
from seqtools._core.spans import Spans
from seqtools._core.walk import draw_index_of, is_stage


class Windows(Spans):
    """Items in rows, of which each begins some items after the one before."""

    __slots__ = ("_step", "_width")

    def __init__(self, sequence: Any, width: int, step: int) -> None:
        super().__init__(sequence, True)  # noqa: FBT003 -- as of a batch
        self._width, self._step = width, step

    def _count(self, n: int) -> int:
        return max(0, (n - self._width) // self._step + 1)

    def _get(self, i: int) -> Any:
        self._length()
        start = i * self._step
        return _row(self._items(range(start, start + self._width)))

    def _get_many(self, indices: Indices) -> Sequence[Any]:
        self._length()
        source, width = self._sequence, self._width
        if _is_sliced(source):
            starts = [i * self._step for i in as_list(indices)]
            if max(starts, default=0) + width <= len(source):  # a slice would be cut without error
                return [_row(source[start : start + width]) for start in starts]
        if not self._in_bulk() or not _is_uniform(source):
            return super()._get_many(indices)
        try:
            ((_, js),) = self._reads(indices)
        except TooManyIndices:
            return super()._get_many(indices)
        # If it fails, the caller reads the windows one by one, and finds the item.
        items = read_many(source, js)
        return [_row(items[start : start + width]) for start in range(0, len(items), width)]

    def _set(self, i: int, value: Any) -> NoReturn:
        del i, value
        message = (
            "items of windows cannot be assigned, because windows may overlap: assign to the "
            "items of the sequence"
        )
        raise TypeError(message)

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        width, step = self._width, self._step
        if width == step and is_run(indices) and indices:
            return [(self._sequence, range(indices[0] * step, (indices[-1] + 1) * step))]
        import numpy as np

        if len(indices) > LIMIT // width:
            raise TooManyIndices
        starts = as_array(indices)[:, np.newaxis] * step
        return [(self._sequence, (starts + np.arange(width)).ravel())]

    def _made_from(self, indices: Indices) -> list[tuple[Any, Indices | None, bool]]:
        if self._step <= self._width and is_run(indices) and indices:  # each item once
            first, last = indices[0] * self._step, indices[-1] * self._step
            return [(self._sequence, range(first, last + self._width), True)]
        return super()._made_from(indices)

    def _users(self, number: int, js: Any, n: int) -> Any:
        del number, n
        import numpy as np

        # the windows that begin at j, and those that begin before it and reach it
        places = np.subtract.outer(js // self._step, np.arange(-(-self._width // self._step)))
        begin = places * self._step
        reached = (begin >= 0) & (begin + self._width > js[:, np.newaxis])
        return places[reached]

    def _draw_index(self, i: int) -> int:
        """Return that of the first item, with which no other window begins."""
        of_source = draw_index_of(self._sequence)
        return i * self._step if of_source is None else of_source(i * self._step)

    def _rebuild(self, *sources: Any) -> "Windows":
        return Windows(sources[0], self._width, self._step)

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self._width, self._step


def _row(items: Any) -> Any:
    """Return the items of a window, as a list if they are no array."""
    return items if items.__class__ is list or hasattr(items, "dtype") else list(items)


def _is_sliced(source: Any) -> bool:
    """Return whether slices of `source` have what `read_many` reads at consecutive indices."""
    numpy = sys.modules.get("numpy")  # it is imported if there is an array
    arrays = () if numpy is None else (numpy.ndarray,)
    return isinstance(source, (list, tuple, range, *arrays))


def _is_uniform(source: Any) -> bool:
    """Return whether all bulk reads of `source` are arrays, or all lists.

    A stage with several sources may pass on an array of one, and make a list of items of two.
    """
    while is_stage(source):
        sources = source._sources()
        if len(sources) != 1:
            return not sources
        (source,) = sources
    return True


def windows(sequence: Source[Any], size: int, step: int = 1) -> LazySequence[Any]:
    """Return rows of `size` neighbouring items of `sequence`, each `step` items after the last one.

    Item `i` is a list of the items from `i * step` to `i * step + size - 1`; there are only whole
    windows. Of a numpy array, it is a slice, which is a view of the array and no copy. It is an
    array too if the items come from one through stages that pass on whole arrays, such as slices.
    Each item is read again for every window that it is in: `add_cache` keeps results of a costly
    function. Several windows, such as those of a batch, are read with one call if `sequence`
    supports that: see `batch`. Windows cannot be assigned, because they may overlap.

    Args:
        sequence: The sequence to take items from.
        size: Number of items in a window, at least 1.
        step: Number of items from the beginning of one window to that of the next, at least 1. If
            it is larger than `size`, the items between are left out.

    Raises:
        ValueError: If `size` or `step` is less than 1.
        TypeError: If `sequence` is not a sequence.

    Example:
        >>> list(windows("abcde", 3))
        [['a', 'b', 'c'], ['b', 'c', 'd'], ['c', 'd', 'e']]
        >>> list(windows(range(9), 2, step=4))
        [[0, 1], [4, 5]]
    """
    check_source(sequence)
    return Windows(sequence, check_count(size, 1, "size"), check_count(step, 1, "step"))
