"""Items of sequences of any lengths, one sequence after the other."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from seqtools._core import lengths as known_lengths
from seqtools._core import rows
from seqtools._core.checks import check_source
from seqtools._core.indices import Indices, as_array, as_list, is_run
from seqtools._core.resume import plain
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, assign, getter, read_many, size_of
from seqtools._core.traits import NONE
from seqtools._core.walk import is_stage, traits_upstream
from seqtools.tables.given_lengths import as_lengths
from seqtools.tables.scan import ScanOptions, check_finite, scan_options
from seqtools.tables.scanned import Scanned

T = TypeVar("T")

_FREE = {list, tuple, range, str, bytes}
"""Types of inner sequences of which all items are in memory."""


class Flatten(Scanned[T]):
    """Items of inner sequences; the table has the index at which each one starts, and the length.

    Args:
        sequence: The inner sequences.
        lengths: The length of each: an array, or a stage that evaluates them, or `None`.
        options: How to scan.
    """

    __slots__ = ("_kind", "_lengths", "_traits")

    def __init__(self, sequence: Any, lengths: Any, options: ScanOptions) -> None:
        self._lengths = lengths
        self._kind: type[Any] = list  # a class of inner sequences that was checked
        self._traits = Scanned._traits if lengths is None or is_stage(lengths) else NONE
        super().__init__(sequence, options)

    def _measure(self) -> Callable[[Any], Any]:
        return length_of_inner if self._lengths is None else _given

    def _examined(self) -> Any:
        return self._sequence if self._lengths is None else self._lengths

    def _tabulate(self, found: Any) -> Any:
        import numpy as np

        starts = np.concatenate([[0], np.cumsum(found, dtype=np.int64)])
        if starts.min() < 0:  # the first sum that is too large is negative
            message = (
                "a sequence can have up to 2**63 - 1 items, but the inner sequences have more: "
                "flatten a part of them"
            )
            raise ValueError(message)
        return starts

    def _scan(self) -> Any:
        return super()._scan() if self._traits.scans else self._tabulate(self._lengths)

    def _arrange(self) -> tuple[Any, Any]:
        import numpy as np

        table = np.asarray(self._table())
        if self._lengths is not None and len(table) - 1 != size_of(self._sequence):
            message = (
                f"lengths must have {size_of(self._sequence)} items, as the sequence has, "
                f"got {len(table) - 1}{known_lengths.since_refresh(self)}"
            )
            raise ValueError(message)
        return memoryview(table), table  # type: ignore[arg-type]  # its items are Python integers

    def _stand_in(self) -> "Firsts[T]":
        return Firsts(self._sequence)

    def _size(self) -> int:
        return (self._layout or self._arranged())[0][-1]  # type: ignore[no-any-return]

    def _checked(self, k: int, expected: int) -> Any:
        """Return inner sequence `k`, which must have as many items as the table says."""
        items = self._read(k)
        if items.__class__ is not self._kind or len(items) != expected:
            self._check(items, k, expected)
        return items

    def _check(self, items: Any, k: int, expected: int) -> None:
        n = length_of_inner(items, k)
        if n != expected:
            source = "when it was scanned" if self._traits.scans else "according to lengths"
            message = f"inner sequence {k} should have {expected} items, as {source}, got {n}"
            raise ValueError(message)
        if hasattr(items, "__len__") and not hasattr(items, "shape"):  # arrays may have no length
            self._kind = items.__class__

    def _get(self, i: int) -> T:
        starts, _ = self._layout or self._arranged()
        k = bisect_right(starts, i)
        start = starts[k - 1]
        return self._checked(k - 1, starts[k] - start)[i - start]  # type: ignore[no-any-return]

    def _get_many(self, indices: Indices) -> list[T]:
        import numpy as np

        if not len(indices):
            return []
        starts, table = self._layout or self._arranged()
        wanted = as_array(indices)
        inner = np.searchsorted(table, wanted, "right") - 1
        places: Any = wanted - table[inner]
        listed = places.tolist()
        begins = np.flatnonzero(np.diff(inner, prepend=-1)).tolist()
        items: list[T] = []
        for begin, end in zip(begins, [*begins[1:], len(wanted)], strict=True):
            k = int(inner[begin])
            part = self._checked(k, starts[k + 1] - starts[k])
            # not by `+=`, which for an array, or a class of a user, may be an addition of numbers
            if part.__class__ is list:  # the quick way
                items.extend([part[j] for j in listed[begin:end]])
            elif is_run(indices):
                items.extend(read_many(part, range(listed[begin], listed[end - 1] + 1)))
            else:
                items.extend(read_many(part, places[begin:end]))
        return items

    def _set(self, i: int, value: Any) -> None:
        starts, _ = self._layout or self._arranged()
        k = bisect_right(starts, i) - 1
        items = self._checked(k, starts[k + 1] - starts[k])
        items[i - starts[k]] = value
        assign(self._sequence, k, items)  # the inner sequence may have been computed

    @property
    def blocks(self) -> Any:
        """The numbers of items of the inner sequences, each of which is read as a whole.

        It is `None` if reading them costs nothing, because they are lists in a list.
        """
        import numpy as np

        source = self._sequence
        if isinstance(source, list | tuple) and all(type(each) in _FREE for each in source[:1]):
            return None
        _, table = self._layout or self._arranged()
        return np.diff(table)

    def _sources(self) -> tuple[Any, ...]:
        if is_stage(self._lengths):
            return self._sequence, self._lengths
        return (self._sequence,)

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        import numpy as np

        if not len(indices):
            return [(self._sequence, range(0))]
        starts, table = self._layout or self._arranged()
        inner: Any
        if len(indices) == 1:
            k = bisect_right(starts, as_list(indices)[0]) - 1
            return [(self._sequence, range(k, k + 1))]
        if is_run(indices):
            first, last = (bisect_right(starts, indices[e]) - 1 for e in (0, -1))
            inner = first + np.flatnonzero(np.diff(table[first : last + 2]))  # not the empty ones
            return [(self._sequence, inner)]
        inner = np.searchsorted(table, as_array(indices), "right") - 1
        return [(self._sequence, inner[np.diff(inner, prepend=-1) != 0])]

    def _made_from(self, indices: Indices) -> list[tuple[Any, Indices | None, bool]]:
        return [(*self._reads(indices)[0], True)]  # lengths are no data

    def _identity(self) -> Any:
        # which items there are depends on the rank, if the sequence was sharded
        sharded = traits_upstream(self).sharded
        return "flatten", None if sharded else plain(self._table())

    def _rebuild(self, *sources: Any) -> "Flatten[T]":
        return Flatten(sources[0], sources[1] if len(sources) > 1 else self._lengths, self._options)

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self._lengths, self._options

    def _as_call(self) -> str:
        """Return the call that makes this sequence, without its sources."""
        given = "" if self._lengths is None else "lengths"
        return f"flatten({(given + str(self._options)).removeprefix(', ')})"


class Firsts(LazySequence[T]):
    """The first item of each inner sequence, or of the next one that is not empty, or `None`."""

    __slots__ = ("_read", "_sequence")

    _name = "flatten"

    def __init__(self, sequence: Any) -> None:
        self._sequence, self._read = sequence, getter(sequence)

    def _size(self) -> int | None:
        return size_of(self._sequence)

    def _get(self, i: int) -> T | None:
        items = self._read(i)
        n = self._length()
        while not length_of_inner(items) and n is not None and i + 1 < n:
            i += 1
            items = self._read(i)
        return items[0] if length_of_inner(items) else None

    def _sources(self) -> tuple[Any, ...]:
        return (self._sequence,)

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(self._sequence, indices)]

    def _rebuild(self, *sources: Any) -> "Firsts[T]":
        return Firsts(sources[0])

    def _args(self) -> tuple[Any, ...]:
        return (self._sequence,)


def flatten(  # noqa: PLR0913 -- those of a scan, by name
    sequence: Source[Source[T]],
    lengths: Sequence[int] | Any = None,
    *,
    nworkers: Any = 0,
    method: Any = None,
    table: Any = None,
    version: str | int | None = None,
    progress: bool = True,
) -> LazySequence[T]:
    """Return the items of the inner sequences of `sequence`, one inner sequence after the other.

    Item `i` is `sequence[k][j]`, where the first `k` inner sequences have `i - j` items together.
    Reading an item evaluates its inner sequence: see `add_cache`. Items that are read in bulk, as
    by `batch`, evaluate each inner sequence once for all of its items in a row. Assigning an item
    reads the inner sequence, changes it, and assigns the whole inner sequence.

    The inner sequences are the blocks of the result: `shuffle` with `blocks=True` has few of them
    in use at once.

    Without `lengths`, all inner sequences are evaluated once when the length or an item is first
    needed, to know how long they are: see `sfilter` about this scan and its options.

    Args:
        sequence: The inner sequences, which may be empty: lists, arrays, lazy sequences.
        lengths: The length of each inner sequence, if it is known beforehand: an array or a
            sequence of integers. If it is a lazy sequence, the scan evaluates its items, in place
            of the inner sequences.
        nworkers: As for `sfilter`.
        method: As for `sfilter`.
        table: As for `sfilter`; not with an array of `lengths`, because nothing is scanned.
        version: As for `sfilter`.
        progress: As for `sfilter`.

    Raises:
        TypeError: If `sequence` is not a sequence or has no length, or `lengths` are no integers.
        ValueError: If `lengths` has another length than `sequence`, or a length is negative, or
            there are more than 2**63 - 1 items, which a scan finds out. An inner sequence of
            another length is an `EvaluationError` when it is read.

    Example:
        >>> list(flatten([[1, 2], [], [3, 4, 5]]))
        [1, 2, 3, 4, 5]
        >>> words = flatten(["to be", "or"], lengths=[5, 2])
        >>> words[5], len(words)
        ('o', 7)
    """
    check_finite(sequence)
    if lengths is not None:
        check_source(lengths, "lengths")
        if not is_stage(lengths):
            lengths = as_lengths(lengths, "give the number of items of each inner sequence")
            if table is not None:
                message = f"table has no use with lengths, which say all, got table={table!r}"
                raise ValueError(message)
    options = scan_options(nworkers, method, table, version, progress)
    result = Flatten[T](sequence, lengths, options)
    if lengths is not None and not is_stage(lengths):
        result._length()
    return result


def length_of_inner(items: Any, k: int | None = None) -> int:
    """Return the length of an inner sequence, number `k`; raise `TypeError` if it is none."""
    advice = rows.why_not(items, "inner sequence")
    if advice:
        name = "an inner sequence" if k is None else f"inner sequence {k}"
        message = f"{name} must be indexed by row, got {type(items).__name__}: {advice}"
        raise TypeError(message)
    return rows.length(items)


def _given(length: Any) -> Any:
    return length
