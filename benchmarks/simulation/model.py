"""What the simulation is given, and what it returns."""

from dataclasses import dataclass

AHEAD = 2
"""Blocks given to a worker: one to evaluate, one to go on with."""
PATIENCE = 4
"""A worker gives back the rest of a block that takes so many times as long as meant."""
SHORTEST = 0.1
"""Seconds of work in a block, if the engine chooses them, at least."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What blocks, items and bytes cost on a kind of cluster. All times are in seconds.

    Args:
        post: Time of the reader's processor for a block that it sends.
        take: The same for a block that it receives.
        per_item: The same for each item of a block.
        per_byte: The same for each byte of an item.
        central: Time of the processor of a scheduler that all readers share, for a block.
        hop: How long a message is under way, in one direction.
        on_worker: What a worker spends on a block beside its items.
        link: Bytes per second that the network brings to a reader.
        shared: Whether workers take blocks from one queue. Otherwise, a block is sent to one of
            them before it is known which will be free first.
        cores: Processors that the reader, the scheduler and the workers share, if all are on one
            machine; 0 if each has its own. Items that wait need none.
    """

    post: float = 0.0
    take: float = 0.0
    per_item: float = 0.0
    per_byte: float = 0.0
    central: float = 0.0
    hop: float = 0.0
    on_worker: float = 0.0
    link: float = float("inf")
    shared: bool = False
    cores: int = 0

    def block(self, items: float = 0.0, nbytes: float = 0.0) -> float:
        """Return the time of the reader's processor for a block of so many items."""
        return self.post + self.take + items * (self.per_item + nbytes * self.per_byte)


@dataclass(frozen=True, kw_only=True)
class Load:
    """The work, who does it and who reads it.

    Args:
        work: Mean seconds of an item.
        workers: Number of workers of all readers together.
        sigma: How much items differ: the standard deviation of the logarithm of their times,
            which are log-normal.
        slow: Share of items that take `slow_work` seconds instead.
        slow_work: See `slow`.
        nbytes: Bytes of an item.
        step: Seconds of the consumer's loop for an item. It waits; it does not compute.
        readers: Readers, each with an equal share of the workers, a window and a network of its
            own.
        max_cached: As for `prefetch`, for each reader; `None` for its default.
        max_bytes: The same.
        grain: Seconds of work in a block; `None` for what the engine chooses.
    """

    work: float
    workers: int = 1
    sigma: float = 0.0
    slow: float = 0.0
    slow_work: float = 0.0
    nbytes: float = 8.0
    step: float = 0.0
    readers: int = 1
    max_cached: int | None = None
    max_bytes: int | None = None
    grain: float | None = None

    @property
    def mean(self) -> float:
        """Mean seconds of an item, slow ones included."""
        return (1 - self.slow) * self.work + self.slow * self.slow_work

    def seconds_of_block(self, costs: Costs) -> float:
        """Return the seconds of work that a block should have."""
        if self.grain is not None:
            return self.grain
        return max(SHORTEST, 2 * self.workers / self.readers * costs.block())

    def items_of_block(self, costs: Costs) -> int:
        """Return the number of items of a block that has that much work."""
        return max(1, int(self.seconds_of_block(costs) / self.mean))

    def enough(self, costs: Costs) -> int:
        """Return the `max_cached` with which the window does not limit the workers of a reader.

        That is all the blocks that workers can have, and half as many that wait to be read,
        because an earlier one has not arrived.
        """
        return int(1.5 * AHEAD * self.workers / self.readers * self.items_of_block(costs)) + 1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was observed between two moments of a simulation; means over all readers.

    Args:
        seconds: The time between these moments.
        items: Items that all readers have read.
        blocks: Blocks that were received.
        rate: Items per second, of all readers.
        efficiency: The part of its time for which a worker evaluates the items that are read.
        cpu: The part of the time for which the processor of a reader is busy.
        central: The same of the scheduler.
        link: The same of the network to a reader.
        waited: The part of the time for which a consumer waits.
        held: Most items that one reader has received and not read.
        again: Blocks of which a worker has given back a part.
    """

    seconds: float
    items: int
    blocks: int
    rate: float
    efficiency: float
    cpu: float
    central: float
    link: float
    waited: float
    held: int
    again: int
