"""What is seen of items and their readers, by which workers are chosen."""

from typing import NamedTuple


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
