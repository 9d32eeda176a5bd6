"""Stages that pass items on and write down when, and a pipeline that has one after each stage."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

from seqtools._core.indices import Indices
from seqtools._core.recording import SIZE, RecordFolder, pack
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import read_many
from seqtools._core.traits import Traits
from seqtools._core.walk import is_stage
from seqtools.combinators.generate import Arange
from seqtools.instrument.observer import Observer
from seqtools.prefetching.sequence import Prefetch

T = TypeVar("T")

_PLAIN = (list, tuple, range, str, bytes, Arange)
"""Sources of which reading an item takes no time worth a line."""


class StageRecorder(Observer[T]):
    """Items of a sequence, with the times that reading them takes written into a folder."""

    __slots__ = ("_folder", "_number", "_traits")

    def __init__(self, sequence: Any, number: int, folder: RecordFolder) -> None:
        super().__init__(sequence)
        self._number, self._folder = number, folder
        # that of an iterable is told what is claimed of it
        iterates = is_stage(sequence) and sequence._traits.iterates
        self._traits = Traits(iterates=iterates)

    def _pass_on(self, i: int) -> T:
        try:
            recorder = self._folder.local.recorder
        except AttributeError:
            recorder = self._folder.recorder()
        began = perf_counter()
        if began >= recorder.due:
            return recorder.timed(self._number, 1, i, self._read, i)  # type: ignore[no-any-return]
        try:
            return self._read(i)  # type: ignore[no-any-return]
        finally:  # as `Recorder.note` does, which would be one more call for each item
            at = recorder.at
            pack(recorder.view, at, self._number, 1, i, began, perf_counter())
            recorder.at = at = at + SIZE
            if at > recorder.last:
                recorder.extend()

    _get = _pass_on  # by another name, or errors would tell of a stage that users did not write

    def _get_many(self, indices: Indices) -> Sequence[T]:
        n = len(indices)
        if not n:
            return []
        first = int(indices[0])
        return self._folder.recorder().timed(
            self._number, n, first, lambda js: read_many(self._sequence, js), indices
        )

    def _claim(self, indices: Indices) -> None:
        source: Any = self._sequence
        if len(indices):  # time, but no items: these are read afterwards
            self._folder.recorder().timed(self._number, 0, int(indices[0]), source._claim, indices)

    def _describe(self) -> str:
        return str(self._sequence._describe() if is_stage(self._sequence) else "")

    def _rebuild(self, *sources: Any) -> "StageRecorder[T]":
        return StageRecorder(sources[0], self._number, self._folder)

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self._number, self._folder


class Stage(NamedTuple):
    """A stage of a pipeline that is profiled, or a source of the user's."""

    number: int
    name: str
    """Short description, such as `smap(load)`."""
    kind: str
    """Name of the function that made it, such as `smap`."""
    site: tuple[str, int]
    """File and line where it was made; an empty file for a source that is no stage of ours."""
    sources: tuple[int, ...]
    """Numbers of the stages that it reads."""
    options: dict[str, Any]
    """How a prefetch reads ahead, or how much a cache keeps; empty for all others."""


class RecordedPipeline:
    """A copy of a pipeline that records what happens in it.

    What stages keep, such as the items of a cache, is shared with the original.
    """

    def __init__(self, sequence: LazySequence[Any], folder: RecordFolder) -> None:
        self._folder = folder
        self._copies: dict[int, tuple[int, Any]] = {}
        self._originals: list[Any] = []  # as long as they are known by their ids
        self.stages: list[Stage] = []
        self.prefetches: list[Prefetch[Any]] = []
        number, recorder = self._recorded(sequence)
        self.top = number
        """Number of the last stage."""
        self.sequence: LazySequence[Any] = recorder._sequence  # noqa: SLF001 -- the consumer is timed apart
        """The copy, which reads recorders."""
        self.prefetch: Prefetch[Any] | None = self.prefetches[-1] if self.prefetches else None
        """The prefetch that is nearest to the consumer."""

    def close(self) -> None:
        """End the workers of the copy."""
        for prefetch in self.prefetches:
            prefetch.close()

    def _recorded(self, source: Any) -> tuple[int, Any]:
        """Return the number of a stage, and a recorder of its copy."""
        known = self._copies.get(id(source))
        if known is not None:
            return known
        number = len(self.stages)
        self.stages.append(Stage(number, "", "", ("", 0), (), {}))
        copy, numbers = source, []
        if is_stage(source):
            copies = []
            for upstream in source._sources():
                if _is_plain(upstream) and not isinstance(source, Prefetch):
                    copies.append(upstream)
                else:
                    n, recorder = self._recorded(upstream)
                    numbers.append(n)
                    copies.append(recorder)
            copy = source._rebuild(*copies)
            if copy is not source:
                copy._origin = source._origin
            name, kind, site = source._describe(), _kind(source), source._origin
        else:
            name, kind, site = type(source).__name__, "source", ("", 0)
        self.stages[number] = Stage(
            number, name, kind, site, tuple(dict.fromkeys(numbers)), _options(source)
        )
        if isinstance(copy, Prefetch) and copy is not source:
            self.prefetches.append(copy)
        known = self._copies[id(source)] = number, StageRecorder(copy, number, self._folder)
        self._originals.append(source)
        return known


def _is_plain(source: Any) -> bool:
    return isinstance(source, _PLAIN) or type(source).__module__ == "numpy"


def _kind(stage: Any) -> str:
    return stage._name or type(stage).__name__.lower()


def _options(stage: Any) -> dict[str, Any]:
    if isinstance(stage, Prefetch):
        return stage._options._asdict()  # noqa: SLF001 -- ours
    if is_stage(stage) and _kind(stage) == "add_cache":
        arguments = stage._args()
        return {"cache_size": arguments[1], "given": arguments[2] is not None}
    return {}
