"""Stages whose items are made of several items of a source."""

from typing import Any

from seqtools._core import errors
from seqtools._core.bulk import BulkReadWarning, NotByRow
from seqtools._core.chance import seeding
from seqtools._core.errors import EndOfSequence, is_of_item
from seqtools._core.indices import Indices, as_list
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import claim, getter, read_many, size_of
from seqtools._core.user_exceptions import drop_frames
from seqtools._core.walk import traits_upstream


class ReadsSeveral:
    """What reads several items of a source for one item of a stage: a part of its class.

    The class has slots for what `_read_from` sets.
    """

    __slots__ = ()

    def _read_from(self: Any, sequence: Any) -> None:
        """Set the source."""
        self._sequence = sequence
        self._read = getter(sequence)
        traits = traits_upstream(sequence)
        self._claims = traits.iterates
        self._singly = traits.iterates or traits.read_once

    def _items(self: Any, span: Indices) -> Any:
        """Return the items of the source at `span`, which ascends.

        It is a list or what a single call returns.
        """
        if not (self._singly or errors.singly) or self._in_bulk():  # mostly without a call
            try:
                return read_many(self._sequence, span)
            except (BulkReadWarning, NotByRow):  # they are about no single item
                raise
            except BaseException as error:
                if not is_of_item(error):
                    raise
                # Items are read again one by one, so that the error has the index of one item.
                # Only this and `read_all` evaluate an item twice. The same exception object may be
                # raised again, and must not keep this traceback.
                drop_frames(error)
        if self._claims:
            claim(self._sequence, span)
        return self._one_by_one(span)

    def _in_bulk(self: Any) -> bool:
        """Return whether several items of the source are read by one call."""
        # With a seed, they are in any case: one by one, stages would draw random numbers in another
        # order.
        return not (self._singly or (errors.singly and seeding.token() is None))

    def _one_by_one(self: Any, span: Indices) -> list[Any]:
        return [self._read(j) for j in as_list(span)]


class Spans(ReadsSeveral, LazySequence[Any]):
    """A stage whose items are made of several items in a row of its only source."""

    __slots__ = ("_claims", "_n", "_read", "_sequence", "_singly", "_whole")

    def __init__(self, sequence: Any, whole: bool) -> None:  # noqa: FBT001 -- of this library
        self._read_from(sequence)
        self._whole = whole  # whether there is no item of which one in the row is missing
        self._n: int | None = None  # the length of the source, set by `_size`

    def _size(self) -> int | None:
        n = self._n = size_of(self._sequence)
        return None if n is None else self._count(n)

    def _count(self, n: int) -> int:
        """Return the number of items if the source has `n`."""
        raise NotImplementedError

    def _one_by_one(self, span: Indices) -> list[Any]:
        items: list[Any] = []
        for j in as_list(span):
            try:
                items.append(self._read(j))
            except EndOfSequence:
                if not items or self._whole or self._n is not None:
                    raise
                break
        return items

    def _sources(self) -> tuple[Any, ...]:
        return (self._sequence,)
