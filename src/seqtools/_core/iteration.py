"""Iterating over a stage: each iterator is a reader of its own, and goes on after an error."""

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
"""Cursors for one reader. Arbitrary; ways that double at every stage would be too many."""


def iterate(stage: Any, indices: range) -> Iterator[Any]:
    """Return an iterator over the items at `indices`, read by a reader of their own.

    A generator that raised is finished, so there is one after the other, and `chain`
    goes from one to the next without a step of Python for each item.
    """
    walk = Walk(stage, indices)
    # An interrupt between two generators would end it: there is no step of Python there.
    return chain.from_iterable(
        map(operator.call, iter(partial(getattr, walk, "step"), None), repeat(walk))
    )


class Walk:
    """How far an iterator has come, and what it does about errors."""

    __slots__ = ("_indices", "_stage", "positions", "step")

    def __init__(self, stage: Any, indices: range) -> None:
        self._stage = stage
        self._indices = indices
        self.positions: Iterator[int] = iter(indices)
        # What reads on, given this; it does not refer to it, or it would be garbage.
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
        """Return whether `error` at `i` is the end; if not, it is to be raised as it is."""
        if isinstance(error, EndOfSequence):
            if self._indices.stop != ENDLESS:
                ended_early(self._stage, i)
            self.step = None
        elif isinstance(error, WorkerStartError):  # not about this item, which is still to be read
            self.positions = chain((i,), self.positions)
        elif isinstance(error, Exception):
            reraise(error)
        elif fusing.was_reading(error):
            # an interrupt is nobody's error: the item is still to be read
            self.positions = chain((i,), self.positions)
        return self.step is None


def opened(stage: Any, indices: Indices) -> Any:
    """Return `stage` as one reader of `indices` reads it: see `LazySequence._opened`."""
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
