"""How long reading would take with other workers: a small model of queues.

Items are evaluated in their order by `workers`, at most `window` of them ahead of the consumer.
Then its value is handed over, in time of the worker and of the consumer, who takes items in order,
and computes and waits too. All together take no less than what all compute, on the processor cores
that there are, or on one under the lock of the interpreter. There is nothing else: no start, no
overhead of ours, no noise.
"""

from collections.abc import Sequence
from heapq import heappop, heappush, heapreplace
from typing import NamedTuple

from seqtools.instrument.profiling.measures import Item

_MOST = 600
"""Items that are gone through; more would say the same. Arbitrary."""


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
        total, first = _times(shown, costs, setting)
    else:
        first = shown[0].took
        total = sum(i.took for i in shown) + costs.use * len(shown)
    return Prediction(total * scale, (total - first) * scale)


def _times(items: Sequence[Item], costs: Costs, setting: Setting) -> tuple[float, float]:
    """Return when the consumer has used the last item, and when it had the first."""
    cores = 1.0 if setting.locked else max(1.0, setting.cores)
    workers = [0.0] * setting.workers  # when each is free, as a heap
    ready: list[tuple[float, float]] = []  # what is taken next first, and when that is ready
    taken: list[float] = []
    free = 0.0  # when the consumer is

    def take() -> None:
        nonlocal free
        _, end = heappop(ready)
        taken.append(max(free, end))
        free = taken[-1] + costs.load + costs.use

    for k, item in enumerate(items):
        begin = workers[0]
        if len(ready) == setting.window:
            take()
            begin = max(begin, taken[-1])
        end = begin + item.took + costs.send
        heapreplace(workers, end)
        heappush(ready, (k if setting.ordered else end, end))
    while ready:
        take()
    consumer = len(items) * (costs.load + costs.use * costs.use_computing)
    computed = consumer + sum(item.computing + costs.send for item in items)
    return max(free, computed / cores), taken[0]
