"""The seed's pipeline on clusters of two workers, beside one function for each batch."""

import functools
import time
from collections.abc import Callable
from typing import Any

from benchmarks import by_hand, clock
from benchmarks.clusters import CLUSTERS, NWORKERS
from benchmarks.workload import KINDS, Cluster, Figure, Role, Target, Workload
from benchmarks.workloads import seed

HALF = -(-len(seed.EXPECTED) // NWORKERS)
FASTER = 1.3

Preprocess = Callable[[int], int]
Make = Callable[[Any, Preprocess], by_hand.Read]
"""Takes a cluster, and what preprocesses a sample."""


def wait(x: int) -> int:
    """Preprocess, by another processor."""
    time.sleep(seed.COMPUTING)
    return x


PREPROCESS: dict[str, Preprocess] = {"computes": seed.preprocess, "waits": wait}


@functools.cache
def _files(_: Preprocess) -> Callable[[int], list[int]]:
    """Return what loads a file and keeps two; for each figure another one, which is empty."""
    return functools.lru_cache(2)(lambda k: seed.load(seed.FILES[k]))


def batch(preprocess: Preprocess, i: int) -> list[int]:
    """Return a batch as one function makes it, which loads what it needs."""
    file = _files(preprocess)
    indices = range(64 * i, min(64 * i + 64, len(seed.ITEMS)))
    return [preprocess(file(j // 200)[j % 200]) for j in indices]


def measure(made: tuple[Make, Any]) -> dict[str, float]:
    make, cluster = made

    def run(preprocess: Preprocess) -> Any:
        yield from make(cluster, preprocess)(0, len(seed.EXPECTED))

    return {name: clock.whole(run(f), seed.EXPECTED) for name, f in PREPROCESS.items()}


_FIGURES = Figure("computes", "s, computing"), Figure("waits", "s, waiting")
WORKLOAD = Workload(
    title="The seed's pipeline, on clusters",
    text=(
        "Ten files that take 0.5 s each to load, 1,810 items of 5 ms of processor time, batches "
        "of 64, as `seed`, on clusters that have two workers and run already. The clock covers "
        "everything else: actors and pipelines are made within it. In the second column items "
        "sleep instead, because the processors of a cluster are not those of its scheduler and "
        "of the reader. By hand, the pipeline is a function for each batch, which loads what it "
        "needs and keeps two files. Either a batch is a task, or a half of all batches is "
        '("halves"): then each worker needs only half of the files, but the reader waits for the '
        "first batch for half of the time. The limit is computed: all loading is hidden but that "
        "of the first file."
    ),
    figures=_FIGURES,
    measure=measure,
    targets=tuple(
        Target(
            f"{by_hand.OURS}, {KINDS[cluster]}",
            f"{FASTER} × as fast as the best by hand, {figure.label}",
            at_most=1 / FASTER,
            of=f"best {cluster}",
            figure=figure.name,
        )
        for cluster in CLUSTERS
        for figure in _FIGURES
    ),
    timeout=180.0,
)


@WORKLOAD.contestant("limit, two cores", "limit", "inline")
def limit() -> Any:
    return dict.fromkeys(PREPROCESS, seed.limit()["seconds"])


def ours(cluster: Any, preprocess: Preprocess) -> by_hand.Read:
    import seqtools

    batches = seed.pipeline(seqtools, preprocess=preprocess)
    p = seqtools.prefetch(batches, NWORKERS, cluster, max_cached=100)
    return lambda start, stop: p[start:stop]


@WORKLOAD.ours("seqtools, processes")
def processes() -> Any:
    return ours, "process"


def by_batch(way: Callable[[Any], by_hand.Evaluate], chunk: int) -> Make:
    return lambda cluster, preprocess: way(cluster)(functools.partial(batch, preprocess), chunk)


def enter(cluster: Cluster, name: str, make: Make, role: Role = "peer") -> None:
    by_hand.enter(WORKLOAD, cluster, name, lambda started: (make, started), role)


for _cluster, _ways in by_hand.WAYS.items():
    enter(_cluster, by_hand.OURS, ours, "ours")
    for _name, _way in _ways.items():
        enter(_cluster, _name, by_batch(_way, 1))
    _name, _way = next(iter(_ways.items()))
    enter(_cluster, f"{_name}, halves", by_batch(_way, HALF))
