"""A small queueing model that predicts the time to read all items with other workers.

Workers evaluate items in order, at most `window` of them ahead of the consumer. Then each value is
sent, which takes time of the worker and of the consumer. The consumer takes items in order; it
computes and waits too. The total time is at least the computing time of all divided by the number
of cores; under the lock of the interpreter, by one. The model has no start, no overhead of the
library, and no noise.
"""

from collections.abc import Sequence
from heapq import heappop, heappush, heapreplace
from typing import NamedTuple

from seqtools.instrument.profiling.measures import Item

_MOST = 600
"""Items to simulate; more would give the same. Arbitrary."""


class Setting(NamedTuple):
    """How a pipeline is read."""

    workers: int
    """Number of workers; 0 if the consumer evaluates all items."""
    window: int
    """Most items ahead of the consumer."""
    cores: float
    """Processor cores for all."""
    locked: bool = False
    """Whether workers and consumer compute one at a time, under the lock of the interpreter."""
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
    """Share of `use` in which the consumer computes."""


class Prediction(NamedTuple):
    """The time to read all items, in seconds."""

    total: float
    """From the start of the workers; use this to compare settings."""
    seconds: float
    """After the consumer has received the first item; others may be ready by then, too."""


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
    return Prediction(total * scale, (total - first) * scale)


def _simulate(items: Sequence[Item], costs: Costs, setting: Setting) -> tuple[float, float]:
    """Return when the consumer has used the last item, and when it received the first."""
    cores = 1.0 if setting.locked else max(1.0, setting.cores)
    workers = [0.0] * setting.workers  # a heap of the times at which each is free
    ready: list[tuple[float, float]] = []  # a heap of the order of taking, and when it is ready
    taken: list[float] = []
    free = 0.0  # when the consumer is free

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
