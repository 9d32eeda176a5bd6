"""The engines, bound to the conformance suite: an engine is added by a row."""

from collections.abc import Callable
from typing import Any

from seqtools.engines.base import Engine
from seqtools.engines.process import ProcessEngine
from seqtools.engines.thread import ThreadEngine

Make = Callable[..., Engine]


def thread(get: Callable[[int], Any], nworkers: int = 2, hook: Any = None) -> Engine:
    return ThreadEngine(get, nworkers, hook)


def process(get: Callable[[int], Any], nworkers: int = 2, hook: Any = None) -> Engine:
    return ProcessEngine(None, get, nworkers, hook)


def forked(get: Callable[[int], Any], nworkers: int = 2, hook: Any = None) -> Engine:
    return ProcessEngine(None, get, nworkers, hook, "fork")


def thread_with_timeout(get: Callable[[int], Any], nworkers: int, timeout: float) -> Engine:
    return ThreadEngine(get, nworkers, timeout=timeout)


ENGINES: dict[str, Make] = {"thread": thread, "process": process, "fork": forked}
"""How to make each engine."""

WITH_TIMEOUT: dict[str, Make | None] = {
    "thread": thread_with_timeout,
    "process": None,
    "fork": None,
}
"""How to make each engine with a timeout for each item; `None` where that is still to be done."""

OPTIONS: dict[str, dict[str, Any]] = {
    "inline": {"nworkers": 0},
    "thread": {"nworkers": 2, "method": "thread"},
    "process": {"nworkers": 2, "method": "process"},
    "fork": {"nworkers": 2, "method": "process", "start_method": "fork"},
}
"""What to give `prefetch` for each engine."""
