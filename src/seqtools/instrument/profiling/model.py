"""How long reading would take with other workers: a small model of queues.

Items are evaluated in their order by `workers`, at most `window` of them ahead of the consumer.
Each waits first and computes then; those that compute share the processor cores, or the lock of
the interpreter, equally. Then its value is handed over, in time of the worker and of the consumer,
who takes items in order, and computes and waits too. There is nothing else: no start, no
overhead of ours, no noise.
"""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

from seqtools.instrument.profiling.measures import Item

_MOST = 600
"""Items that are gone through; more would say the same. Arbitrary."""
_TINY = 1e-12


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


class Estimate(NamedTuple):
    """How long reading would take, in seconds."""

    total: float
    """From the first worker on, which is what to compare settings by."""
    seconds: float
    """From when the consumer has the first item on: others may be there by then, too."""


def predict(items: Sequence[Item], costs: Costs, setting: Setting) -> Estimate:
    """Return how long it would take to read all `items`."""
    if not items:
        return Estimate(0.0, 0.0)
    shown = items[:_MOST]
    scale = len(items) / len(shown)
    if setting.workers:
        total, first = _Run(shown, costs, setting).times()
    else:
        first = shown[0].waiting + shown[0].computing
        total = sum(i.waiting + i.computing for i in shown) + costs.use * len(shown)
    return Estimate(total * scale, (total - first) * scale)


class _Run:
    """Workers and a consumer, from event to event."""

    def __init__(self, items: Sequence[Item], costs: Costs, setting: Setting) -> None:
        self._items, self._costs, self._setting = items, costs, setting
        self._capacity = 1.0 if setting.locked else max(1.0, setting.cores)
        self._now = 0.0
        self._spent = 0.0  # what one that computes all the time has computed
        self._waiting: list[tuple[float, int, int]] = []  # until when, who, for which item
        self._computing: list[tuple[float, int, int]] = []  # until how much is spent, who, item
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
            self._go_on()
            if first is None and self._taken:
                first = self._now
            self._step()
        return self._now, first or 0.0

    def _go_on(self) -> None:
        """Begin what can begin now."""
        n = len(self._items)
        while self._idle and self._begun < min(n, self._taken + self._setting.window):
            self._idle -= 1
            self._wait(self._items[self._begun].waiting, 1, self._begun)
            self._begun += 1
        if self._consumer_free and self._ready:
            if self._setting.ordered and self._ready[0] != self._taken:
                return
            heapq.heappop(self._ready)
            self._consumer_free = False
            self._taken += 1
            self._wait(self._costs.use * (1 - self._costs.use_computing), 0, 0)
            self._go_on()  # there is room in the window

    def _wait(self, seconds: float, who: int, item: int) -> None:
        heapq.heappush(self._waiting, (self._now + seconds, who, item))

    def _step(self) -> None:
        """Go to the next event."""
        rate = min(1.0, self._capacity / max(1, len(self._computing)))
        next_wait = self._waiting[0][0] if self._waiting else float("inf")
        left = self._computing[0][0] - self._spent if self._computing else float("inf")
        next_computed = self._now + left / rate
        now = min(next_wait, next_computed)
        self._spent += (now - self._now) * rate if self._computing else 0.0
        self._now = now
        while self._waiting and self._waiting[0][0] <= now + _TINY:
            _, who, item = heapq.heappop(self._waiting)
            amount = (
                self._items[item].computing + self._costs.send
                if who
                else self._costs.use * self._costs.use_computing + self._costs.load
            )
            heapq.heappush(self._computing, (self._spent + amount, who, item))
        while self._computing and self._computing[0][0] <= self._spent + _TINY:
            _, who, item = heapq.heappop(self._computing)
            if who:
                self._idle += 1
                heapq.heappush(self._ready, item)
            else:
                self._consumer_free = True
