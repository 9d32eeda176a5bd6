"""What a block costs the processor of the reader's process, on each cluster."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks import by_hand
from benchmarks.clock import WrongValueError
from benchmarks.clusters import NWORKERS
from benchmarks.workload import Cluster, Figure, Role, Workload

PACE = 0.1
COUNTS = {"busy": 400, "paced": 60}
WARMUP = 20
ROOM = 4
"""Items in the window of ours, two for each worker: so a block has one item, or few."""


def at_once(i: int) -> int:
    return i


def paced(i: int) -> int:
    time.sleep(PACE)
    return i


class Counted(NamedTuple):
    """What evaluates, and what tells how many blocks were sent, by default as many as items."""

    evaluate: by_hand.Evaluate
    blocks: Callable[[], int] | None = None


def measure(counted: Counted) -> dict[str, float]:
    figures = {}
    for (name, n), f in zip(COUNTS.items(), (at_once, paced), strict=True):
        read = counted.evaluate(f, 1)
        warmup = list(read(n, n + WARMUP))
        before = counted.blocks() if counted.blocks else 0
        used = time.process_time()
        got = list(read(0, n))
        used = time.process_time() - used
        blocks = counted.blocks() - before if counted.blocks else n
        if warmup + got != [*range(n, n + WARMUP), *range(n)]:
            message = f"the {len(got)} items of {n}, or those before, are not the right ones"
            raise WrongValueError(message)
        figures[name] = used / blocks
        del read  # or its actors would have all processors
    return figures


WORKLOAD = Workload(
    title="What a block costs the reader, on clusters",
    text=(
        "The processor time that the reader's process takes for a block, the client's threads of "
        "the cluster included: of trivial items, one block after the other, when caches of the "
        "processor are warm; and of items of 100 ms, 20 blocks a second, when they are not and "
        "what a client does by the clock counts too. By hand, a block has one item. That of ours "
        "has one or few, because its window has room for four; blocks are counted."
    ),
    figures=(
        Figure("busy", "µs, one after the other", unit=1e-6),
        Figure("paced", "µs, 20 a second", unit=1e-6),
    ),
    measure=measure,
    timeout=180.0,
)


def ours(cluster: Any) -> Counted:
    import seqtools
    from seqtools.engines.cluster.dispatcher import Dispatcher

    posted = 0
    post = Dispatcher._post  # noqa: SLF001 -- nothing public counts blocks

    def counting(*arguments: Any, **options: Any) -> None:
        nonlocal posted
        posted += 1
        post(*arguments, **options)

    dispatcher: Any = Dispatcher
    dispatcher._post = counting  # noqa: SLF001

    def evaluate(f: by_hand.Function, _: int) -> by_hand.Read:
        items = seqtools.smap(f, range(by_hand.MOST))
        p = seqtools.prefetch(items, NWORKERS, cluster, max_cached=ROOM)
        return lambda start, stop: p[start:stop]

    return Counted(evaluate, lambda: posted)


def enter(cluster: Cluster, name: str, make: Callable[[Any], Counted], role: Role) -> None:
    by_hand.enter(WORKLOAD, cluster, name, make, role)


def alone(way: Callable[[Any], by_hand.Evaluate]) -> Callable[[Any], Counted]:
    return lambda cluster: Counted(way(cluster))


for _cluster, _ways in by_hand.WAYS.items():
    enter(_cluster, by_hand.OURS, ours, "ours")
    for _name, _way in _ways.items():
        if _way is not by_hand.ray_data:  # its blocks are not calls
            enter(_cluster, _name, alone(_way), "peer")
