"""A copy of a pipeline that evaluates items inline, and calls a listener for every read.

In the copy, a prefetch evaluates inline and a cache is only looked up. So reading starts no workers
and does not change caches. Every stage and every source is read through a `Watched`.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from seqtools._core.chance import seeding
from seqtools._core.display.tree import roles
from seqtools._core.error_path import described
from seqtools._core.indices import Indices
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import getter, read_many, size_of
from seqtools._core.traits import Traits
from seqtools._core.walk import is_stage, sources_of, upstream


class ReadListener(Protocol):
    """Does all reads; for example, measures them."""

    def read(self, stage: "Watched", i: int) -> Any:
        """Return `stage.evaluate(i)`."""

    def read_many(self, stage: "Watched", indices: Indices) -> Any:
        """Return `stage.evaluate_many(indices)`."""


class Watched(LazySequence[Any]):
    """A stage or a source, as other stages read it."""

    __slots__ = ("_copy", "_listener", "evaluate", "name", "original")

    _traits = Traits(elementwise=True)

    def __init__(self, original: Any, copy: Any, listener: ReadListener, role: str = "") -> None:
        self.original = original
        """The original stage or source."""
        self.name = described(original) if is_stage(original) else role or type(original).__name__
        """A short name."""
        self.evaluate = getter(copy)
        """Returns an item; it reads other stages through their `Watched`."""
        self._copy, self._listener = copy, listener
        if is_stage(original):
            self._origin = original._origin

    def evaluate_many(self, indices: Indices) -> Any:
        """Return items, in bulk if possible."""
        return read_many(self._copy, indices)

    def found(self) -> str:
        """For a cache, return in words whether it had the last item."""
        return self._copy.found if isinstance(self._copy, CacheView) else ""

    def _size(self) -> int | None:
        return size_of(self.original)

    def _describe(self) -> str:
        return self.name

    def _read(self, i: int) -> Any:
        return self._listener.read(self, i)

    # not defined under this name, so that errors do not name it as a stage
    _get = _read

    def _get_many(self, indices: Indices) -> Sequence[Any]:
        if is_stage(self._copy) and type(self._copy)._get_many is LazySequence._get_many:
            return super()._get_many(indices)  # one by one
        return self._listener.read_many(self, indices)  # type: ignore[no-any-return]

    def _sources(self) -> tuple[Any, ...]:
        return (self._copy,) if is_stage(self._copy) else ()


class CacheView(LazySequence[Any]):
    """A view of a cache that loads missing items itself, without changing the cache."""

    __slots__ = ("_cache", "_loaded", "_read", "_source", "_traits", "found")

    def __init__(self, cache: LazySequence[Any], source: Any) -> None:
        self._cache, self._source = cache, source
        self._read = getter(source)
        # the same as the cache, so that random numbers and hints are the same
        hinted = cache._traits.acts_on_hints
        self._traits = Traits(draws_apart=True, acts_on_hints=hinted, elementwise=True)
        self._loaded: dict[int, Any] = {}
        self.found = ""
        """In words, whether the cache had the last item."""

    def _size(self) -> int | None:
        return self._cache._length()

    def _get(self, i: int) -> Any:
        kept = self._cache._peek(i)
        if kept:
            self.found = "kept"
            return kept[0]
        if i not in self._loaded:
            self._loaded[i] = seeding.apart(self, i, self._read, i)
            self.found = "not kept"
        else:
            self.found = "read already"
        return self._loaded[i]

    def _sources(self) -> tuple[Any, ...]:
        return (self._source,)


def inlined(sequence: LazySequence[Any], listener: ReadListener) -> Watched:
    """Return a copy of `sequence` whose reads `listener` does.

    A stage without `_rebuild` is read as one step, with everything that it reads.
    """
    made: dict[int, Watched] = {}

    for stage in upstream(sequence):
        sources = sources_of(stage)
        for role, source in zip(roles(stage, sources), sources, strict=True):
            if id(source) not in made:
                made[id(source)] = Watched(source, source, listener, role)
        copy = _copy(stage, [made[id(source)] for source in sources]) if sources else stage
        made[id(stage)] = Watched(stage, copy, listener)
    return made[id(sequence)]


def _copy(stage: Any, sources: list[Watched]) -> Any:
    """Return `stage` over other `sources`, without workers and without filling caches."""
    if stage._traits.keeps_items and type(stage)._peek is not LazySequence._peek:
        return CacheView(stage, sources[0])
    if stage._traits.reads_ahead:
        _, options = stage._args()
        copy = type(stage)(sources[0], options._replace(nworkers=0))
    else:
        copy = stage._over(*sources)
    copy._origin = stage._origin
    return copy
