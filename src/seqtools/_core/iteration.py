"""Iterators over stages: each is a separate reader, and continues after an error."""

import operator
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain, repeat
from typing import Any, TypeVar

from seqtools._core import fusing, resume
from seqtools._core.errors import (
    EndOfSequence,
    WorkerStartError,
    creation_site,
    is_of_item,
    reraise,
)
from seqtools._core.indices import ENDLESS, Indices, TooManyIndices
from seqtools._core.positions import ended_early
from seqtools._core.source_code import place
from seqtools._core.user_exceptions import is_kind
from seqtools._core.walk import is_stage, summary, traits_upstream, upstream

T = TypeVar("T")

_shown: dict[Any, Any] = {}  # what `warnings` needs to warn once for a line

_MOST_CURSORS = 64
"""Most cursors for one reader. Arbitrary: the paths upstream may double at every stage."""


def iterate(stage: Any, indices: range) -> "SequenceIterator[Any]":
    """Return an iterator over the items at `indices`, for a separate reader."""
    return iterator_of(Walk(stage, indices))


def iterator_of(walk: "Walk") -> "SequenceIterator[Any]":
    """Return an iterator that goes on by `walk`.

    A generator that raised is finished, so `chain` continues with another one. This needs no step
    of Python for each item.
    """
    # Python code between two generators could be interrupted, which would end the iterator.
    iterator = SequenceIterator.from_iterable(
        map(operator.call, iter(partial(getattr, walk, "step"), None), repeat(walk))
    )
    assert isinstance(iterator, SequenceIterator)  # noqa: S101 -- says so to the type checker
    iterator._walk = walk  # noqa: SLF001 -- of this module
    return iterator


class SequenceIterator(chain[T]):
    """An iterator over a lazy sequence, whose position can be saved and loaded."""

    __slots__ = ("_walk",)

    _walk: Any  # a `Walk`, or what has its methods `state_dict` and `load_state_dict`

    def state_dict(self) -> dict[str, Any]:
        """Return the position of this iterator, from which another one can go on.

        It is a dict of less than 200 characters of JSON: the number of items that were returned,
        the length, and a fingerprint of the pipeline. Items that were evaluated ahead do not count,
        and an item that is being evaluated does not. After `shard`, the position is that of all
        ranks. With `prefetch(ordered=False)`, `left` lists the items before it that were not
        returned, as pairs of start and stop.

        Example:
            >>> import seqtools
            >>> squares = seqtools.smap(lambda x: x * x, range(5))
            >>> iterator = iter(squares)
            >>> next(iterator), next(iterator)
            (0, 1)
            >>> state = iterator.state_dict()
            >>> state["position"], list(squares[state["position"] :])
            (2, [4, 9, 16])
            >>> again = iter(squares)
            >>> again.load_state_dict(state)
            >>> list(again)
            [4, 9, 16]
        """
        state: dict[str, Any] = self._walk.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any] | int) -> None:
        """Go on where the iterator was whose `state_dict` returned `state`.

        Nothing before that position is evaluated, and nothing at all before the next item is
        requested. The pipeline must be the same, except for workers, caches and, after `shard`,
        the number of ranks.

        Args:
            state: That dict; or an integer in place of its `position`, which is not checked against
                the pipeline.

        Raises:
            RuntimeError: If an item was requested from this iterator before.
            TypeError: If `state` is neither a mapping nor an integer.
            ValueError: If it is of another pipeline, or there is no such position. The iterator
                stays where it was.
        """
        self._walk.load_state_dict(state)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be pickled or copied: the position is in `state_dict`."""
        message = (
            "cannot pickle or copy an iterator over a lazy sequence: do that with the sequence, "
            "and with state_dict() of the iterator"
        )
        raise TypeError(message)


def with_state_of(iterator: "SequenceIterator[Any]", shown: Iterator[T]) -> "SequenceIterator[T]":
    """Return `shown`, a `SequenceIterator` that passes on the items of `iterator`."""
    assert isinstance(shown, SequenceIterator)  # noqa: S101 -- says so to the type checker
    shown._walk = iterator  # noqa: SLF001 -- of this module
    return shown


class Walk:
    """The position of an iterator, and its handling of errors."""

    __slots__ = ("_indices", "_loaded", "_stage", "positions", "step")

    def __init__(self, stage: Any, indices: range) -> None:
        self._stage = stage
        self._indices = indices
        self._loaded: resume.Target | None = None
        self.positions: Iterator[int] = iter(indices)
        # Called with this object for the next generator; a bound method would be a cycle.
        self.step: Callable[[Any], Iterator[Any]] | None = type(self).begin

    @property
    def target(self) -> resume.Target:
        """What this iterator reads, and from which position on."""
        return self._loaded or resume.Target(self._stage, 0)

    def begin(self) -> Iterator[Any]:
        """Open the stage, and yield nothing."""
        if self._loaded is None:  # the quick way
            opened = self._stage._opened(self._indices)
        else:
            opened = self._loaded.stage._opened(self._left())
        self.step = partial(fusing.loop(opened), opened)
        yield from ()

    def _indices_of_target(self) -> range:
        """Return the indices of the target's stage, those before the position too."""
        stage = self.target.stage
        if stage is self._stage:
            return self._indices
        n = stage._length()
        return range(ENDLESS if n is None else n)

    def _left(self) -> range:
        """Return the indices to read from the target on."""
        return _after(self._indices_of_target(), self.target.position)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the iterator."""
        now = resume.Target(self.target.stage, self._position())
        return resume.state_of(self._stage, self._indices, now)

    def _position(self) -> int:
        """Return the number of items of the target that were returned."""
        left = operator.length_hint(self.positions)
        while True:
            # the item that is being evaluated is not returned yet: a signal handler may ask
            evaluating = fusing.is_evaluating(self)
            again = operator.length_hint(self.positions)
            if left == again:
                break
            left = again
        first = self._left()
        return self.target.position + len(first) - left - evaluating

    def load_state_dict(self, state: Any) -> None:
        """Go on from the position in `state`."""
        if self.step != type(self).begin:
            message = (
                "load_state_dict() must be called before the first item is requested, and "
                f"{self._position()} were: make another iterator by iter(sequence)"
            )
            raise RuntimeError(message)
        target = resume.loaded(state, self._stage, self._indices)
        self._check_left(target)
        self._loaded = target
        self.positions = iter(self._left())
        if target.position and traits_upstream(target.stage).iterates:
            message = (
                f"{target.stage._describe()} reads an iterable, which has no random access: all "
                "items before the position are produced again"
            )
            warnings.warn_explicit(message, RuntimeWarning, *creation_site(), registry=_shown)
        if target.position and traits_upstream(target.stage).scans:
            _advise_tables(target.stage)

    def _check_left(self, target: resume.Target) -> None:
        if target.left:
            message = (
                "the state is of a prefetch without order, and lists items before its position "
                "that were not returned: load it into an iterator over prefetch(ordered=False)"
            )
            raise ValueError(message)

    def over(self, error: BaseException, i: int) -> bool:
        """Return whether `error` at `i` is the end; otherwise the caller raises it again."""
        if is_kind(error, EndOfSequence):
            if self._indices.stop != ENDLESS:
                ended_early(self._stage, i)
            self._put_back(i)
            self.step = None
        elif is_kind(error, WorkerStartError):  # it is not about this item, which is read again
            self._put_back(i)
        elif is_of_item(error):
            reraise(error)
        elif fusing.was_reading(error):
            # an interrupt is not about this item, which is read again
            self._put_back(i)
        return self.step is None

    def _put_back(self, i: int) -> None:
        left = self._left()
        self.positions = iter(_after(left, left.index(i)))


def _advise_tables(sequence: Any) -> None:
    """Warn of the stages of `sequence` that scan again each time that a run goes on."""
    for stage in upstream(sequence):
        if stage._scans_again():
            message = (
                f"{stage._describe()}, made at {place(*stage._origin)}, reads all items of its "
                "source again in each run that goes on: keep what it finds in a file, by "
                "table='….npy'"
            )
            warnings.warn_explicit(message, UserWarning, *creation_site(), registry=_shown)


def _after(indices: range, k: int) -> range:
    """Return `indices[k:]` with the same stop, which says whether it is endless."""
    return range(indices.start + k * indices.step, indices.stop, indices.step)


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
    copy = stage._over(*copies)
    copy._origin = stage._origin
    return copy
