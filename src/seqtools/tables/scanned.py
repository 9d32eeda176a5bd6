"""The base of stages whose order or lengths depend on values.

Such a stage has a table, an array that is made by one scan of its source when a length or an item
first needs it. The consumer scans, never a worker: `prefetch` calls `_prepare` before it starts
workers, and the pickled stage contains the table, or the path of the file with it.
"""

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, NamedTuple, TypeVar

from seqtools._core.sequence import LazySequence
from seqtools._core.single_flight import Flights
from seqtools._core.source_code import place
from seqtools._core.sources import getter, size_of
from seqtools._core.traits import Traits
from seqtools.engines.base import here
from seqtools.tables.code_marks import functions_of, with_constants_now
from seqtools.tables.scan import BLOCK, Finished, ScanOptions, scan
from seqtools.tables.table_file import kept, mapped, read
from seqtools.tables.table_key import key_of

T = TypeVar("T")

_KEY = "of a table"
"""The key of the scan, of which there is one at a time."""


class _State:
    """The table of a stage, and the finished blocks of a scan that was interrupted."""

    __slots__ = ("blocks", "copied", "flights", "scan_time", "table")

    def __init__(self) -> None:
        self.table: Any = None
        self.blocks: dict[int, Any] = {}
        self.flights = Flights()
        self.scan_time = (0, 0.0)
        """See `Stage._scan_time`."""
        self.copied = False
        """Whether the stage was unpickled."""


class Scanned(LazySequence[T]):
    """A stage with a table, which a scan of its source makes.

    A subclass writes `_measure` and `_tabulate`, and `_arrange`, which returns what reading needs
    of the `_table`. It reads that as `self._layout or self._arranged()`. It sets what these need
    before it calls `__init__` of this class.

    Args:
        sequence: The source.
        options: How to scan.
    """

    __slots__ = ("_options", "_read", "_sequence", "_state")

    _traits = Traits(scans=True)
    _dtype = "int64"
    """The type of what is found out: `"bool"`, or `"int64"` for lengths, which are 0 or more."""
    _kept_whole = True
    """Whether a file has the table itself, so that other processes can map it."""

    def __init__(self, sequence: Any, options: ScanOptions) -> None:
        self._sequence, self._options = sequence, options
        self._read = getter(sequence)
        self._state = _State()
        if options.table is not None and options.functions is None and self._traits.scans:
            # as they are now: a function may change an object that it belongs to
            functions = functions_of(self._examined(), self._measure())
            self._options = options._replace(functions=functions)

    # What a subclass writes

    def _measure(self) -> Callable[[Any], Any]:
        """Return the function that is called with each item of the source, perhaps in a worker."""
        raise NotImplementedError

    def _examined(self) -> Any:
        """Return the sequence of which all items are evaluated."""
        return self._sequence

    def _tabulate(self, found: Any) -> Any:
        """Return the table, an array, from the array of what was found out about each item."""
        raise NotImplementedError

    def _finish(self, kept: Any) -> Any:
        """Return the table, from what `_tabulate` has returned, perhaps in another process.

        What depends on arguments that a file may survive is done here.
        """
        return kept

    def kept_as(self) -> str:
        """Return the name for what is in a file: only what has the same name can use it."""
        return self._describe()

    def _stand_in(self) -> Any:
        """Return a stage with a few items like those of this one, which needs no scan."""
        raise NotImplementedError

    # What others call

    def _is_scanned(self) -> bool:
        """Return whether the table is known."""
        return self._state.table is not None

    def _scan_time(self) -> tuple[int, float]:
        return self._state.scan_time

    def _scans_again(self) -> bool:
        """Return whether other runs scan too, for more than a moment."""
        return self._options.table is None and (size_of(self._examined()) or 0) > BLOCK

    def _table(self) -> Any:
        """Return the table; one thread makes it, and others wait.

        Raises:
            EvaluationError: If an item could not be evaluated; the next call goes on.
            RuntimeError: If this is a copy in a worker, which must not scan.
        """
        table = self._state.table
        return self._state.flights.get(_KEY, self._scan, self._keep) if table is None else table

    def _scan(self) -> Any:
        state = self._state
        if state.table is not None:  # another thread has made it in the meantime
            return state.table
        options, examined, measure = self._options, self._examined(), self._measure()
        key = None
        if options.table is not None:
            functions = options.functions
            if functions is not None and not state.copied:  # a worker may have other constants
                functions = with_constants_now(functions, examined, measure)
            key = key_of(self, examined, functions, self._dtype, options.version)
            table = read(options.table, key)
            if table is not None:
                return self._finish(table)
        if state.copied and getattr(here, "get", None) is not None:
            message = (
                f"{self._describe()}, made at {place(*self._origin)}, has no table in this worker, "
                "and a worker does not scan: read its length before workers start, by len(), or "
                "keep the table in a file that workers can read, by table="
            )
            raise RuntimeError(message)

        def make(finished: Finished) -> Any:
            began = perf_counter_ns()
            found = scan(self, examined, measure, self._dtype, options, finished)
            ended = perf_counter_ns()
            state.scan_time = ended, (ended - began) * 1e-9
            return self._tabulate(found)

        if key is None:
            return self._finish(make(state.blocks))
        return self._finish(kept(options.table, key, make))  # type: ignore[arg-type]  # there is a key

    def _keep(self, table: Any, is_valid: Callable[[], bool]) -> None:
        if is_valid():
            self._state.table = table
            self._state.blocks = {}

    def _prepare(self) -> None:
        self._table()

    def _forget(self) -> None:
        self._state.flights.forget(_KEY)
        self._state.table, self._state.blocks = None, {}

    def _over(self, *sources: Any) -> Any:
        copy = self._rebuild(*sources)
        copy._state = self._state  # noqa: SLF001 -- of this class
        return copy

    def _sources(self) -> tuple[Any, ...]:
        return (self._sequence,)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle the arguments, the place where it was made, and the table if it is known."""
        arguments = tuple(
            [a.sent() if isinstance(a, ScanOptions) else a for a in self._args() or ()]
        )
        table = self._state.table if self._traits.scans else None
        if table is not None and self._options.table is not None and self._kept_whole:
            place = Mapped(table.shape, str(table.dtype))  # others map the file
            table = place if place.table(self._options.table) is not None else table
        return restored, (type(self), arguments, self._origin, table)


class Mapped(NamedTuple):
    """Stands for a table that is in a file, in a pickle."""

    shape: tuple[int, ...]
    dtype: str

    def table(self, path: str) -> Any:
        """Return the table in the file, `None` if another machine has no such file."""
        try:
            table = mapped(path)
        except (OSError, ValueError):
            return None
        return table if (table.shape, str(table.dtype)) == tuple(self) else None


def restored(
    cls: type[Scanned[Any]], arguments: tuple[Any, ...], origin: tuple[str, int], table: Any
) -> Any:
    """Return the stage of a pickle."""
    stage = cls(*arguments)
    stage._origin = origin
    if isinstance(table, Mapped):
        table = table.table(stage._options.table or "")
    stage._state.table, stage._state.copied = table, True
    return stage
