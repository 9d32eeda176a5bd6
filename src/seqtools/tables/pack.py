"""Items packed by their lengths: `pack`, and `batch_by_length` for items that are padded."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

from seqtools._core.checks import check_function
from seqtools._core.choices import check_choice
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source
from seqtools._core.walk import traits_upstream
from seqtools.tables import packing
from seqtools.tables.given_lengths import check_size
from seqtools.tables.grouped import Grouped, check_lengths, refuse_longer
from seqtools.tables.scan import check_finite, scan_options

T = TypeVar("T")

Longer: TypeAlias = Literal["error", "cut", "drop"]
_LONGER = ("error", "cut", "drop")


class Pack(Grouped):
    """Groups of items whose lengths have at most a given sum; the rule is `longer`."""

    __slots__ = ()

    _name = "pack"

    def _group(self, lengths: Any) -> tuple[Any, Any]:
        import numpy as np

        capacity = self._capacity
        if self._rule == "drop":
            kept = np.flatnonzero(lengths <= capacity)
            items, starts = packing.packed(lengths[kept], capacity)
            return kept[items], starts
        if self._rule == "cut":
            lengths = np.minimum(lengths, capacity)
        advice = "use longer='cut' or longer='drop', or a larger capacity"
        refuse_longer(lengths, lengths > capacity, capacity, "", advice)
        return packing.packed(lengths, capacity)

    def _cuts(self) -> bool:
        is_cut: bool = self._rule == "cut"
        return is_cut

    def _taken(self, item: Any) -> Any:
        if isinstance(item, Mapping):
            return {key: values[: self._capacity] for key, values in item.items()}
        return item[: self._capacity]

    def _as_call(self) -> str:
        return self._call("" if self._rule == "error" else f", longer={self._rule!r}")


class BatchByLength(Grouped):
    """Groups of items of which the number times the largest length is at most a given number.

    The rule is `multiple_of`.
    """

    __slots__ = ()

    _name = "batch_by_length"

    def _group(self, lengths: Any) -> tuple[Any, Any]:
        m = self._rule
        # compared in multiples: a length rounded up may be more than an integer of numpy holds
        longer = -(-lengths // m) > self._capacity // m
        how = "" if m == 1 else f", rounded up to a multiple of {m}"
        advice = "use a larger capacity, or leave such items out"
        refuse_longer(lengths, longer, self._capacity, how, advice)
        return packing.padded(lengths, self._capacity, m)

    def _as_call(self) -> str:
        return self._call("" if self._rule == 8 else f", multiple_of={self._rule}")  # noqa: PLR2004 -- the default


def pack(  # noqa: PLR0913 -- by name, most of them those of a scan
    sequence: Source[T],
    capacity: int,
    lengths: Callable[[T], int] | Sequence[int] | Any = len,
    *,
    longer: Longer = "error",
    collate_fn: Callable[[Any], Any] | None = None,
    nworkers: Any = 0,
    method: Any = None,
    table: Any = None,
    version: str | int | None = None,
    progress: bool = True,
) -> LazySequence[Any]:
    """Return packs: lists of items of `sequence` whose lengths have a sum of at most `capacity`.

    Each item is in one pack, in which items are in order, and packs are in the order of their first
    items. Packs are made by best fit decreasing, once for all items, so that they are nearly full
    and their number is known. A shuffle before it would make other packs for each epoch, and
    another number of them: shuffle the packs.

    If `lengths` is a function, all items are evaluated once when the length or a pack is first
    needed, to know their lengths: see `sfilter` about this scan and its options. The items of a
    pack are read with one call where `sequence` supports that, as for `batch`. Assigning a pack
    assigns its items; it does not pack anew.

    Args:
        sequence: A finite sequence, such as of arrays of tokens.
        capacity: Largest sum of the lengths of a pack, at least 1. If it is more than 65,535,
            lengths are rounded up to multiples of 1/65,535 of it.
        lengths: The length of an item: a function of the item, or an array or a sequence of the
            lengths of all items. If it is a lazy sequence, the scan evaluates its items, in place
            of those of `sequence`. The default is `len`, but that of a mapping or a named tuple is
            an error, because it counts fields.
        longer: What happens to an item that is longer than `capacity`. It is an error, or the item
            is left out (`"drop"`), or `"cut"`: each item is `item[:capacity]`, or a dict of each
            `value[:capacity]`.
        collate_fn: Makes the pack from the list of its items, such as `collate_packed`.
        nworkers: As for `sfilter`.
        method: As for `sfilter`.
        table: As for `sfilter`. The file has the lengths of all items, and serves for every
            `capacity`. Not with an array of `lengths`, because nothing is scanned.
        version: As for `sfilter`.
        progress: As for `sfilter`.

    Raises:
        ValueError: If an item is longer than `capacity`, `capacity` is less than 1, a length is
            negative, a number is more than 2**63 - 1, or `lengths` has another length than
            `sequence`. If there is a scan, it finds this out.
        TypeError: If `sequence` is not a sequence or has no length, or `lengths` are neither
            integers nor a function.

    Example:
        >>> packs = pack(["aaaa", "bb", "ccc", "d", "ee"], 6)
        >>> list(packs)
        [['aaaa', 'bb'], ['ccc', 'd', 'ee']]
    """
    check_finite(sequence)
    capacity = check_size(capacity, 1, "capacity")
    check_choice(longer, "longer", _LONGER)
    options = scan_options(nworkers, method, table, version, progress)
    lengths = check_lengths(lengths, options)
    if collate_fn is not None:
        check_function(collate_fn, "collate_fn")
    return _built(Pack(sequence, capacity, lengths, longer, collate_fn, options))


def batch_by_length(  # noqa: PLR0913 -- by name, most of them those of a scan
    sequence: Source[T],
    capacity: int,
    lengths: Callable[[T], int] | Sequence[int] | Any = len,
    *,
    multiple_of: int = 8,
    collate_fn: Callable[[Any], Any] | None = None,
    nworkers: Any = 0,
    method: Any = None,
    table: Any = None,
    version: str | int | None = None,
    progress: bool = True,
) -> LazySequence[Any]:
    """Return batches of items of similar lengths, of at most `capacity` elements once padded.

    In each batch, the number of items times the largest length, rounded up to a multiple of
    `multiple_of`, is at most `capacity`. Batches are made from the longest item to the shortest,
    each as large as possible, so that there are as few as possible. Each item is in one batch, in
    which items are in order, and batches are in the order of their first items. Shuffle the
    batches, not the items: see `pack`.

    Args:
        sequence: A finite sequence, such as of arrays of tokens.
        capacity: Largest number of elements of a batch, padding included.
        lengths: The length of an item, as for `pack`.
        multiple_of: What the largest length of a batch is rounded up to, at least 1. It must be
            that of `collate_arrays`, where the default is another.
        collate_fn: Makes the batch from the list of its items, such as
            `functools.partial(collate_arrays, pad=0, multiple_of=8)`.
        nworkers: As for `sfilter`.
        method: As for `sfilter`.
        table: As for `pack`.
        version: As for `sfilter`.
        progress: As for `sfilter`.

    Raises:
        ValueError: If an item, rounded up, is longer than `capacity`, `capacity` or `multiple_of`
            is less than 1, a length is negative, a number is more than 2**63 - 1, or `lengths` has
            another length than `sequence`. If there is a scan, it finds this out.
        TypeError: If `sequence` is not a sequence or has no length, or `lengths` are neither
            integers nor a function.

    Example:
        >>> list(batch_by_length(["aaaa", "b", "ccc", "d", "e"], 8, multiple_of=1))
        [['aaaa', 'ccc'], ['b', 'd', 'e']]
    """
    check_finite(sequence)
    capacity = check_size(capacity, 1, "capacity")
    multiple_of = check_size(multiple_of, 1, "multiple_of")
    options = scan_options(nworkers, method, table, version, progress)
    lengths = check_lengths(lengths, options)
    if collate_fn is not None:
        check_function(collate_fn, "collate_fn")
    return _built(BatchByLength(sequence, capacity, lengths, multiple_of, collate_fn, options))


def _built(grouped: Grouped) -> LazySequence[Any]:
    if not traits_upstream(grouped).scans:
        grouped._length()  # raises the errors of an array of lengths
    return grouped
