"""Measurements of items and readers, by which workers are chosen."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

_STARVING = 0.1
"""Share of the time for which a reader waits, from which it gets more workers."""
_LEAST = 0.2
"""Least share of the time that counts as ours, whatever other programs do."""
_CONSUMER_COST, _WORKER_COST = 2e-6, 2e-6
"""Seconds of processor time that a process engine needs for a trivial item, in the consumer and in
a worker. Measured."""
_BYTES = 3e9
"""Bytes of arrays that a worker copies in a second. Measured."""


class ItemTime(NamedTuple):
    """How long an item took, in seconds."""

    wall: float
    cpu: float
    """Processor time."""


class TransferCost(NamedTuple):
    """What it costs to send a value from one process to another."""

    dump: float
    """Seconds of processor time to pickle it."""
    load: float
    """Seconds of processor time to load it."""
    nbytes: int
    """Bytes of its buffers, which are copied once."""


class Observation(NamedTuple):
    """What was measured during a period."""

    seconds: float = 0.0
    """Length of the period."""
    waited: float = 0.0
    """Seconds for which readers waited."""
    delivered: int = 0
    """The number of items that were delivered."""
    spent: float = 0.0
    """Seconds that workers needed for them."""
    delay: float = 0.0
    """Seconds for which threads could have run, and no core was free."""
    times: tuple[ItemTime, ...] = ()
    """How long each item took, if threads measure that."""
    costs: tuple[TransferCost, ...] = ()
    """What it costs to send some of them."""

    @property
    def starving(self) -> bool:
        """Whether readers waited for much of the time."""
        return self.waited > _STARVING * self.seconds

    def undisturbed(self, nworkers: int) -> tuple[float, float]:
        """Return the items per second and the used cores, without the effect of other programs.

        That effect is temporary. It shows in the time for which threads had to wait for a core.
        """
        own = self.seconds * max(_LEAST, 1 - self.delay / (nworkers * self.seconds))
        rate = max(len(self.times), self.delivered) / own
        return rate, sum(time.cpu for time in self.times) / own

    def typical_item(self) -> ItemTime:
        """Return how long an item takes, without the effect of other programs."""
        cpu = max(median(time.cpu for time in self.times), 1e-7)
        wall = median(time.wall for time in self.times) - self.delay / len(self.times)
        return ItemTime(max(wall, cpu), cpu)


def sending(costs: Sequence[TransferCost]) -> tuple[float, float]:
    """Return the seconds that a worker needs to send an item, and the consumer to receive it."""
    dump = median(cost.dump + cost.nbytes / _BYTES for cost in costs)
    return dump + _WORKER_COST, median(cost.load for cost in costs) + _CONSUMER_COST
