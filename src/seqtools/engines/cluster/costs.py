"""What a block, which is the items of one call, costs on each kind of cluster.

All figures were measured on one machine of two cores. Advice uses them, and so do the engines for
what they cannot measure themselves: the time in threads of the cluster.
"""

from typing import Any, NamedTuple

from seqtools.engines.cluster.kinds import DASK, EXECUTOR, RAY, is_factory

GRAIN = 0.2
"""Seconds that a block of a cluster should take at least."""


class BlockCost(NamedTuple):
    """What a block costs."""

    title: str
    """How the cluster is called in messages, such as `"Dask"`."""
    seconds: float
    """Processor time of the process that reads the items, outside the thread of the engine."""
    waiting: float
    """Seconds of a worker beside its items."""
    grain: float = GRAIN
    """Seconds that a block should take at least."""
    is_here: bool = False
    """Whether all workers are on this machine; `False` if that is not known."""


_PACKAGES = {
    "concurrent": BlockCost("", 0.0007, 0.0008, is_here=True),
    "loky": BlockCost("", 0.0008, 0.0008, is_here=True),
    "mpi4py": BlockCost("", 0.0015, 0.0036),
    "distributed": BlockCost("", 0.0035, 0.016),
}
"""The same for executors, by the package of their class."""
COSTS = {DASK: BlockCost("Dask", 0.0035, 0.016), RAY: BlockCost("Ray", 0.0012, 0.0018)}
"""Of clusters that have a name. Dask's workers are busy for 47, 81, 90 and 94 % of the time with
blocks of 20, 50, 100 and 200 ms, if items compute."""
WITH_SCHEDULER = 0.007
"""Seconds for Dask if its scheduler is in this process too."""


def cost_of(method: str, where: Any) -> BlockCost | None:
    """Return what a block costs with a method; `None` if it is no cluster of processes.

    Args:
        method: The name of the method.
        where: The executor, the client or the factory, if one was given.
    """
    if method != EXECUTOR:
        return COSTS.get(method)
    if where is None or is_factory(where):
        return _PACKAGES["concurrent"]._replace(title="the executor", is_here=False)
    packages = [each.__module__.partition(".")[0] for each in type(where).__mro__]
    known = next((_PACKAGES[name] for name in packages if name in _PACKAGES), None)
    return (known or _PACKAGES["loky"])._replace(title=f"the {type(where).__name__}")


def block_of(item: float, workers: int, window: int, cost: BlockCost) -> int:
    """Return how many items go into a block, as `prefetching/cutting` and the engine decide.

    Args:
        item: Seconds that an item takes.
        workers: Number of workers.
        window: Items ahead of the reader.
        cost: What a block costs.
    """
    fitting = max(cost.grain, 2 * workers * cost.seconds) / max(item, 1e-9)
    longest = max(window // (2 * workers), min(fitting / 10, window // 2))
    return max(1, int(min(fitting, longest)))


def efficiency(block: float, workers: int, cost: BlockCost) -> float:
    """Return the share of their time in which workers evaluate items.

    Args:
        block: Seconds that a block takes.
        workers: Number of workers.
        cost: What a block costs.
    """
    return min(block / (block + cost.waiting), block / (workers * cost.seconds))
