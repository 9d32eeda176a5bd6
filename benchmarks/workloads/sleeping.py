"""More workers than cores, on items that wait: does each worker that is added help?"""

import time
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks import clock, peers
from benchmarks.workload import Figure, Target, Workload

COUNTS = (64, 16, 4, 1)
COST = 0.05
WARMUP, TIMED = 3, 10  # items for each worker


def wait(i: int) -> int:
    time.sleep(COST)
    return 2 * int(i)


def length(nworkers: int) -> int:
    return (WARMUP + TIMED) * nworkers


def measure(make: Callable[[int], Iterable[Any]]) -> dict[str, float]:
    figures = {}
    for nworkers in COUNTS:
        rate = clock.rate_of_small(
            make(nworkers),
            lambda indices: [2 * i for i in indices],
            warmup=WARMUP * nworkers,
            total=length(nworkers),
        )
        figures[str(nworkers)] = rate * COST / nworkers
    return figures


WORKLOAD = Workload(
    title="Many workers on items that sleep",
    text=(
        "Items that sleep for 50 ms, from 1 to 64 workers. 1 is the ideal: as many items at a "
        "time as there are workers. The clock starts once everything runs."
    ),
    figures=tuple(Figure(str(n), f"{n} workers", higher=True) for n in COUNTS),
    measure=measure,
    targets=(
        Target("processes", "≥ 0.9 of ideal with 64 workers", at_least=0.9),
        Target("threads", "≥ 0.9 of ideal with 64 workers", at_least=0.9),
    ),
)


@WORKLOAD.ours("processes")
def processes() -> Any:
    import seqtools

    return lambda n: seqtools.prefetch(seqtools.smap(wait, range(length(n))), n, "process")


@WORKLOAD.ours("threads", "thread")
def threads() -> Any:
    import seqtools

    return lambda n: seqtools.prefetch(seqtools.smap(wait, range(length(n))), n, "thread")


def original(method: str) -> Any:
    seqtools = peers.original()

    def make(n: int) -> Any:
        items = seqtools.smap(wait, range(length(n)))
        return seqtools.prefetch(items, n, method, max_buffered=4 * n)

    return make


@WORKLOAD.original("SeqTools 1.x, max_buffered=4 × workers")
def original_processes() -> Any:
    return original("process")


@WORKLOAD.original("SeqTools 1.x, threads, max_buffered=4 × workers", "thread")
def original_threads() -> Any:
    return original("thread")


@WORKLOAD.peer("multiprocessing.Pool.imap")
def pool() -> Any:
    return lambda n: peers.process_pool(wait, length(n), nworkers=n)


@WORKLOAD.peer("ThreadPoolExecutor.map", "thread")
def executor() -> Any:
    return lambda n: peers.thread_executor(wait, length(n), nworkers=n)


@WORKLOAD.peer("torch DataLoader", package="torch")
def dataloader() -> Any:
    return lambda n: peers.dataloader(wait, length(n), nworkers=n)


@WORKLOAD.peer("torchdata.nodes, threads", "thread", "torchdata")
def nodes() -> Any:
    return lambda n: peers.nodes(wait, length(n), "thread", nworkers=n)


@WORKLOAD.peer("Grain, threads", "thread", "grain")
def grain_threads() -> Any:
    return lambda n: peers.grain_threads(wait, length(n), nworkers=n)


@WORKLOAD.peer("SPDL, threads", "thread", "spdl")
def spdl() -> Any:
    return lambda n: peers.spdl_threads(wait, length(n), nworkers=n)


@WORKLOAD.peer("joblib, threads", "thread", "joblib")
def joblib() -> Any:
    return lambda n: peers.joblib(wait, length(n), nworkers=n, prefer="threads")
