"""How long a cluster takes to start, and how long the first item of one that runs takes."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks import by_hand, clusters
from benchmarks.clock import WrongValueError
from benchmarks.workload import KINDS, Cluster, Figure, Role, Workload

N = 100


def double(i: int) -> int:
    return 2 * i


class Starting(NamedTuple):
    """What starts a cluster, and what evaluates there."""

    start: Callable[[], Any]
    way: Callable[[Any], by_hand.Evaluate]


def measure(starting: Starting) -> dict[str, float]:
    begin = time.perf_counter()
    cluster = starting.start()
    started = time.perf_counter() - begin - clusters.TOGETHER
    first, second = (_first(starting.way(cluster)) for _ in range(2))
    return {"cluster": started, "first": first, "second": second}


def _first(evaluate: by_hand.Evaluate) -> float:
    """Return the seconds until the first item is there; nothing of it stays in the cluster."""
    begin = time.perf_counter()
    got = next(iter(evaluate(double, 1)(0, N)))
    seconds = time.perf_counter() - begin
    if got != 0:
        message = f"item 0 must be 0, got {got!r}"
        raise WrongValueError(message)
    return seconds


WORKLOAD = Workload(
    title="Start, on clusters",
    text=(
        "The seconds until a cluster has started, its import included and two workers ready, and "
        "then until the first of 100 trivial items is there: of the first reading, which has the "
        "workers import what they need, and of a second one. What a reading makes there, such as "
        "actors, is made within that time, and ended before the next."
    ),
    figures=(
        Figure("second", "s, a second reading"),
        Figure("first", "s, the first"),
        Figure("cluster", "s, the cluster"),
    ),
    measure=measure,
    timeout=180.0,
)


@WORKLOAD.ours("seqtools, processes")
def processes() -> Starting:
    def start() -> str:
        time.sleep(clusters.TOGETHER)
        return "process"

    return Starting(start, by_hand.ours)


def enter(cluster: Cluster, name: str, way: Callable[[Any], by_hand.Evaluate]) -> None:
    start, package = clusters.CLUSTERS[cluster]
    role: Role = "ours" if way is by_hand.ours else "peer"
    version = "seqtools" if role == "ours" else package
    label = f"{name}, {KINDS[cluster]}"
    WORKLOAD.contestant(label, role, cluster, version)(lambda: Starting(start, way))


for _cluster, _ways in by_hand.WAYS.items():
    enter(_cluster, by_hand.OURS, by_hand.ours)
    for _name, _way in _ways.items():
        enter(_cluster, _name, _way)
