"""The engines, bound to the conformance suite: an engine is added by a row."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import seqtools
from seqtools.engines.adaptive.engine import AdaptiveEngine
from seqtools.engines.base import Deliver, Engine
from seqtools.engines.cluster.engine import ClusterEngine
from seqtools.engines.cluster.executor import ExecutorTransport
from seqtools.engines.process.engine import ProcessEngine
from seqtools.engines.thread.engine import ThreadEngine
from seqtools.engines.wire.shipment import PickledPipeline
from seqtools.prefetching.hints import hints

Make = Callable[..., Engine]


def thread(get: Callable[[int], Any], nworkers: int = 2, **options: Any) -> Engine:
    return ThreadEngine(get, nworkers, **options)


def process(get: Callable[[int], Any], nworkers: int = 2, **options: Any) -> Engine:
    return ProcessEngine(None, get, nworkers, **options)


def spawned(get: Callable[[int], Any], nworkers: int = 2, **options: Any) -> Engine:
    return ProcessEngine(None, get, nworkers, start_method="spawn", **options)


def forked(get: Callable[[int], Any], nworkers: int = 2, **options: Any) -> Engine:
    return ProcessEngine(None, get, nworkers, start_method="fork", **options)


def threaded(get: Callable[[int], Any], nworkers: int = 2, **options: Any) -> Engine:
    return on_executor(lambda: ThreadPoolExecutor(nworkers), get, nworkers, **options)


def pooled(get: Callable[[int], Any], nworkers: int = 2, **options: Any) -> Engine:
    context = multiprocessing.get_context("forkserver")
    return on_executor(
        lambda: ProcessPoolExecutor(nworkers, mp_context=context), get, nworkers, **options
    )


def on_executor(
    make: Callable[[], Executor], get: Callable[[int], Any], nworkers: int, **options: Any
) -> Engine:
    return ClusterEngine(ExecutorTransport(None, nworkers, make), None, get, get, **options)


class Moves:
    """A choice for tests, which goes from one step to the next when items have been evaluated.

    Args:
        *steps: Numbers of workers: of processes if they are negative.
    """

    measuring = both_possible = undecided = True

    def __init__(self, *steps: int) -> None:
        self.left = list(steps)
        self.most_processes = max(2, *map(abs, steps))
        self.refused = ""
        self._step()

    def period(self) -> float:
        """Look each time."""
        return 0.0

    def decide(self, seen: Any) -> bool:
        """Go on to the next step."""
        if self.left and seen.delivered:
            self._step()
        return True

    def stuck(self) -> None:
        """Do nothing about it."""

    def refuse(self, why: str) -> None:
        """Go on with threads."""
        self.refused, self.method, self.left = why, "thread", []

    def room(self) -> tuple[int, int]:
        """Have it as it is."""
        return 0, 0

    def remark(self) -> str:
        """Tell what there is."""
        return f"{self.nworkers} of {self.method}"

    def _step(self) -> None:
        step = self.left.pop(0)
        self.method, self.nworkers = "process" if step < 0 else "thread", abs(step)


def with_steps(*steps: int) -> Make:
    """Return how to make an engine that goes through `steps`, up to so many workers."""

    def made(
        get: Callable[[int], Any],
        nworkers: int = 2,
        start_hook: Any = None,
        *,
        end_hook: Any = None,
        deliver: Deliver,
    ) -> Engine:
        own = [min(nworkers, step) if step > 0 else max(-nworkers, step) for step in steps]
        return AdaptiveEngine(
            Moves(*own),
            lambda n, probe, deliver: ThreadEngine(
                get, n, start_hook, probe=probe, end_hook=end_hook, deliver=deliver
            ),
            lambda most, n, pickled, deliver: ProcessEngine(
                *(None, get, most, start_hook),
                pickled=pickled,
                begin_with=n,
                end_hook=end_hook,
                deliver=deliver,
            ),
            lambda: PickledPipeline(None, get, start_hook, None, end_hook),
            deliver=deliver,
        )

    return made


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

    def made(get: Callable[[int], Any], nworkers: int = 2, **options: Any) -> Engine:
        source = seqtools.smap(lambda x: x, seqtools.add_cache(_From(get), 4))
        return make(source._get, nworkers, hints=hints(source), **options)

    return made


BECOMING: dict[str, Make] = {
    "resized": with_steps(1, 9, 1, 9),
    "moving": with_steps(1, 2, -2),
    "adaptive processes": with_steps(-1, -2, -1),
}
"""How to make engines that become others."""

ENGINES: dict[str, Make] = {
    **BECOMING,
    "thread": thread,
    "thread+hints": with_hints(thread),
    "process": process,
    "process+hints": with_hints(process),
    "spawn": spawned,
    "spawn+hints": with_hints(spawned),
    "fork": forked,
}
"""How to make each engine."""


WITH_TIMEOUT = frozenset({"thread", "process", "spawn", "fork"})
"""Engines that are made with a timeout for each item, too."""
WITH_PROCESSES = frozenset({"process", "spawn", "fork"})
"""Engines whose workers may die."""

OPTIONS: dict[str, dict[str, Any]] = {
    "inline": {"nworkers": 0},
    "thread": {"nworkers": 2, "method": "thread"},
    "process": {"nworkers": 2, "method": "process"},
    "spawn": {"nworkers": 2, "method": "process", "start_method": "spawn"},
    "fork": {"nworkers": 2, "method": "process", "start_method": "fork"},
    "auto": {"nworkers": "auto"},
}
"""What to give `prefetch` for each engine."""
