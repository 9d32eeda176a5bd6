"""The scan: what a function finds out about every item of a sequence, block by block.

Blocks that are finished are kept one by one, so that a scan that fails, or is interrupted, goes on
with the others.
"""

import os
import sys
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

from seqtools._core.checks import check_source, is_bool
from seqtools._core.display.short import called, short
from seqtools._core.errors import EvaluationError, original_of, wrapping
from seqtools._core.indices import Indices, as_list, concatenated
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import getter, read_many, size_of
from seqtools._core.spans import Spans
from seqtools._core.traits import Traits
from seqtools._core.walk import summary, traits_upstream
from seqtools.engines.base import here
from seqtools.engines.cluster.kinds import is_factory
from seqtools.prefetching.arguments import checked
from seqtools.prefetching.options import Options
from seqtools.prefetching.sequence import Prefetch
from seqtools.tables.given_lengths import check_size

BLOCK = 4096
"""Items in a block. Arbitrary: enough for bulk reads, few to be evaluated again."""
_DELAY = 1.0
"""Seconds after which a progress bar appears. Arbitrary."""

Finished: TypeAlias = MutableMapping[int, Any]
"""The blocks that are finished, as arrays by their number."""


class ScanOptions(NamedTuple):
    """How to scan: the checked keywords of all functions that do."""

    nworkers: Any = 0
    method: Any = None
    table: str | None = None
    version: Any = None
    progress: bool = True
    functions: Any = None
    """Of a stage with a table in a file, the marks of its functions as it was made; its copies have
    the same."""

    def prefetch(self) -> Options:
        """Return the options of the prefetch that evaluates the blocks."""
        return checked(Options(self.nworkers, self.method), None, None, {})

    def sent(self) -> "ScanOptions":
        """Return the options for another process, which may not have the executor."""
        usable = self.method is None or isinstance(self.method, str) or is_factory(self.method)
        return self if usable else self._replace(nworkers=0, method=None)

    def __str__(self) -> str:
        """Return the options that are not as by default, as arguments of a call."""
        parts = []
        for name, value in self._asdict().items():
            if name != "functions" and value != self._field_defaults[name]:
                text = called(value) if callable(value) else short(value, 40)
                parts.append(f", {name}={text}")
        return "".join(parts)


def scan_options(
    nworkers: Any, method: Any, table: Any, version: Any, progress: Any
) -> ScanOptions:
    """Return the keywords of a function that scans; raise an error if one is not valid."""
    if not is_bool(progress):
        message = f"progress must be True or False, got {short(progress)}"
        raise TypeError(message)
    if table is not None:
        if not isinstance(table, str | os.PathLike):
            message = f"table must be the path of a file, got {short(table)}"
            raise TypeError(message)
        table = os.path.abspath(os.fspath(table))
        if not isinstance(table, str) or not table.endswith(".npy"):
            message = f"table must be the path of a .npy file, got {short(table)}"
            raise ValueError(message)
    if version is not None and table is None:
        message = f"version is that of a kept table, got version={short(version)} without table="
        raise ValueError(message)
    if not isinstance(version, str | int | None) or is_bool(version):
        message = f"version must be a string or an integer, got {short(version)}"
        raise TypeError(message)
    options = ScanOptions(nworkers, method, table, version, bool(progress))
    options.prefetch()
    return options


def check_finite(sequence: Any) -> None:
    """Raise an error if `sequence` is none, or has no length; this evaluates nothing."""
    check_source(sequence)
    if not traits_upstream(sequence).scans:  # or else the scan finds out
        length_of(sequence)


def length_of(sequence: Any) -> int:
    """Return the length of a sequence to scan; raise `TypeError` if there is none."""
    n = size_of(sequence)
    if n is None:
        message = (
            "sequence must have a length, because all of its items are read once, got one that "
            "is endless or of unknown length: use a part of it, such as sequence[:1000]"
        )
        raise TypeError(message)
    return n


class Examined(LazySequence[Any]):
    """What a function finds out about each item; errors name it as the stage that scans.

    Args:
        measure: The function.
        described: The description of the stage that scans.
        dtype: The type of the results: `"bool"`, or `"int64"` for lengths.
        sequence: The items.
    """

    __slots__ = ("_convert", "_described", "_dtype", "_measure", "_read", "_sequence")

    _traits = Traits(elementwise=True)

    def __init__(
        self, measure: Callable[[Any], Any], described: str, dtype: str, sequence: Any
    ) -> None:
        self._measure, self._described, self._dtype = measure, described, dtype
        self._sequence, self._read = sequence, getter(sequence)
        self._convert: Callable[[Any], Any] = bool if dtype == "bool" else _as_length

    def _size(self) -> int | None:
        return size_of(self._sequence)

    def _get(self, i: int) -> Any:
        argument = self._read(i)  # error paths read it by this name
        return self._convert(self._measure(argument))

    def _get_many(self, indices: Indices) -> list[Any]:
        if (self._summary or summary(self)).traits.acts_on_hints:
            # while one item is examined, the stage upstream may load the next ones
            return [self._get(i) for i in as_list(indices)]
        measure, convert = self._measure, self._convert
        return [convert(measure(item)) for item in read_many(self._sequence, indices)]

    def _describe(self) -> str:
        return self._described

    def _sources(self) -> tuple[Any, ...]:
        return (self._sequence,)

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(self._sequence, indices)]

    def _rebuild(self, *sources: Any) -> "Examined":
        return Examined(self._measure, self._described, self._dtype, *sources)

    def _args(self) -> tuple[Any, ...]:
        return self._measure, self._described, self._dtype, self._sequence


def _as_length(value: Any) -> int:
    return check_size(value, 0, "the length of an item")


class Blocks(Spans):
    """Some of the blocks of a sequence, each as an array.

    Args:
        sequence: What was found out about each item.
        numbers: The numbers of the blocks.
        dtype: The type of the arrays.
    """

    __slots__ = ("_dtype", "_numbers")

    def __init__(self, sequence: Any, numbers: Sequence[int], dtype: str) -> None:
        super().__init__(sequence, False)  # noqa: FBT003 -- there is one argument
        self._numbers, self._dtype = numbers, dtype

    def _count(self, n: int) -> int:
        del n
        return len(self._numbers)

    def _span(self, i: int) -> range:
        self._length()
        start = self._numbers[i] * BLOCK
        assert self._n is not None  # noqa: S101 -- says so to the type checker
        return range(start, min(start + BLOCK, self._n))

    def _get(self, i: int) -> Any:
        import numpy as np

        span = self._span(i)
        return np.fromiter(self._items(span), self._dtype, len(span))

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(self._sequence, concatenated([self._span(i) for i in as_list(indices)]))]

    def _rebuild(self, *sources: Any) -> "Blocks":
        return Blocks(sources[0], self._numbers, self._dtype)

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self._numbers, self._dtype


def scan(  # noqa: PLR0913, PLR0917 -- by one caller
    stage: Any,
    sequence: Any,
    measure: Callable[[Any], Any],
    dtype: str,
    options: ScanOptions,
    finished: Finished,
) -> Any:
    """Return an array of what `measure` finds out about each item of `sequence`.

    Args:
        stage: The stage that needs it, which errors name.
        sequence: The items, all of which are evaluated once.
        measure: Called with each item.
        dtype: The type of the array.
        options: Where to evaluate.
        finished: The blocks that were evaluated before; those that are missing are added.

    Raises:
        EvaluationError: If an item could not be evaluated; finished blocks are kept.
        TypeError: If the sequence has no length.
    """
    import numpy as np

    n = length_of(sequence)
    count = -(-n // BLOCK)
    missing = [b for b in range(count) if b not in finished]
    if missing:
        examined = Examined(measure, stage._describe(), dtype, sequence)
        examined._origin = stage._origin
        with _bar(options, stage._describe(), n, max(0, n - BLOCK * len(missing))) as shown:
            for b, block in zip(
                missing, _evaluated(examined, missing, dtype, options), strict=True
            ):
                finished[b] = np.array(block)  # it may be in memory that workers use again
                shown(len(block))
    return np.concatenate([finished[b] for b in range(count)]) if count else np.empty(0, dtype)


def _evaluated(
    examined: Examined, numbers: Sequence[int], dtype: str, options: ScanOptions
) -> Iterator[Any]:
    """Yield the blocks with these numbers; errors begin at the item of `examined` that failed."""
    blocks = Blocks(examined, numbers, dtype)
    ahead = Prefetch(blocks, options.prefetch()) if options.nworkers != 0 else None
    try:
        yield from blocks if ahead is None else ahead
    except EvaluationError as error:
        begin = next(
            (k for k, step in enumerate(error.path) if step.stage == examined._describe()), 0
        )
        raise wrapping(original_of(error), error.path[begin:]) from error.__cause__
    finally:
        if ahead is not None:
            ahead.close()


@contextmanager
def _bar(options: ScanOptions, name: str, n: int, done: int) -> Iterator[Callable[[int], object]]:
    """Return a context with a function that moves a progress bar, if that is visible."""
    bar = None
    if options.progress and getattr(here, "get", None) is None and _is_terminal():
        try:
            from tqdm.auto import tqdm
        except ImportError:
            pass
        else:
            bar = tqdm(desc=f"scan of {name}", total=n, initial=done, delay=_DELAY, leave=False)
    try:
        yield (lambda _: None) if bar is None else bar.update
    finally:
        if bar is not None:
            bar.close()


def _is_terminal() -> bool:
    try:
        return bool(sys.stderr.isatty())
    except (AttributeError, ValueError):  # it is no file, or closed
        return False
