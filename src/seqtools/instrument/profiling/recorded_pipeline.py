"""A copy of a pipeline that has a recorder after each stage."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any, NamedTuple, TypeVar
from weakref import ref

from seqtools._core.indices import Indices
from seqtools._core.recording import SIZE, RecordFolder, pack
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import read_many
from seqtools._core.traits import Traits
from seqtools._core.walk import is_stage, sources_of, upstream
from seqtools.combinators.generate import Arange
from seqtools.engines.cluster.costs import cost_of
from seqtools.instrument.observer import Observer
from seqtools.prefetching.options import Options
from seqtools.prefetching.sequence import Prefetch

T = TypeVar("T")

_TRIVIAL = (list, tuple, range, str, bytes, Arange)
"""Sources whose items take no time that is worth a line in the report."""


class StageRecorder(Observer[T]):
    """Passes the items of a stage on and records how long each read takes."""

    __slots__ = ("_folder", "_traits", "number")

    def __init__(self, sequence: Any, number: int, folder: RecordFolder) -> None:
        super().__init__(sequence)
        self.number, self._folder = number, folder
        # so that claims reach the stage that iterates
        iterates = is_stage(sequence) and sequence._traits.iterates
        self._traits = Traits(iterates=iterates, elementwise=True)

    def _pass_on(self, i: int) -> T:
        try:
            recorder = self._folder.local.recorder
        except AttributeError:
            recorder = self._folder.recorder()
        began = perf_counter()
        if began >= recorder.due:
            return recorder.timed(self.number, 1, i, self._read, i)  # type: ignore[no-any-return]
        try:
            return self._read(i)  # type: ignore[no-any-return]
        finally:  # the same as `Recorder.note`, without one more call for each item
            at = recorder.at
            pack(recorder.view, at, self.number, 1, i, began, perf_counter())
            recorder.at = at = at + SIZE
            if at > recorder.last:
                recorder.extend()

    _get = _pass_on  # not defined under this name, so that errors do not name the recorder

    def _get_many(self, indices: Indices) -> Sequence[T]:
        n = len(indices)
        if not n:
            return []
        first = int(indices[0])
        return self._folder.recorder().timed(
            self.number, n, first, lambda js: read_many(self._sequence, js), indices
        )

    def _claim(self, indices: Indices) -> None:
        source: Any = self._sequence
        if len(indices):  # this takes time, but reads no items yet
            self._folder.recorder().timed(self.number, 0, int(indices[0]), source._claim, indices)

    def _describe(self) -> str:
        return str(self._sequence._describe() if is_stage(self._sequence) else "")

    def _rebuild(self, *sources: Any) -> "StageRecorder[T]":
        return StageRecorder(sources[0], self.number, self._folder)

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self.number, self._folder


class Stage(NamedTuple):
    """A stage of a profiled pipeline, or a source of the user's."""

    number: int
    name: str
    """Short description, such as `smap(load)`."""
    kind: str
    """Name of the function that made it, such as `smap`."""
    site: tuple[str, int]
    """File and line where it was made; the file is empty for a source that is not a stage."""
    sources: tuple[int, ...]
    """Numbers of the stages that it reads."""
    options: dict[str, Any]
    """The options of a prefetch, the size of a cache, that a function draws random numbers; empty
    for all others."""


class RecordedPipeline:
    """A copy of a pipeline that records every read.

    The stages share their state with the original, such as the items of a cache.
    """

    def __init__(self, sequence: LazySequence[Any], folder: RecordFolder) -> None:
        self._folder = folder
        self._original = sequence  # keeps the stages alive, whose ids are keys
        self._recorders: dict[int, StageRecorder[Any]] = {}
        self.originals: dict[int, Any] = {}
        """Weak references to the stages that are no copies, by number."""
        self.stages: list[Stage] = []
        self.prefetches: list[Prefetch[Any]] = []
        for stage in upstream(sequence):
            if stage is sequence or not _is_trivial(stage):
                self._copy(stage)
        last = self._recorders[id(sequence)]
        self.top = last.number
        """Number of the last stage."""
        copy: Any = last._sequence  # noqa: SLF001 -- the consumer has a recorder of its own
        self.sequence: LazySequence[Any] = copy
        """The copy."""
        self.prefetch: Prefetch[Any] | None = self.prefetches[-1] if self.prefetches else None
        """The prefetch nearest to the consumer."""

    def close(self) -> None:
        """End the workers of the copy."""
        for prefetch in self.prefetches:
            prefetch.close()

    def _copy(self, stage: Any) -> None:
        """Add a copy of `stage` that reads from recorders."""
        is_prefetch = isinstance(stage, Prefetch)
        read = [
            source if _is_trivial(source) and not is_prefetch else self._recorder(source)
            for source in sources_of(stage)
        ]
        copy = stage._over(*read)
        if copy is not stage:
            copy._origin = stage._origin
            if is_prefetch:
                self.prefetches.append(copy)
        numbers = dict.fromkeys(each.number for each in read if isinstance(each, StageRecorder))
        self._add(stage, copy, tuple(numbers))

    def _recorder(self, source: Any) -> StageRecorder[Any]:
        if id(source) not in self._recorders:
            self._add(source, source, ())
        return self._recorders[id(source)]

    def _add(self, source: Any, copy: Any, numbers: tuple[int, ...]) -> None:
        name, kind, site = type(source).__name__, "source", ("", 0)
        if is_stage(source):
            name, kind, site = source._describe(), _kind(source), source._origin
            self.originals[len(self.stages)] = ref(source)
        number = len(self.stages)
        self.stages.append(Stage(number, name, kind, site, numbers, _options(source)))
        self._recorders[id(source)] = StageRecorder(copy, number, self._folder)


def _is_trivial(source: Any) -> bool:
    return isinstance(source, _TRIVIAL) or type(source).__module__ == "numpy"


def _kind(stage: Any) -> str:
    return stage._name or type(stage).__name__.lower()


def _options(stage: Any) -> dict[str, Any]:
    if isinstance(stage, Prefetch):
        options: Options = stage._options  # noqa: SLF001 -- ours
        cost = cost_of(options.method, options.where)
        # no object of the user
        plain = dict.fromkeys(("where", "engine_options", "start_hook", "end_hook"))
        return {**options._asdict(), **plain, "cost": cost}
    if is_stage(stage) and _kind(stage) == "add_cache":
        arguments = stage._args()
        return {"cache_size": arguments[1], "given": arguments[2] is not None}
    if any(getattr(stage, name, None) is not None for name in ("_rng", "_seed")):
        return {"draws": True}
    return {}
