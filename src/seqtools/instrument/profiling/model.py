"""A small queueing model that predicts the time to read all items with other workers.

Workers evaluate items in order, at most `window` of them ahead of the consumer. For each, a worker
waits, and then computes, when a core or the lock of the interpreter is free. Then each value is
sent, which takes time of the worker and of the consumer. The consumer takes items in order; it
computes and waits too. The total time is at least the computing time of all divided by the number
of cores, and the part of it that is under the lock. The model has no start, no overhead of the
library, and no noise.
"""

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush
from math import ceil
from typing import NamedTuple

from seqtools.instrument.profiling.measures import Item

_MOST = 600
"""Items to simulate; more would give the same. Arbitrary."""
_LONG = 300
"""Items after which all workers and the window have their pace. Arbitrary."""


class Setting(NamedTuple):
    """How a pipeline is read."""

    workers: int
    """Number of workers; 0 if the consumer evaluates all items."""
    window: int
    """Most items ahead of the consumer."""
    cores: float
    """Processor cores for all."""
    locked: float = 0.0
    """Share of computing in which workers and consumer take turns, because it is under the lock of
    the interpreter."""
    ordered: bool = True
    """Whether the consumer takes items in order."""


class Costs(NamedTuple):
    """What an item costs besides its evaluation, in seconds."""

    send: float
    """For a worker, to send it."""
    load: float
    """For the consumer, to receive it."""
    use: float
    """For the consumer, until it requests the next one."""
    use_computing: float
    """Cores on which the consumer computes during `use`, with all threads of libraries."""


class Prediction(NamedTuple):
    """The time to read all items, in seconds."""

    total: float
    """From the start of the workers; use this to compare settings."""
    seconds: float
    """After the consumer has received the first item; others may be ready by then, too."""

    @property
    def first(self) -> float:
        """From the start of the workers to the first item."""
        return self.total - self.seconds


def predict(items: Sequence[Item], costs: Costs, setting: Setting) -> Prediction:
    """Return the predicted time to read all `items`."""
    if not items:
        return Prediction(0.0, 0.0)
    simulated = items[:_MOST]
    scale = len(items) / len(simulated)
    if setting.workers:
        total, first = _simulate(simulated, costs, setting)
    else:
        first = simulated[0].took
        total = sum(i.took for i in simulated) + costs.use * len(simulated)
    return Prediction(total * scale, total * scale - first)


def under_lock(items: Sequence[Item], costs: Costs, setting: Setting) -> float:
    """Return how long threads have the lock for all `items`; nothing can be faster than that."""
    workers = sum(item.computing + costs.send for item in items)
    # threads of libraries need no lock
    use = costs.use * min(1.0, costs.use_computing)
    return (workers + len(items) * (costs.load + use)) * setting.locked


def pace(items: Sequence[Item], costs: Costs, setting: Setting) -> float:
    """Return the predicted seconds for an item of a run that is long, made of these `items`.

    In a short run, many items are ready when the first one is, and it seems faster.
    """
    if not items:
        return 0.0
    repeats = 2 * ceil(_LONG / len(items))
    half = [*items] * (repeats // 2)
    ends = [predict(part, costs, setting).total for part in (half, half + half)]
    return (ends[1] - ends[0]) / len(half)


def _simulate(items: Sequence[Item], costs: Costs, setting: Setting) -> tuple[float, float]:
    """Return when the consumer has used the last item, and when it received the first."""
    taken = _Simulation(items, costs, setting).run()
    end, n = taken[-1] + costs.load + costs.use, len(items)
    workers = sum(item.computing + costs.send for item in items)
    computed = workers + n * (costs.load + costs.use * costs.use_computing)
    return max(end, computed / max(1.0, setting.cores), under_lock(items, costs, setting)), taken[0]


class _Servers:
    """Cores, or the lock: some compute, and others wait in the order in which they came."""

    def __init__(self, number: int) -> None:
        self._free, self._queue = number, deque[int]()

    def enter(self, k: int) -> bool:
        """Return whether `k` begins at once; otherwise, `leave` returns it later."""
        if self._free:
            self._free -= 1
            return True
        self._queue.append(k)
        return False

    def leave(self) -> int | None:
        """End one, and return the one that begins in its place."""
        if self._queue:
            return self._queue.popleft()
        self._free += 1
        return None


_USED = -2
_WAITED = -1
"""Events besides the ends of phases: the consumer has used an item, an item has waited."""


class _Simulation:
    """Workers wait for each item, compute under the lock, compute without it, and send it."""

    def __init__(self, items: Sequence[Item], costs: Costs, setting: Setting) -> None:
        self._items, self._workers = items, setting.workers
        self._window, self._ordered = max(1, setting.window), setting.ordered
        self._use = costs.load + costs.use
        cores = max(1.0, setting.cores)
        # a part of a core makes nobody faster than a core
        slower = ceil(cores) / cores if setting.workers > cores else 1.0
        free = (1 - setting.locked) * slower
        self._servers = _Servers(1), _Servers(ceil(cores))
        self._phases = (
            [item.computing * setting.locked for item in items],
            [item.computing * free + costs.send * slower for item in items],
        )
        self._events: list[tuple[float, int, int]] = []  # time, item, and which phase has ended

    def run(self) -> list[float]:
        """Return when the consumer takes items."""
        n, idle, begun, done, now, free = len(self._items), self._workers, 0, 0, 0.0, True
        ready: list[int] = []  # a heap of what the consumer takes next
        taken: list[float] = []
        while True:
            if free and ready and (not self._ordered or ready[0] == len(taken)):
                heappop(ready)
                taken.append(now)
                if len(taken) == n:
                    return taken
                free = False
                heappush(self._events, (now + self._use, n, _USED))
            while idle and begun < min(n, len(taken) + self._window):
                heappush(self._events, (now + self._items[begun].waiting, begun, _WAITED))
                idle, begun = idle - 1, begun + 1
            now, k, phase = heappop(self._events)
            if phase == _USED:
                free = True
            elif self._ends(now, k, phase):
                heappush(ready, k if self._ordered else done)
                idle, done = idle + 1, done + 1

    def _ends(self, now: float, k: int, phase: int) -> bool:
        """Begin what follows the end of a phase; return whether an item is done."""
        if phase >= 0:
            successor = self._servers[phase].leave()
            if successor is not None:
                self._begin(now, successor, phase)
        for following in range(phase + 1, len(self._phases)):
            if self._phases[following][k]:
                if self._servers[following].enter(k):
                    self._begin(now, k, following)
                return False
        return True

    def _begin(self, now: float, k: int, phase: int) -> None:
        heappush(self._events, (now + self._phases[phase][k], k, phase))
