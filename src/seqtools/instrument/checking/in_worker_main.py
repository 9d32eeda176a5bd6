"""A few items evaluated by a worker, which says how that went: the side of the worker.

It is to an engine what a pipeline is: it evaluates by a function from an index to a value. Items
are reports. When it is unpickled, it takes note of what loading each stage has done.
"""

import sys
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any, NamedTuple

from seqtools._core.errors import EndOfSequence, summary
from seqtools._core.seeding import Seeded
from seqtools._core.sources import getter
from seqtools._core.walk import drawing_apart, is_stage, upstream
from seqtools.engines.process import background_threads
from seqtools.instrument.checking.changes import Changes, Told
from seqtools.instrument.checking.sending import place
from seqtools.instrument.fingerprints import fingerprint
from seqtools.instrument.inlined import inlined
from seqtools.prefetching.sizes import size_of_value

VALUE = 1 << 40
"""Added to the index of an item, it asks for its value, as a prefetch does."""
LOADED = 1 << 41
"""An index that asks for what loading has done."""


class Report(NamedTuple):
    """What became of an item."""

    ended: bool = False
    """Whether there is none, as the pipeline ends before it."""
    error: str = ""
    """Why it failed."""
    size: int | None = None
    seconds: float = 0.0
    computed: float = 0.0
    found: tuple[Told, ...] = ()


class WorkerCheck:
    """Evaluates items of `source`, each through stages that are watched.

    Args:
        source: What a prefetch reads.
        seed: That of the prefetch.
        shares: Whether its workers are threads.
        repeats: Whether to look if an item is the same when it is made again.
    """

    def __init__(self, source: Any, seed: int | None, *, shares: bool, repeats: bool) -> None:
        self._source, self._seed, self._shares, self._repeats = source, seed, shares, repeats
        self._changes = Changes(shares=shares)
        self._read: Callable[[int], Any] | None = None
        self._value: Any = None
        self.loaded: list[Told] = []
        """What loading it has done."""

    def __call__(self, i: int) -> Any:
        """Return a report about item `i`, or what else is asked for: see `VALUE`, `LOADED`."""
        if i == LOADED:
            return self.loaded
        if i >= VALUE:
            value, self._value = self._value, None
            return value
        if self._read is None:
            self._read = self._reader(self._changes)
        return self._report(self._read, i)

    def _reader(self, changes: Changes) -> Callable[[int], Any]:
        source: Any = self._source
        if is_stage(source):
            source = inlined(source, changes)
        read = getter(source)
        if self._seed is None:
            return read
        return Seeded(read, self._seed, drawing_apart(source), keep=True)

    def _report(self, read: Callable[[int], Any], i: int) -> Report:
        changes = self._changes
        changes.begin()
        watched = changes.wall, changes.cpu
        began = perf_counter(), process_time()
        try:
            value = read(i)
        except EndOfSequence:
            return Report(ended=True)
        except Exception as error:  # noqa: BLE001 -- code of users may raise anything
            return Report(error=summary(error))
        seconds = perf_counter() - began[0] - (changes.wall - watched[0])
        computed = process_time() - began[1] - (changes.cpu - watched[1])
        self._value = None if self._shares else value
        size = size_of_value(value)
        found = changes.found() or self._differences(i, value)
        took = max(seconds, 1e-9), max(computed, 0.0)
        return Report(size=size, seconds=took[0], computed=took[1], found=tuple(found))

    def _differences(self, i: int, value: Any) -> list[Told]:
        """Make an item again, once, and look whether it is the same."""
        if not self._repeats:
            return []
        self._repeats = False
        try:
            before = fingerprint(value)
            again = fingerprint(self._reader(Changes(shares=self._shares))(i))
        except Exception:  # noqa: BLE001 -- code of users may raise anything
            return []
        if again == before:
            return []
        what = (
            f"item {i} differs when it is evaluated again, despite seed={self._seed}: it depends "
            "on a generator that seed= does not seed, on the time, or on state that a function "
            "keeps between items"
        )
        advice = "draw from the global generators of random, numpy and torch, and keep no state"
        where = place(self._source) if is_stage(self._source) else type(self._source).__name__
        return [Told(what, where, advice)]

    def __reduce__(self) -> Any:
        """Pickle the stages, sources before what reads them, with a mark behind each."""
        stages = list(upstream(self._source)) if is_stage(self._source) else [self._source]
        parts = [part for stage in stages for part in (stage, Mark())]
        options = self._seed, self._shares, self._repeats
        return _loaded, (options, Mark(), *parts)


class Mark:
    """Where this stands in a pickle, it is noted when that is loaded what there is by then."""

    def __init__(self) -> None:
        self.threads: list[str] = []
        self.modules: list[str] = []

    def __reduce__(self) -> Any:
        return _marked, ()


def _marked() -> Mark:
    mark = Mark()
    mark.threads, mark.modules = list(background_threads.others().values()), list(sys.modules)
    return mark


def _loaded(options: tuple[Any, bool, bool], first: Mark, *parts: Any) -> WorkerCheck:
    seed, shares, repeats = options
    trial = WorkerCheck(parts[-2], seed, shares=shares, repeats=repeats)
    before = first
    for stage, mark in zip(parts[::2], parts[1::2], strict=True):
        more = len(mark.threads) - len(before.threads)
        if more > 0:
            modules = _packages(mark.modules[len(before.modules) :])
            trial.loaded.append(_of_threads(stage, more, modules))
        before = mark
    return trial


def _packages(modules: list[str]) -> list[str]:
    """Return the packages of `modules` that are not of Python, each once."""
    names = dict.fromkeys(name.partition(".")[0] for name in modules)
    return [name for name in names if name not in sys.stdlib_module_names and name != "seqtools"]


def _of_threads(stage: Any, count: int, modules: list[str]) -> Told:
    started = "a thread" if count == 1 else f"{count} threads"
    by = f" (with it, {', '.join(modules[:4])} was imported)" if modules else ""
    what = f"loading it starts {started}{by}, so each worker loads the pipeline itself"
    advice = "import or create that in the function that uses it, at the first item"
    return Told(what, place(stage) if is_stage(stage) else type(stage).__name__, advice)
