"""The engines, bound to the conformance suite: an engine is added by a row."""

from collections.abc import Callable
from typing import Any

import seqtools
from seqtools.engines.base import Engine
from seqtools.engines.process import ProcessEngine
from seqtools.engines.thread import ThreadEngine
from seqtools.prefetching.hints import hints

Make = Callable[..., Engine]


def thread(
    get: Callable[[int], Any], nworkers: int = 2, hook: Any = None, hints: Any = None
) -> Engine:
    return ThreadEngine(get, nworkers, hook, hints)


def process(
    get: Callable[[int], Any], nworkers: int = 2, hook: Any = None, hints: Any = None
) -> Engine:
    return ProcessEngine(None, get, nworkers, hook, hints=hints)


def spawned(
    get: Callable[[int], Any], nworkers: int = 2, hook: Any = None, hints: Any = None
) -> Engine:
    return ProcessEngine(None, get, nworkers, hook, "spawn", hints)


def forked(
    get: Callable[[int], Any], nworkers: int = 2, hook: Any = None, hints: Any = None
) -> Engine:
    return ProcessEngine(None, get, nworkers, hook, "fork", hints)


class _From(seqtools.LazySequence[Any]):
    """What `get` returns for each index, without end that is known."""

    def __init__(self, get: Callable[[int], Any]) -> None:
        self._read = get

    def _size(self) -> None:
        return None

    def _get(self, i: int) -> Any:
        return self._read(i)

    def _args(self) -> tuple[Any, ...]:
        return (self._read,)


def with_hints(make: Make) -> Make:
    """Return how to make the same engine for a pipeline that reads ahead in the background."""

    def made(get: Callable[[int], Any], nworkers: int = 2, hook: Any = None) -> Engine:
        source = seqtools.smap(lambda x: x, seqtools.add_cache(_From(get), 4))
        return make(source._get, nworkers, hook, hints(source))

    return made


ENGINES: dict[str, Make] = {
    "thread": thread,
    "thread+hints": with_hints(thread),
    "process": process,
    "process+hints": with_hints(process),
    "spawn": spawned,
    "spawn+hints": with_hints(spawned),
    "fork": forked,
}
"""How to make each engine."""

OPTIONS: dict[str, dict[str, Any]] = {
    "inline": {"nworkers": 0},
    "thread": {"nworkers": 2, "method": "thread"},
    "process": {"nworkers": 2, "method": "process"},
    "spawn": {"nworkers": 2, "method": "process", "start_method": "spawn"},
    "fork": {"nworkers": 2, "method": "process", "start_method": "fork"},
}
"""What to give `prefetch` for each engine."""
