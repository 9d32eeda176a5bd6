"""Items of a sequence at given indices: `gather`, and a list or an array in square brackets."""

import operator
from typing import Any, TypeVar

from seqtools._core import keys, sequence
from seqtools._core.checks import WHERE, as_index
from seqtools._core.indices import (
    ENDLESS,
    Indices,
    all_below,
    as_array,
    as_list,
    within,
)
from seqtools._core.rearrangement import Rearrangement
from seqtools._core.resume import plain
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import getter, read_many, size_of
from seqtools._core.views import Compress
from seqtools._core.walk import is_stage

T = TypeVar("T")


class Gather(Rearrangement[T]):
    """Items of a sequence at given indexes."""

    __slots__ = ("_below", "_index_at", "_indexes")

    def __init__(self, sequence: Any, indexes: Any) -> None:
        super().__init__(sequence)
        self._indexes = indexes
        self._index_at = getter(indexes)
        self._below = 0  # all valid indices are below this; 0 until the length is known

    def _forget(self) -> None:
        self._below = 0

    def _size(self) -> int | None:
        return size_of(self._indexes)

    def _get(self, i: int) -> T:
        given = j = self._index_at(i)
        if given.__class__ is not int:
            try:
                j = operator.index(given) if given.__class__ is not bool else None
            except TypeError:
                j = None
            if j is None:
                j = as_index(given, f"indexes[{i}]", WHERE)  # raises the error
        if not 0 <= j < self._below:
            j = self._found(i, j)
        return self._getters[0](j)  # type: ignore[no-any-return]

    def _locate(self, i: int) -> tuple[int, int]:
        return 0, self._found(i, as_index(self._index_at(i), f"indexes[{i}]", WHERE))

    def _found(self, i: int, given: int) -> int:
        """Return the index `given` at place `i`, counted from the beginning."""
        n = size_of(self._sequences[0])
        self._below = ENDLESS if n is None else n
        j = given
        if j < 0 and n is not None:
            j += n
        if j < 0 or j >= self._below:
            length = "unknown length" if n is None else f"length {n}"
            message = f"indexes[{i}] is {given}, out of range for a sequence of {length}"
            raise IndexError(message)
        return j

    def _runs(self, indices: Indices) -> list[tuple[int, Indices]]:
        n = size_of(self._sequences[0])
        if isinstance(self._indexes, range) and isinstance(indices, range):
            js = within(self._indexes, indices)
            ends = (js[0], js[-1]) if js else ()
            if n is not None and all(-n <= j < 0 for j in ends):
                return [(0, range(js.start + n, js.stop + n, js.step))]  # type: ignore[attr-defined]
            if all(j >= 0 and (n is None or j < n) for j in ends):
                return [(0, js)]
        chosen = _integers(read_many(self._indexes, indices))
        if not all_below(chosen, ENDLESS if n is None else n):
            chosen = as_array([self._locate(i)[1] for i in as_list(indices)])
        return [(0, chosen)]

    def _sources(self) -> tuple[Any, ...]:
        return self._sequences[0], self._indexes

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        plain = isinstance(self._indexes, range | list | tuple) or hasattr(self._indexes, "dtype")
        if not plain or is_stage(self._indexes):  # the reads depend on its values
            return [(self._indexes, indices)]
        try:
            return [(self._sequences[0], self._runs(indices)[0][1]), (self._indexes, indices)]
        except (IndexError, OverflowError, TypeError):  # its reader gets the error
            return [(self._indexes, indices)]

    def _made_from(self, indices: Indices) -> list[tuple[Any, Indices | None, bool]]:
        reads = self._reads(indices)
        if len(reads) > 1:
            return [(self._sequences[0], reads[0][1], True)]
        lazy = [(self._indexes, indices, True)] if is_stage(self._indexes) else []
        return [*lazy, (self._sequences[0], None, False)]

    def _users(self, number: int, js: Any, n: int) -> Any:
        if number == 1:
            return js
        # a list of valid indices is searched by the base class, all else as `_reads` says
        ends = (range(min(1, n)), range(max(0, n - 1), n))
        if not all(len(self._reads(end)) > 1 for end in ends):
            return None
        try:
            return super()._users(number, js, n)
        except (IndexError, OverflowError, TypeError):
            return None

    def _identity(self) -> Any:
        return "gather", "source" if is_stage(self._indexes) else plain(self._indexes)

    def _rebuild(self, *sources: Any) -> "Gather[T]":
        return Gather(*sources)

    def _args(self) -> tuple[Any, ...]:
        return self._sequences[0], self._indexes


def several(stage: LazySequence[T], key: Any) -> LazySequence[T]:
    """Return the items of `stage` that `key` chooses, which is neither an integer nor a slice."""
    if is_stage(key):
        return Gather(stage, key)
    key = keys.as_plain(key)
    if keys.is_mask(key):
        return Compress.of(stage, key)
    return Gather(stage, keys.indices(key, stage._length()))


def _integers(given: Any) -> Any:
    """Return `given` as an array of integers; raise `TypeError` if an item is no integer."""
    import numpy as np

    if getattr(getattr(given, "dtype", None), "kind", "") in ("i", "u"):
        return as_array(given)
    classes = set(map(type, given))
    if bool in classes:
        message = f"indexes must be integers, got booleans: {WHERE}"
        raise TypeError(message)
    if classes == {int}:
        return np.array(given, np.int64)
    return np.fromiter(map(operator.index, given), np.int64, len(given))


sequence.view_of_several = several
