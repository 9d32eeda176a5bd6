"""Whether a cluster can be faster than workers on this machine."""

from typing import NamedTuple

from seqtools.engines.cluster.costs import BlockCost, efficiency
from seqtools.instrument.quantities import counted_as, duration

_WORSE = 0.7
"""Ratio to workers here below which a cluster cannot pay. Lower than all ratios that were measured
for items of 50 ms and more, in blocks of one. Arbitrary, as are all below."""
_NO_BETTER = 0.9
"""The same for items that take less time than a block costs."""
_MOST_HERE = 32
"""Workers here, if items wait."""
_COMPUTING = 0.5
"""Share of computing from which cores limit the number of workers here."""


class Use(NamedTuple):
    """How a cluster is used."""

    item: float
    """Seconds that an item takes."""
    block: float
    """Number of items in a block."""
    workers: int
    """Number of workers."""
    computing: float
    """Share of the time of an item in which it computes."""


def unpaid(use: Use, cores: int, cost: BlockCost) -> str:
    """Return in words why workers on this machine would do as much; empty if they would not.

    Items pay that take long, and so do more workers than this machine could have.

    Args:
        use: How the cluster is used.
        cores: Cores of this machine.
        cost: What a block costs.
    """
    block = use.item * use.block
    useful = use.workers * efficiency(block, use.workers, cost)
    here = min(use.workers, cores if use.computing >= _COMPUTING else _MOST_HERE)
    least = _NO_BETTER if use.item < cost.seconds else _WORSE
    if use.workers < 1 or useful >= least * here:
        return ""
    of_them = f", a block of {use.block:.0f} of them {duration(block)}" if use.block > 1 else ""
    workers = counted_as(use.workers, "worker")
    return (
        f"an item takes {duration(use.item)}{of_them}, and each block costs {cost.title} about "
        f"{duration(cost.seconds)}: {workers} there do as much as {useful:.1f} would here"
    )


def instead(computing: float) -> str:
    """Return what to use instead."""
    if computing >= _COMPUTING:
        return "use method='process'"
    return "use method='process', or method='thread' for items that wait"
