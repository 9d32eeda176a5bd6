"""Items that sleep for 1, 10 and 100 ms, on clusters of two workers."""

import functools
import time
from typing import Any

from benchmarks import by_hand
from benchmarks.clock import WrongValueError
from benchmarks.clusters import CLUSTERS, NWORKERS
from benchmarks.workload import Figure, Workload

COSTS = {"1": 0.001, "10": 0.01, "100": 0.1}
WORK, WARMUP = 6.0, 1.0  # seconds of sleep in all items together
CHUNK = 0.2  # seconds in a chunk, by hand; of 0.05, 0.1 and 0.2 the best, or no worse, everywhere


def wait(cost: float, i: int) -> int:
    time.sleep(cost)
    return i


def measure(evaluate: by_hand.Evaluate) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name, cost in COSTS.items():
        rate, cpu = rate_of(evaluate, cost)
        figures |= {name: rate * cost / NWORKERS, f"cpu {name}": cpu}
    return figures


def rate_of(evaluate: by_hand.Evaluate, cost: float) -> tuple[float, float]:
    """Return the items per second, and the processor time of the reader's process for each."""
    n, before = round(WORK / cost), round(WARMUP / cost)
    read = evaluate(functools.partial(wait, cost), round(CHUNK / cost))
    warmup = list(read(n, n + before))
    begin, used = time.perf_counter(), time.process_time()
    got = list(read(0, n))
    seconds, used = time.perf_counter() - begin, time.process_time() - used
    if warmup + got != [*range(n, n + before), *range(n)]:
        message = f"the {len(got)} items of {n}, or those before, are not the right ones"
        raise WrongValueError(message)
    return n / seconds, used / n


_EFFICIENCIES = [Figure(name, f"{name} ms", higher=True) for name in COSTS]
WORKLOAD = Workload(
    title="Items that sleep, on clusters",
    text=(
        "Items that sleep for 1, 10 and 100 ms, 6 s altogether, on clusters that have two "
        "workers and run already. 1 is the ideal. The clock covers a whole reading, from the "
        "first item that is asked for to the last one delivered, by a reader who has read other "
        "items before; Ray Data starts its actors within it, because it keeps none. By hand, a "
        "chunk is 200 ms of items; nobody tells that to ours. The limit is what a sleep really "
        "takes. Then the processor time that the reader's process takes for each item, the "
        "client's threads of the cluster included."
    ),
    figures=(
        *_EFFICIENCIES,
        *(Figure(f"cpu {name}", f"reader's µs, {name} ms", unit=1e-6) for name in COSTS),
    ),
    measure=measure,
    targets=tuple(
        target for cluster in CLUSTERS for target in by_hand.targets(cluster, _EFFICIENCIES, 0.97)
    ),
    timeout=180.0,
)


@WORKLOAD.contestant("limit, sleeping", "limit", "inline")
def limit() -> Any:
    figures = {f"cpu {name}": 0.0 for name in COSTS}
    for name, cost in COSTS.items():
        n = round(WARMUP / cost)
        begin = time.perf_counter()
        for i in range(n):
            wait(cost, i)
        figures[name] = n * cost / (time.perf_counter() - begin)
    return figures


@WORKLOAD.ours("seqtools, processes")
def processes() -> Any:
    return by_hand.ours("process")


for _cluster, _ways in by_hand.WAYS.items():
    by_hand.enter(WORKLOAD, _cluster, by_hand.OURS, by_hand.ours, "ours")
    for _name, _way in _ways.items():
        by_hand.enter(WORKLOAD, _cluster, _name, _way)
