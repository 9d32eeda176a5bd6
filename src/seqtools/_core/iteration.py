"""Iterators over stages: each is a separate reader, and continues after an error."""

import operator
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, repeat
from typing import Any

from seqtools._core import fusing
from seqtools._core.errors import EndOfSequence, WorkerStartError, reraise
from seqtools._core.indices import ENDLESS, Indices, TooManyIndices
from seqtools._core.positions import ended_early
from seqtools._core.walk import is_stage, summary

_MOST_CURSORS = 64
"""Most cursors for one reader. Arbitrary: the paths upstream may double at every stage."""


def iterate(stage: Any, indices: range) -> Iterator[Any]:
    """Return an iterator over the items at `indices`, for a separate reader.

    A generator that raised is finished, so `chain` continues with another one. This needs no step
    of Python for each item.
    """
    walk = Walk(stage, indices)
    # Python code between two generators could be interrupted, which would end the iterator.
    return chain.from_iterable(
        map(operator.call, iter(partial(getattr, walk, "step"), None), repeat(walk))
    )


class Walk:
    """The position of an iterator, and its handling of errors."""

    __slots__ = ("_indices", "_stage", "positions", "step")

    def __init__(self, stage: Any, indices: range) -> None:
        self._stage = stage
        self._indices = indices
        self.positions: Iterator[int] = iter(indices)
        # Called with this object for the next generator; a bound method would be a cycle.
        self.step: Callable[[Any], Iterator[Any]] | None = Walk.begin

    def begin(self) -> Iterator[Any]:
        """Open the stage, and yield nothing."""
        opened = self._stage._opened(self._indices)
        self.step = partial(fusing.loop(opened), opened)
        yield from ()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be pickled or copied, as iterators are."""
        message = (
            "cannot pickle or copy an iterator over a lazy sequence: do that with the sequence"
        )
        raise TypeError(message)

    def over(self, error: BaseException, i: int) -> bool:
        """Return whether `error` at `i` is the end; otherwise the caller raises it again."""
        if isinstance(error, EndOfSequence):
            if self._indices.stop != ENDLESS:
                ended_early(self._stage, i)
            self.step = None
        elif isinstance(error, WorkerStartError):  # it is not about this item, which is read again
            self.positions = chain((i,), self.positions)
        elif isinstance(error, Exception):
            reraise(error)
        elif fusing.was_reading(error):
            # an interrupt is not about this item, which is read again
            self.positions = chain((i,), self.positions)
        return self.step is None


def opened(stage: Any, indices: Indices) -> Any:
    """Return `stage` for one reader of `indices`: see `LazySequence._opened`."""
    if not 0 < summary(stage).cursors <= _MOST_CURSORS:
        return stage
    try:
        reads = stage._reads(indices)
    except TooManyIndices:
        return stage
    sources = stage._sources()
    copies = []
    for source in sources:
        k = next((k for k, (read, _) in enumerate(reads) if read is source), None)
        if k is None or not is_stage(source):
            copies.append(source)
        else:
            copies.append(source._opened(reads.pop(k)[1]))
    if all(new is old for new, old in zip(copies, sources, strict=True)):
        return stage
    copy = stage._rebuild(*copies)
    copy._origin = stage._origin
    return copy
