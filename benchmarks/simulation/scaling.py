"""What the simulation says of large clusters: the figures of docs/one-reader.md."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import seqtools
from benchmarks.simulation.cluster import settled, with_enough
from benchmarks.simulation.model import Costs, Load, Outcome

WORKERS = (1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1000)
NETWORK = 1.25e9
"""Bytes per second into a reader: 10 Gbit/s. Assumed."""
VARIES = 0.3
"""How much items differ: one of three takes 30 % more or less than the others. Assumed."""
ITEM = 0.01
"""Seconds of an item, where nothing else is said."""
SMALL = 1000
"""Bytes of an item, where nothing else is said."""
GOOD = 0.9
"""Efficiency up to which a reader is said to be able to serve its workers."""
_BLOCKS = 12


def on_a_cluster(costs: Costs, assumed: float) -> Costs:
    """Return costs for machines that have their own processors, and a network.

    Args:
        costs: Those of this machine.
        assumed: What the engine assumes today, which may not be what it did as it was measured.
    """
    return replace(costs, cores=0, link=NETWORK, assumed=assumed)


def run(costs: Costs, load: Load) -> Outcome:
    """Return what is observed of a load once it has settled."""
    return settled(costs, load, blocks=_BLOCKS)


def load(
    workers: int, costs: Costs, work: float = ITEM, nbytes: float = SMALL, readers: int = 1
) -> Load:
    """Return a load whose window is large enough."""
    some = Load(work=work, workers=workers, sigma=VARIES, nbytes=nbytes, readers=readers)
    return with_enough(some, costs)


@functools.cache
def sweep(costs: Costs, work: float = ITEM, *, default: bool = False) -> Sequence[Outcome]:
    """Return what is observed for each number of workers, perhaps with the default window."""
    loads = [load(workers, costs, work) for workers in WORKERS]
    if default:
        loads = [replace(each, max_cached=None) for each in loads]
    outcomes = seqtools.smap(functools.partial(run, costs), loads)
    with seqtools.prefetch(outcomes, method="process") as ready:
        return tuple(ready)


class End(NamedTuple):
    """Where one reader ends.

    Args:
        workers: The largest number of workers that it serves well.
        outcome: What is observed there.
        limit: What is used most there: the reader's processor, its network or the scheduler.
    """

    workers: int
    outcome: Outcome
    limit: str


def end(costs: Costs, work: float, nbytes: float, most: int = 1000) -> End:
    """Return where a reader ends, to about a tenth; at most `most` workers are tried."""

    def tried(workers: int) -> Outcome:
        return run(costs, load(workers, costs, work, nbytes))

    low, high = 1, most
    if tried(most).efficiency >= GOOD:
        low = most
    while high > 1.1 * low and high > low + 1:
        middle = max(low + 1, min(high - 1, round((low * high) ** 0.5)))
        if tried(middle).efficiency >= GOOD:
            low = middle
        else:
            high = middle
    outcome = tried(low)
    used = {"processor": outcome.cpu, "network": outcome.link, "scheduler": outcome.central}
    return End(low, outcome, max(used, key=used.__getitem__))


def seconds_of_block(costs: Costs, some: Load) -> float:
    """Return the seconds of work in a block of a load."""
    return some.items_of_block(costs) * some.mean
