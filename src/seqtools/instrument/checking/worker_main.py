"""Evaluates items in a worker and returns a report about each; the worker's side of `worker`."""

from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any, NamedTuple

from seqtools._core.chance.seeding import Seeded
from seqtools._core.chance.seeds import Seed
from seqtools._core.sources import getter
from seqtools._core.walk import draw_index_of, drawing_apart, is_stage
from seqtools.instrument.checking.changes import Changes
from seqtools.instrument.checking.drawing import Draws
from seqtools.instrument.checking.findings import Finding
from seqtools.instrument.checking.pickling import place
from seqtools.instrument.fingerprints import fingerprint
from seqtools.instrument.inlined import ReadListener, inlined
from seqtools.prefetching.sizes import size_of_value

VALUE = 1 << 40
"""`VALUE + i` asks for the value of item `i`, the last one; `VALUE` alone for nothing."""


class Report(NamedTuple):
    """Measurements of one item."""

    size: int | None
    seconds: float
    computed: float
    """Seconds of processor time."""
    found: tuple[Finding, ...]


class ItemReports:
    """A function that evaluates items of `source` through watched stages.

    Args:
        source: What a prefetch reads.
        seed: The seed of the prefetch.
        shares: Whether its workers are threads.
        repeats: Whether to evaluate an item twice and compare.
    """

    def __init__(self, source: Any, seed: Seed | None, *, shares: bool, repeats: bool) -> None:
        self._source, self._seed, self._shares, self._repeats = source, seed, shares, repeats
        self._changes = Changes(shares=shares)
        self._draws = Draws(self._changes)
        self._read: Callable[[int], Any] | None = None
        self._value: Any = None

    def __call__(self, i: int) -> Any:
        """Return a report about item `i`, or the last value: see `VALUE`."""
        if i >= VALUE:
            value, self._value = self._value, None
            return value
        if self._read is None:
            self._read = self._reader(self._changes if self._seed is not None else self._draws)
        return self._report(self._read, i)

    def _reader(self, listener: ReadListener) -> Callable[[int], Any]:
        source: Any = self._source
        if is_stage(source):
            source = inlined(source, listener)
        read = getter(source)
        if self._seed is None:
            return read
        position = draw_index_of(self._source)
        return Seeded(read, self._seed, drawing_apart(source), position, keep=True)

    def _report(self, read: Callable[[int], Any], i: int) -> Report:
        changes = self._changes
        changes.begin()
        self._draws.begin()
        watched = changes.wall, changes.cpu
        began = perf_counter(), process_time()
        value = read(i)
        seconds = perf_counter() - began[0] - (changes.wall - watched[0])
        computed = process_time() - began[1] - (changes.cpu - watched[1])
        self._value = None if self._shares else value
        size = size_of_value(value)
        found = changes.found() or self._differences(i, value)
        found += self._draws.found(shares=self._shares)
        took = max(seconds, 1e-9), max(computed, 0.0)
        return Report(size=size, seconds=took[0], computed=took[1], found=tuple(found))

    def _differences(self, i: int, value: Any) -> list[Finding]:
        """Evaluate one item again and compare."""
        if not self._repeats:
            return []
        self._repeats = False
        try:
            before = fingerprint(value)
            again = fingerprint(self._reader(Changes(shares=self._shares))(i))
        except Exception:  # noqa: BLE001 -- user code may raise anything
            return []
        if again == before:
            return []
        what = (
            f"item {i} differs when it is evaluated again, despite seed={self._seed!r}: it depends "
            "on a generator that seed= does not seed, on the time, or on state that a function "
            "keeps between items"
        )
        advice = "draw from the global generators of random, numpy and torch, and keep no state"
        where = place(self._source) if is_stage(self._source) else type(self._source).__name__
        return [Finding(what, where, advice)]
