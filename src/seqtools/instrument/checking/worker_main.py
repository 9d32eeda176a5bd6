"""Evaluates items in a worker and returns a report about each; the worker's side of `worker`."""

import sys
from collections.abc import Callable
from time import monotonic, perf_counter, process_time
from typing import Any, NamedTuple

from seqtools._core.chance.seeding import Seeded
from seqtools._core.chance.seeds import Seed
from seqtools._core.sources import getter
from seqtools._core.walk import draw_index_of, drawing_apart, is_stage
from seqtools.instrument.checking.changes import Changes
from seqtools.instrument.checking.drawing import Draws
from seqtools.instrument.checking.findings import Finding
from seqtools.instrument.checking.flags import values
from seqtools.instrument.checking.random_state import restored_generators
from seqtools.instrument.checking.repeats import Read, Recorder, differing
from seqtools.instrument.inlined import ReadListener, Watched, inlined
from seqtools.prefetching.sizes import size_of_value

VALUE = 1 << 40
"""`VALUE + i` asks for the value of item `i`, the last one; `VALUE` alone for nothing."""
FLAGS = 1 << 50
"""Asks for the flags of modules, see `flags.values`."""
_SECONDS = 2.0
"""Time for evaluating items again, from which no further item is. Arbitrary."""


class Report(NamedTuple):
    """Measurements of one item."""

    size: int | None
    seconds: float
    computed: float
    """Seconds of processor time."""
    found: tuple[Finding, ...]
    differing: tuple[Finding, ...]
    """About stages that differ when the item is evaluated again."""


class ItemReports:
    """A function that evaluates items of `source` through watched stages.

    Args:
        source: What a prefetch reads.
        seed: The seed of the prefetch.
        shares: Whether its workers are threads.
        longest: Most seconds of an item that is evaluated again and compared.
        alone: Whether there are no workers: the reader evaluates all items.
    """

    def __init__(
        self, source: Any, seed: Seed | None, *, shares: bool, longest: float, alone: bool = False
    ) -> None:
        self._source, self._seed, self._shares = source, seed, shares
        self._longest, self._alone = longest, alone
        self._changes = Changes(shares=shares)
        self._draws = Draws(self._changes)
        self._first: Recorder | None = None
        self._read: Callable[[int], Any]
        self._value: Any = None
        self._repeated = 0.0

    def __call__(self, i: int) -> Any:
        """Return a report about item `i`, or something else: see `VALUE` and `FLAGS`."""
        if i == FLAGS:
            return values()
        if i >= VALUE:
            value, self._value = self._value, None
            return value
        if self._first is None:
            import numpy.random  # noqa: F401 -- if an item imported it, its state would be unknown

            listener = self._draws if self._seed is None else self._changes
            self._first = Recorder(listener, self._changes)
            self._read = self._reader(self._first)
        return self._report(self._first, i)

    def _reader(self, listener: ReadListener) -> Callable[[int], Any]:
        source: Any = self._source
        source = (
            inlined(source, listener) if is_stage(source) else Watched(source, source, listener)
        )
        read = getter(source)
        if self._seed is None:
            return read
        position = draw_index_of(self._source)
        return Seeded(read, self._seed, drawing_apart(source), position, keep=True)

    def _report(self, first: Recorder, i: int) -> Report:
        changes = self._changes
        changes.begin()
        self._draws.begin()
        first.begin()
        libraries = "torch" in sys.modules
        with restored_generators():  # so that the item draws the same if it is evaluated again
            watched = changes.wall, changes.cpu
            began = perf_counter(), process_time()
            value = self._read(i)
            seconds = perf_counter() - began[0] - (changes.wall - watched[0])
            computed = process_time() - began[1] - (changes.cpu - watched[1])
        self._value = None if self._shares else value
        size = size_of_value(value)
        found, reads = changes.found(), first.recorded()
        differ: list[Finding] = []
        if not found and reads and seconds <= self._longest and self._repeated <= _SECONDS:
            again = self._again(i)
            # torch is imported: the first evaluation may have drawn from another state
            if again is not None and libraries == ("torch" in sys.modules):
                differ = differing(reads, again, self._seed)
        found += self._draws.found(timing=self._shares and not self._alone)
        took = max(seconds, 1e-9), max(computed, 0.0)
        return Report(size, took[0], took[1], tuple(found), tuple(differ))

    def _again(self, i: int) -> list[Read] | None:
        """Return the reads of another evaluation of item `i`; `None` if it fails."""
        began = monotonic()
        changes = Changes(shares=self._shares)
        recorder = Recorder(changes, changes)
        try:
            self._reader(recorder)(i)
        except Exception:  # noqa: BLE001 -- user code may raise anything
            return None
        finally:
            self._repeated += monotonic() - began
        return recorder.recorded()
