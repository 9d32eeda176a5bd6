"""What the simulation is given, and what it returns."""

from dataclasses import dataclass

from seqtools.engines.cluster.calls import _STUCK, _TWO

AHEAD = _TWO
"""Blocks of a worker: one to evaluate, one to go on with."""
PATIENCE = _STUCK
"""A worker gives back the rest of a block that takes so many times as long as meant."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What blocks, items and bytes cost on a kind of cluster. All times are in seconds.

    Args:
        post: Time of the reader's processor for a block that it sends.
        take: The same for a block that it receives.
        per_item: The same for each item of a block.
        per_byte: The same for each byte of an item.
        per_worker: The same for a block, for each worker that the reader has.
        thread: The part of this in the thread of the engine, which measures it.
        assumed: What the engine assumes for other threads. Blocks grow by both.
        shortest: Seconds of work in a block at least, if the engine chooses them.
        central: Time of the processor of a scheduler that all readers share, for a block.
        hop: How long a message is under way, in one direction.
        on_worker: What a worker spends on a block beside its items.
        on_cores: Time of its processor for a block. If it is more than `on_worker`, other threads
            of the worker do the rest meanwhile; if it is less, the worker waits for a part.
        aside: The part of a processor that each worker takes all the time, whatever it does.
        on_worker_per_byte: Time of the worker's processor for each byte of an item.
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
    per_worker: float = 0.0
    thread: float = 0.0
    assumed: float = 0.0
    shortest: float = 0.1
    central: float = 0.0
    hop: float = 0.0
    on_worker: float = 0.0
    on_cores: float = 0.0
    aside: float = 0.0
    on_worker_per_byte: float = 0.0
    link: float = float("inf")
    shared: bool = False
    cores: int = 0

    def sent(self, workers: int) -> float:
        """Return the time of the reader's processor for a block that it sends."""
        return self.post + self.per_worker * workers

    def received(self, items: int, nbytes: float) -> float:
        """Return the same for a block that it receives."""
        return self.take + items * (self.per_item + nbytes * self.per_byte)

    def block(self, workers: int, items: int = 0, nbytes: float = 0.0) -> float:
        """Return the same for both."""
        return self.sent(workers) + self.received(items, nbytes)

    def grain(self, workers: int) -> float:
        """Return the seconds of work in a block."""
        return max(self.shortest, 2 * workers * (self.thread + self.assumed))


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

    @property
    def share(self) -> int:
        """Workers of a reader, at most."""
        return -(-self.workers // self.readers)

    def items_of_block(self, costs: Costs) -> int:
        """Return the number of items of a block as long as the engine wants it."""
        seconds = costs.grain(self.share)
        return max(1, round((seconds if self.grain is None else self.grain) / self.mean))

    def enough(self, costs: Costs) -> int:
        """Return the `max_cached` with which the window does not limit the workers of a reader.

        That is all the blocks that workers can have, and half as many that wait to be read,
        because an earlier one has not arrived.
        """
        return int(1.5 * AHEAD * self.share * self.items_of_block(costs)) + 1


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
