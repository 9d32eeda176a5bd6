"""How long reading would take with other workers: a small model of queues.

Items are evaluated in their order by `workers`, at most `window` of them ahead of the consumer.
Each waits first and computes then; those that compute take turns on the processor cores, or with
the lock of the interpreter. Then its value is handed over, in time of the worker and of the
consumer, who takes items in order, and computes and waits too. There is nothing else: no start,
no overhead of ours, no noise.
"""

import heapq
import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from seqtools.instrument.profiling.measures import Item

_MOST = 600
"""Items that are gone through; more would say the same. Arbitrary."""
_PART = 0.1
"""So much of a processor is none."""
_SLICE = 0.005
"""Seconds that somebody computes at a stretch while others want to. Of the lock of the interpreter
this is the default, and schedulers of systems are not far from it."""
_CONSUMER, _WORKER = 0, 1
_COMPUTES = 2
"""Added to who waits, it is who computes."""


class Setting(NamedTuple):
    """How a pipeline is read."""

    workers: int
    """Number of workers; 0 if the consumer does it all."""
    window: int
    """Most items ahead of the consumer."""
    cores: float
    """Processor cores that all share."""
    locked: bool = False
    """Whether workers and consumer compute one at a time, under the lock of the interpreter."""
    ordered: bool = True
    """Whether the consumer takes items in their order."""


class Costs(NamedTuple):
    """What an item costs besides its evaluation, in seconds."""

    send: float
    """To a worker, to hand it over."""
    load: float
    """To the consumer, to take it."""
    use: float
    """To the consumer, until it wants the next one."""
    use_computing: float
    """Share of `use` in which it computes."""


class Prediction(NamedTuple):
    """How long reading would take, in seconds."""

    total: float
    """From the first worker on, which is what to compare settings by."""
    seconds: float
    """From when the consumer has the first item on: others may be there by then, too."""


def predict(items: Sequence[Item], costs: Costs, setting: Setting) -> Prediction:
    """Return how long it would take to read all `items`."""
    if not items:
        return Prediction(0.0, 0.0)
    shown = items[:_MOST]
    scale = len(items) / len(shown)
    if setting.workers:
        total, first = _Run(shown, costs, setting).times()
    else:
        first = shown[0].waiting + shown[0].computing
        total = sum(i.waiting + i.computing for i in shown) + costs.use * len(shown)
    return Prediction(total * scale, (total - first) * scale)


class _Run:
    """Workers and a consumer, from event to event."""

    def __init__(self, items: Sequence[Item], costs: Costs, setting: Setting) -> None:
        self._items, self._costs, self._setting = items, costs, setting
        capacity = 1.0 if setting.locked else max(1.0, setting.cores)
        self._free = math.ceil(capacity - _PART)  # processors, slower if one is there in part
        self._speed = min(1.0, capacity / self._free)
        mean = sum(item.computing for item in items) / len(items)
        self._slice = max(_SLICE, mean / 4)
        self._now = 0.0
        self._events: list[tuple[float, int, int, float]] = []  # when, who, item, left to compute
        self._queue: deque[tuple[int, int, float]] = (
            deque()
        )  # who wants to compute: who, item, left
        self._ready: list[int] = []
        self._begun = 0
        self._taken = 0
        self._idle = setting.workers
        self._consumer_free = True

    def times(self) -> tuple[float, float]:
        """Return when the consumer has used the last item, and when it had the first."""
        n = len(self._items)
        first = None
        while self._taken < n or not self._consumer_free:
            self._begin()
            if first is None and self._taken:
                first = self._now
            self._step()
        return self._now, first or 0.0

    def _begin(self) -> None:
        """Begin what can begin now."""
        n = len(self._items)
        if self._consumer_free and self._ready:
            in_turn = not self._setting.ordered or self._ready[0] == self._taken
            if in_turn:
                heapq.heappop(self._ready)
                self._consumer_free = False
                self._taken += 1
                use, part = self._costs.use, self._costs.use_computing
                self._wait(use * (1 - part), _CONSUMER, 0, use * part + self._costs.load)
        while self._idle and self._begun < min(n, self._taken + self._setting.window):
            item = self._items[self._begun]
            self._idle -= 1
            self._wait(item.waiting, _WORKER, self._begun, item.computing + self._costs.send)
            self._begun += 1

    def _wait(self, seconds: float, who: int, item: int, computing: float) -> None:
        """Have somebody wait, and compute for so long then."""
        heapq.heappush(self._events, (self._now + seconds, who, item, computing))

    def _step(self) -> None:
        """Go to the next event."""
        self._now, who, item, left = heapq.heappop(self._events)
        if who in {_CONSUMER, _WORKER}:
            self._queue.append((who, item, left))
        else:
            self._free += 1
            if left > 0:
                self._queue.append((who - _COMPUTES, item, left))
            elif who == _WORKER + _COMPUTES:
                self._idle += 1
                heapq.heappush(self._ready, item)
            else:
                self._consumer_free = True
        while self._queue and self._free:
            who, item, left = self._queue.popleft()
            self._free -= 1
            part = min(left, self._slice)
            end = self._now + part / self._speed
            heapq.heappush(self._events, (end, who + _COMPUTES, item, left - part))
