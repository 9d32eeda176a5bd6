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


def with_timeout(start_method: str) -> Make:
    """Return how to make an engine whose items may take only so many seconds."""

    def made(get: Callable[[int], Any], nworkers: int, timeout: float) -> Engine:
        if start_method == "thread":
            return ThreadEngine(get, nworkers, timeout=timeout)
        return ProcessEngine(None, get, nworkers, start_method=start_method, timeout=timeout)

    return made


WITH_TIMEOUT: dict[str, Make] = {
    "thread": with_timeout("thread"),
    "process": with_timeout("template"),
    "spawn": with_timeout("spawn"),
    "fork": with_timeout("fork"),
}
"""How to make each engine with a timeout for each item."""

OPTIONS: dict[str, dict[str, Any]] = {
    "inline": {"nworkers": 0},
    "thread": {"nworkers": 2, "method": "thread"},
    "process": {"nworkers": 2, "method": "process"},
    "spawn": {"nworkers": 2, "method": "process", "start_method": "spawn"},
    "fork": {"nworkers": 2, "method": "process", "start_method": "fork"},
}
"""What to give `prefetch` for each engine."""
