"""The items for which a predicate is true."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from seqtools._core import blocks
from seqtools._core.checks import check_function
from seqtools._core.indices import Indices, as_array
from seqtools._core.resume import plain
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, assign, getter, read_many, size_of
from seqtools._core.walk import draw_index_of, traits_upstream
from seqtools.tables.scan import ScanOptions, check_finite, scan_options
from seqtools.tables.scanned import Scanned

T = TypeVar("T")


class Sfilter(Scanned[T]):
    """Items of a sequence for which a predicate is true; the table has their indices."""

    __slots__ = ("_predicate",)

    _dtype = "bool"

    def __init__(self, predicate: Callable[[T], Any], sequence: Any, options: ScanOptions) -> None:
        self._predicate = predicate
        super().__init__(sequence, options)

    def _measure(self) -> Callable[[Any], Any]:
        return self._predicate

    def _tabulate(self, found: Any) -> Any:
        import numpy as np

        # half the memory for all but the largest sequences
        return np.flatnonzero(found).astype("u4" if len(found) < 1 << 32 else "i8")

    def _arrange(self) -> tuple[Any, Any]:
        import numpy as np

        table = np.asarray(self._table())
        return memoryview(table), table  # type: ignore[arg-type]  # items of a memoryview are Python integers

    def _stand_in(self) -> "Tried[T]":
        return Tried(self._predicate, self._sequence)

    def _size(self) -> int:
        return len(self._table())

    def _get(self, i: int) -> T:
        return self._read((self._layout or self._arranged())[0][i])  # type: ignore[no-any-return]

    def _get_many(self, indices: Indices) -> Sequence[T]:
        return read_many(self._sequence, self._inner(indices))  # type: ignore[no-any-return]

    def _set(self, i: int, value: Any) -> None:
        assign(self._sequence, (self._layout or self._arranged())[0][i], value)

    def _inner(self, indices: Indices) -> Indices:
        """Return the index in the source for each of `indices`."""
        _, table = self._layout or self._arranged()
        if isinstance(indices, range) and indices.step > 0:
            return as_array(table[indices.start : indices.stop : indices.step])  # type: ignore[no-any-return]
        return as_array(table[as_array(indices)])  # type: ignore[no-any-return]

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(self._sequence, self._inner(indices))]

    def _draw_index(self, i: int) -> int:
        """Return that of the item in the whole sequence; past the end, that of none in there."""
        known, _ = self._layout or self._arranged()
        j = known[i] if i < len(known) else (size_of(self._sequence) or 0) + i - len(known)
        of_source = draw_index_of(self._sequence)
        return j if of_source is None else of_source(j)

    @property
    def blocks(self) -> Any:
        """The numbers of chosen items of each block of the source."""
        sizes = blocks.of(self._sequence)
        if sizes is None:
            return None
        _, table = self._layout or self._arranged()
        return blocks.counted(sizes, table)

    def _identity(self) -> Any:
        # which items there are depends on the rank, if the sequence was sharded
        sharded = traits_upstream(self).sharded
        return "sfilter", None if sharded else plain(self._table())

    def _rebuild(self, *sources: Any) -> "Sfilter[T]":
        return Sfilter(self._predicate, sources[0], self._options)

    def _args(self) -> tuple[Any, ...]:
        return self._predicate, self._sequence, self._options

    def _as_call(self) -> str:
        """Return the call that makes this sequence, without its source."""
        return f"{self._describe()[:-1]}{self._options})"


class Tried(LazySequence[T]):
    """All items of a sequence, for each of which a predicate is called."""

    __slots__ = ("_predicate", "_read", "_sequence")

    _name = "sfilter"

    def __init__(self, predicate: Callable[[T], Any], sequence: Any) -> None:
        self._predicate, self._sequence = predicate, sequence
        self._read = getter(sequence)

    def _size(self) -> int | None:
        return size_of(self._sequence)

    def _get(self, i: int) -> T:
        argument: T = self._read(i)  # error paths read it by this name
        self._predicate(argument)
        return argument

    def _sources(self) -> tuple[Any, ...]:
        return (self._sequence,)

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(self._sequence, indices)]

    def _rebuild(self, *sources: Any) -> "Tried[T]":
        return Tried(self._predicate, sources[0])

    def _args(self) -> tuple[Any, ...]:
        return self._predicate, self._sequence


def sfilter(  # noqa: PLR0913 -- those of a scan, by name
    predicate: Callable[[T], object],
    sequence: Source[T],
    *,
    nworkers: Any = 0,
    method: Any = None,
    table: Any = None,
    version: str | int | None = None,
    progress: bool = True,
) -> LazySequence[T]:
    """Return the items of `sequence` for which `predicate(item)` is true, in order.

    The first time that its length or an item is needed, `predicate` is called once with each item
    of `sequence`: this scan makes a table of the indices of the kept items. After that, item `i` is
    `sequence[table[i]]`, and assigning to it assigns to `sequence`, without calling `predicate`
    again. Building, `repr`, `check` and pickling do not scan, and workers receive the finished
    table. `refresh()` of a `prefetch` drops the table of the stages that it affects.

    Args:
        predicate: Called with each item.
        sequence: A finite sequence, all items of which are evaluated once by the scan.
        nworkers: Number of workers for the scan; with 0, the thread that needs it scans. As for
            `prefetch`.
        method: Where workers evaluate items; as for `prefetch`.
        table: Path of a `.npy` file in which to keep the table for other runs and processes; if
            it exists, nothing is scanned. A scan that is interrupted goes on where it was.
        version: A string or an integer to be changed when the items of `sequence` change in a way
            that a kept table cannot know, such as other contents of the same files.
        progress: Whether to show a progress bar for a scan of more than a second, if tqdm is
            installed and the standard error is a terminal.

    Raises:
        TypeError: If `sequence` is not a sequence or has no length, or `predicate` is no function.
        ValueError: If `table` is not the path of a `.npy` file, or an option is out of range.
            A kept table of something else is a `ValueError` when it is needed.

    Example:
        >>> odd = sfilter(lambda x: x % 2, [3, 8, 5, 2])
        >>> list(odd), len(odd), odd[-1]
        ([3, 5], 2, 5)
    """
    check_function(predicate, "predicate")
    check_finite(sequence)
    return Sfilter(predicate, sequence, scan_options(nworkers, method, table, version, progress))
