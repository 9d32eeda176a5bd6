"""Items that take 100 µs: is the cost of the engine small beside them?"""

import time
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks import clock, peers
from benchmarks.workload import Figure, Workload

N = 100_000
COST = 1e-4
WARMUP = 2000


def computes(i: int) -> int:
    clock.busy(COST)
    return 2 * int(i)


def waits(i: int) -> int:
    time.sleep(COST)
    return 2 * int(i)


KINDS = {"computes": computes, "waits": waits}
Making = Callable[[Callable[[int], int]], Iterable[Any]]


def expected(indices: range) -> list[int]:
    return [2 * i for i in indices]


def measure(make: Making) -> dict[str, float]:
    return {
        name: clock.rate_of_small(make(function), expected, warmup=WARMUP, total=N)
        for name, function in KINDS.items()
    }


WORKLOAD = Workload(
    title="Small items",
    text=(
        "Items that compute, or sleep, for 100 µs, delivered singly, from two workers. The clock "
        "starts once everything runs. The limit is twice what one process does without a "
        "worker. A sleep takes longer than it should, by half or more."
    ),
    figures=(
        Figure("computes", "thousand items/s that compute", higher=True, unit=1e3),
        Figure("waits", "thousand items/s that sleep", higher=True, unit=1e3),
    ),
    measure=measure,
)


@WORKLOAD.contestant("limit, twice sequential", "limit", "inline")
def limit() -> Any:
    figures = measure(lambda function: map(function, range(N)))
    return {name: 2 * rate for name, rate in figures.items()}


def prefetched(seqtools: Any, method: str, **options: Any) -> Making:
    return lambda f: seqtools.prefetch(seqtools.smap(f, range(N)), 2, method, **options)


@WORKLOAD.ours("processes, max_cached=100")
def processes() -> Making:
    import seqtools

    return prefetched(seqtools, "process", max_cached=100)


@WORKLOAD.ours("processes")
def processes_as_they_are() -> Making:
    import seqtools

    return prefetched(seqtools, "process")


@WORKLOAD.ours("threads, max_cached=100", "thread")
def threads() -> Making:
    import seqtools

    return prefetched(seqtools, "thread", max_cached=100)


@WORKLOAD.ours("threads", "thread")
def threads_as_they_are() -> Making:
    import seqtools

    return prefetched(seqtools, "thread")


@WORKLOAD.original("SeqTools 1.x, max_buffered=100")
def original() -> Making:
    return prefetched(peers.original(), "process", max_buffered=100)


@WORKLOAD.original("SeqTools 1.x, threads, max_buffered=100", "thread")
def original_threads() -> Making:
    return prefetched(peers.original(), "thread", max_buffered=100)


@WORKLOAD.peer("multiprocessing.Pool.imap, chunks of 16")
def pool_of_chunks() -> Making:
    return lambda f: peers.process_pool(f, N, chunksize=16)


@WORKLOAD.peer("multiprocessing.Pool.imap")
def pool() -> Making:
    return lambda f: peers.process_pool(f, N)


@WORKLOAD.peer("ThreadPool.imap, chunks of 16", "thread")
def thread_pool_of_chunks() -> Making:
    return lambda f: peers.thread_pool(f, N, chunksize=16)


@WORKLOAD.peer("ThreadPool.imap", "thread")
def thread_pool() -> Making:
    return lambda f: peers.thread_pool(f, N)


@WORKLOAD.peer("torch DataLoader, prefetch_factor=50", package="torch")
def dataloader() -> Making:
    return lambda f: peers.dataloader(f, N, prefetch_factor=50)


@WORKLOAD.peer("torchdata.nodes, prebatch=16", package="torchdata")
def nodes() -> Making:
    return lambda f: peers.nodes(f, N, "process", prebatch=16)


@WORKLOAD.peer("Grain", package="grain")
def grain_processes() -> Making:
    return lambda f: peers.grain_processes(f, N)


@WORKLOAD.peer("Grain, threads", "thread", "grain")
def grain_threads() -> Making:
    return lambda f: peers.grain_threads(f, N)


@WORKLOAD.peer("SPDL, threads", "thread", "spdl")
def spdl_threads() -> Making:
    return lambda f: peers.spdl_threads(f, N)
