"""Sequences end to end: `concatenate`, and `+`."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, TypeVar

from seqtools._core import blocks, sequence
from seqtools._core.checks import check_source
from seqtools._core.indices import Indices, as_array, is_run
from seqtools._core.rearrangement import Rearrangement
from seqtools._core.sources import getter, size_of
from seqtools._core.walk import nesting, summed

T = TypeVar("T")


class Concatenate(Rearrangement[T]):
    """Sequences end to end; a concatenation among them is replaced by its sequences."""

    __slots__ = ()

    def __init__(self, *sequences: Any) -> None:
        parts: list[Any] = []
        getters: list[Any] = []
        for each in sequences:
            if type(each) is Concatenate:
                parts += each._sequences  # noqa: SLF001 -- of this module
                getters += each._getters  # noqa: SLF001
            else:
                parts.append(each)
                getters.append(getter(each))
        self._sequences, self._getters = tuple(parts), tuple(getters)
        # Of the arguments: a loop that appends sequences must not visit all of them again
        depth = max((nesting(s) - (type(s) is Concatenate) for s in sequences), default=0)
        self._summary = summed(self._traits, sequences)._replace(nesting=1 + depth)

    @property
    def blocks(self) -> Any:
        """The blocks of all sequences, if each has some."""
        return blocks.joined(self._sequences)

    def _arrange(self) -> list[int]:
        """Return where each sequence begins."""
        sizes: Any = map(size_of, self._sequences[:-1])  # only the last may have none
        return [0, *accumulate(sizes)]

    def _size(self) -> int | None:
        starts: list[int] = self._layout or self._arranged()
        n = size_of(self._sequences[-1]) if self._sequences else 0
        return None if n is None else starts[-1] + n

    def _locate(self, i: int) -> tuple[int, int]:
        starts = self._layout or self._arranged()
        k = bisect_right(starts, i) - 1
        return k, i - starts[k]

    def _runs(self, indices: Indices) -> list[tuple[int, Indices]]:
        if not indices if isinstance(indices, range) else not len(indices):
            return []
        starts: list[int] = self._layout or self._arranged()
        if is_run(indices):
            first, last = (bisect_right(starts, i) - 1 for i in (indices[0], indices[-1]))
            ends = [*starts[first + 1 : last + 1], indices[-1] + 1]
            begins = [indices[0], *ends[:-1]]
            cuts = zip(range(first, last + 1), begins, ends, strict=True)
            return [(k, range(b - starts[k], e - starts[k])) for k, b, e in cuts if b < e]
        import numpy as np

        flat = as_array(indices)
        number = np.searchsorted(starts, flat, side="right") - 1
        spans = np.split(np.arange(flat.size), np.flatnonzero(np.diff(number)) + 1)
        return [(int(number[b[0]]), flat[b] - starts[number[b[0]]]) for b in spans]

    def _users(self, number: int, js: Any, n: int) -> Any:
        del n
        starts: list[int] = self._layout or self._arranged()
        return js + starts[number]

    def _rebuild(self, *sources: Any) -> "Concatenate[T]":
        return Concatenate(*sources)

    def _args(self) -> tuple[Any, ...]:
        return self._sequences


def concatenation(sequences: Sequence[Any], names: Sequence[str]) -> Concatenate[Any]:
    """Return `sequences` end to end.

    Raises:
        TypeError: If one of them is no sequence; the message has its name.
        ValueError: If one before the last has no length.
    """
    for k, (each, name) in enumerate(zip(sequences, names, strict=True)):
        check_source(each, name)
        last = each
        if type(last) is Concatenate and last._sequences:  # noqa: SLF001 -- of this module
            last = last._sequences[-1]  # noqa: SLF001 -- the only one that may have no length
        if k < len(sequences) - 1 and size_of(last) is None:
            message = f"only the last sequence may be without length, got one as {name}"
            raise ValueError(message)
    return Concatenate(*sequences)


sequence.concatenation = concatenation
