"""What is seen of items and their readers, and who decides by it: see `adaptive`."""

from typing import NamedTuple, Protocol


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

    seconds: float
    """How long that was."""
    waited: float
    """For how much of it a reader waited."""
    taken: int
    """Items that readers were given."""
    read: float = 0.0
    """Processor time of the reader."""
    times: tuple[ItemTime, ...] = ()
    """How long items took, where threads evaluate them."""
    spent: float = 0.0
    """Wall time of all items."""
    answered: int = 0
    """Number of these items."""
    deaths: int = 0
    """Worker processes that have died."""
    costs: tuple[TransferCost, ...] = ()
    """What it takes to send some of them."""


class Plan(Protocol):
    """What decides."""

    @property
    def method(self) -> str:
        """`"thread"` or `"process"`."""

    @property
    def nworkers(self) -> int:
        """How many workers to have."""

    @property
    def most(self) -> int:
        """Never more workers than this are asked for, of that method."""

    @property
    def measuring(self) -> bool:
        """Whether threads measure items one by one, which costs half a microsecond for each."""

    @property
    def either(self) -> bool:
        """Whether there may be threads, and processes as well."""

    def next_look(self) -> float:
        """Return after how many seconds to tell what was seen."""

    def look(self, seen: Observation) -> None:
        """Take note of what was seen, and decide."""

    def stuck(self) -> None:
        """Take note that a reader waits, and that nothing has come for long."""

    def refuse(self, why: str) -> None:
        """Take note that there can be no processes."""
