"""Reading by index, `p[i]`, in three orders: what does a call for each item cost?"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from benchmarks import clock, peers
from benchmarks.workload import Figure, Workload

N = 6_000_000
WARMUP = 20_000
INDICES: dict[str, Sequence[int]] = {
    "order": range(N),
    "stride": range(0, N, 7),
    "random": random.Random(0).choices(range(N), k=200_000),  # noqa: S311 -- no secret
}

Reading = Callable[[Sequence[int]], Iterable[Any]]


def double(x: int) -> int:
    return 2 * x


def measure(read: Reading) -> dict[str, float]:
    return {name: rate(read, indices) for name, indices in INDICES.items()}


def rate(read: Reading, indices: Sequence[int]) -> float:
    return clock.rate_of_small(
        read(indices),
        lambda places: [2 * i for i in indices[: len(places)]],
        warmup=min(WARMUP, len(indices) // 2),
        total=len(indices),
        step=50,  # SeqTools 1.x starts anew for an index that it did not foresee
    )


WORKLOAD = Workload(
    title="Reading by index",
    text=(
        "Integers, doubled, read as `p[i]`: with `i` in order, in steps of 7, and at random. The "
        "clock starts once everything runs. Beside it the items in the same order, iterated. "
        "Pools cannot be indexed: `imap` in chunks is told all indices before, `apply` is told "
        "one index and waits for it. The limit indexes the stage without a worker."
    ),
    figures=(
        Figure("order", "million/s in order", higher=True, unit=1e6),
        Figure("stride", "million/s in steps of 7", higher=True, unit=1e6),
        Figure("random", "thousand/s at random", higher=True, unit=1e3),
    ),
    measure=measure,
)


def indexed(items: Any, indices: Sequence[int]) -> Iterator[Any]:
    return (items[i] for i in indices)


def by_index(seqtools: Any, method: str, **options: Any) -> Reading:
    def read(indices: Sequence[int]) -> Iterator[Any]:
        p = seqtools.prefetch(seqtools.smap(double, range(N)), 2, method, **options)
        return indexed(p, indices)

    return read


def iterated(method: str, **options: Any) -> Reading:
    import seqtools

    def read(indices: Sequence[int]) -> Iterable[Any]:
        return seqtools.prefetch(seqtools.smap(double, indices), 2, method, **options)

    return read


@WORKLOAD.contestant("limit, smap without workers", "limit", "inline")
def limit() -> Reading:
    import seqtools

    return lambda indices: indexed(seqtools.smap(double, range(N)), indices)


@WORKLOAD.contestant("a list", "base", "inline")
def of_list() -> Reading:
    items = list(range(0, 2 * N, 2))
    return lambda indices: indexed(items, indices)


@WORKLOAD.ours("processes")
def processes() -> Reading:
    import seqtools

    return by_index(seqtools, "process")


@WORKLOAD.ours("processes, max_cached=4096")
def processes_with_room() -> Reading:
    import seqtools

    return by_index(seqtools, "process", max_cached=4096)


@WORKLOAD.ours("processes, iterated")
def processes_iterated() -> Reading:
    return iterated("process")


@WORKLOAD.ours("processes, iterated, max_cached=4096")
def processes_iterated_with_room() -> Reading:
    return iterated("process", max_cached=4096)


@WORKLOAD.ours("threads", "thread")
def threads() -> Reading:
    import seqtools

    return by_index(seqtools, "thread")


@WORKLOAD.ours("threads, max_cached=4096", "thread")
def threads_with_room() -> Reading:
    import seqtools

    return by_index(seqtools, "thread", max_cached=4096)


@WORKLOAD.ours("threads, iterated", "thread")
def threads_iterated() -> Reading:
    return iterated("thread")


@WORKLOAD.ours("threads, iterated, max_cached=4096", "thread")
def threads_iterated_with_room() -> Reading:
    return iterated("thread", max_cached=4096)


@WORKLOAD.original("SeqTools 1.x")
def original() -> Reading:
    return by_index(peers.original(), "process", max_buffered=4096)


@WORKLOAD.original("SeqTools 1.x, threads", "thread")
def original_threads() -> Reading:
    return by_index(peers.original(), "thread", max_buffered=4096)


def imap(make: Callable[[int], Any]) -> Reading:
    def read(indices: Sequence[int]) -> Iterator[Any]:
        with make(2) as pool:
            yield from pool.imap(double, indices, 64)

    return read


def apply(make: Callable[[int], Any]) -> Reading:
    def read(indices: Sequence[int]) -> Iterator[Any]:
        with make(2) as pool:
            yield from (pool.apply(double, (i,)) for i in indices)

    return read


@WORKLOAD.peer("multiprocessing.Pool.imap, chunks of 64")
def process_pool() -> Reading:
    import multiprocessing

    return imap(multiprocessing.Pool)


@WORKLOAD.peer("multiprocessing.Pool.apply")
def process_pool_applied() -> Reading:
    import multiprocessing

    return apply(multiprocessing.Pool)


@WORKLOAD.peer("ThreadPool.imap, chunks of 64", "thread")
def thread_pool() -> Reading:
    from multiprocessing.pool import ThreadPool

    return imap(ThreadPool)


@WORKLOAD.peer("ThreadPool.apply", "thread")
def thread_pool_applied() -> Reading:
    from multiprocessing.pool import ThreadPool

    return apply(ThreadPool)
