"""The check of a sequence."""

from collections.abc import Callable, Iterable, Sequence
from contextvars import copy_context
from typing import Any

from seqtools._core.errors import seterr
from seqtools._core.sequence import LazySequence
from seqtools.testing import algebra, changing, reading, relations
from seqtools.testing.subject import Length, Subject, Values, checked

LAWS: tuple[Callable[[Subject], None], ...] = (
    reading.building,
    reading.length,
    reading.iteration,
    reading.reversal,
    reading.indices,
    reading.edges,
    reading.slices,
    reading.slices_without_length,
    reading.slices_of_slices,
    reading.searching,
    reading.identity,
    reading.representation,
    reading.pickling,
    relations.bulk,
    relations.reads,
    relations.rebuilding,
    changing.errors,
    changing.errors_in_iteration,
    changing.assignment,
    changing.slice_assignment,
    algebra.choosing,
    algebra.many_at_once,
    algebra.adding,
    algebra.assigning_to_chosen,
    reading.resuming,
)


def check_laws(  # noqa: PLR0913 -- what there is to know of a sequence, all by name
    build: Callable[..., LazySequence[Any]],
    expected: Callable[..., Iterable[Any]],
    *,
    sources: Sequence[Values] = ((10, 11, 12, 13, 14),),
    assigned: Sequence[Values] | None = None,
    length: Length = "known",
    value_dependent: bool = False,
    picklable: bool = True,
) -> None:
    """Check that a lazy sequence equals a list, and reads what its `_reads` states.

    `build` is called many times with new sources that record every read. Its result is compared
    with the list that `expected` makes from the same values: items, all kinds of indices and
    slices, lists and masks as keys, `+`, searching, pickled copies, bulk reads, the stated reads,
    errors, and assignment.
    Sequences and arrays among the items are compared as lists.

    Args:
        build: Receives a `Probe` for each of `sources`, and returns the sequence.
        expected: Receives a list for each of `sources`, and returns the items.
        sources: The items of each source. For an endless source, a function that returns item
            `i` for `i`: `expected` receives a list of the first 64.
        assigned: Other items for the same sources, which do not change which items are read. The
            items that `expected` makes from them are assigned. `None` if items are computed, so
            that assigning one is a `TypeError`.
        length: `"endless"` if the sequence has no end; then `expected` returns at least the first
            12 items. `"unknown"` if its end is not known beforehand.
        value_dependent: Whether values decide what is read, so that `_reads` can state only a
            part of it.
        picklable: Whether the sequence can be pickled; if not, pickling must raise a `TypeError`.

    Raises:
        AssertionError: If a law does not hold; the message names the law, and what was expected
            and observed.

    Example:
        >>> from seqtools import LazySequence
        >>> class Mirrored(LazySequence):
        ...     def __init__(self, sequence):
        ...         self.sequence = sequence
        ...
        ...     def _size(self):
        ...         return len(self.sequence)
        ...
        ...     def _get(self, i):
        ...         return self.sequence[-1 - i]
        ...
        ...     def _sources(self):
        ...         return (self.sequence,)
        ...
        ...     def _rebuild(self, sequence):
        ...         return Mirrored(sequence)
        >>> try:
        ...     check_laws(Mirrored, lambda items: items[::-1])
        ... except AssertionError as error:
        ...     print(error)
        law 'reads': what is read of source 0 for range(0, 1) one by one should be [], got [4]

        This class has no `_reads`, so a prefetch could not read ahead for it.
    """
    subject = Subject(build, expected, sources, assigned, length, value_dependent, picklable)
    copy_context().run(_check, subject)


def _check(subject: Subject) -> None:
    seterr("wrap")
    for law in LAWS:
        checked("law", law, subject)
