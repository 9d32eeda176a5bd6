"""What is seen of items and their readers, by which workers are chosen."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

_STARVING = 0.1
"""Share of the time that a reader waits, from which more is done for it."""
_LEAST = 0.2
"""Share of the time that is taken for ours at least, whatever other programs do."""
_CONSUMER_COST, _WORKER_COST = 2e-6, 2e-6
"""Seconds of processor time that an engine of processes takes for an item that takes none, in the
consumer and in a worker. Measured."""
_BYTES = 3e9
"""Bytes of arrays that a worker copies in a second. Measured."""


class ItemTime(NamedTuple):
    """How long an item took, in seconds."""

    wall: float
    """All in all."""
    cpu: float
    """Processor time."""
    delay: float = 0.0
    """For how long no core was free for its thread since the last item that tells it."""


class TransferCost(NamedTuple):
    """What it takes to send a value from one process to another."""

    dump: float
    """Processor time to pickle it, in seconds."""
    load: float
    """Processor time to load it again."""
    nbytes: int
    """Bytes of its buffers, which are copied once."""


class Observation(NamedTuple):
    """What was seen for a while."""

    seconds: float = 0.0
    """How long that was."""
    waited: float = 0.0
    """For how much of it a reader waited."""
    delivered: int = 0
    """Items that came."""
    spent: float = 0.0
    """Seconds that workers were at these."""
    read: float = 0.0
    """Processor time of the reader."""
    times: tuple[ItemTime, ...] = ()
    """How long each item took, where threads measure that."""
    costs: tuple[TransferCost, ...] = ()
    """What it takes to send some of them."""

    @property
    def starving(self) -> bool:
        """Whether readers waited for much of the time."""
        return self.waited > _STARVING * self.seconds

    def undisturbed(self, nworkers: int) -> tuple[float, float]:
        """Return the items per second and the cores used, as if there were no other programs.

        These are there for a while only. They are seen by what threads had to wait for a core.
        """
        delay = sum(time.delay for time in self.times)
        own = self.seconds * max(_LEAST, 1 - delay / (nworkers * self.seconds))
        rate = max(len(self.times), self.delivered) / own
        return rate, sum(time.cpu for time in self.times) / own


def sending(costs: Sequence[TransferCost]) -> tuple[float, float]:
    """Return the seconds that an item takes to be sent by a worker, and to be received."""
    dump = median(cost.dump + cost.nbytes / _BYTES for cost in costs)
    return dump + _WORKER_COST, median(cost.load for cost in costs) + _CONSUMER_COST
