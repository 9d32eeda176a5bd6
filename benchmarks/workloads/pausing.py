"""A reader who goes away: is the work that could be done meanwhile done when it is back?"""

import time
from collections.abc import Iterable
from typing import Any

from benchmarks import peers
from benchmarks.clock import WrongValueError
from benchmarks.workload import Figure, Target, Workload

N, EVERY, PAUSE, COST = 150, 50, 1.0, 0.02
# After the first item: the rest of the first 50 from two workers, then pauses alone, because
# in each of them two workers finish 100 items.
IDEAL = (EVERY // 2 - 1) * COST + (N // EVERY - 1) * PAUSE


def work(i: int) -> int:
    time.sleep(COST)
    return 2 * int(i)


def measure(source: Iterable[Any]) -> dict[str, float]:
    items = iter(source)
    got = [next(items)]
    begin = time.perf_counter()
    for i, item in enumerate(items, 1):
        if i % EVERY == 0:
            time.sleep(PAUSE)
        got.append(item)
    elapsed = time.perf_counter() - begin
    if got != [2 * i for i in range(N)]:
        message = f"the {len(got)} items are not the right ones"
        raise WrongValueError(message)
    return {"ideal": IDEAL / elapsed}


WORKLOAD = Workload(
    title="A reader who pauses",
    text=(
        "150 items that take 20 ms each, in which nothing is computed, from two workers; the "
        "reader pauses for 1 s after every 50. The clock starts with the first item. 1 means "
        "that the work goes on in the pauses, so that they are all that the reader waits for."
    ),
    figures=(Figure("ideal", "ideal time / time", higher=True),),
    measure=measure,
    targets=(
        Target("processes, max_cached=64", "≥ 0.95 of ideal", at_least=0.95),
        Target("threads, max_cached=64", "≥ 0.95 of ideal", at_least=0.95),
    ),
)


def prefetched(seqtools: Any, method: str, **options: Any) -> Any:
    return seqtools.prefetch(seqtools.smap(work, range(N)), 2, method, **options)


@WORKLOAD.ours("processes, max_cached=64")
def processes() -> Any:
    import seqtools

    return prefetched(seqtools, "process", max_cached=64)


@WORKLOAD.ours("processes")
def processes_as_they_are() -> Any:
    import seqtools

    return prefetched(seqtools, "process")


@WORKLOAD.ours("threads, max_cached=64", "thread")
def threads() -> Any:
    import seqtools

    return prefetched(seqtools, "thread", max_cached=64)


@WORKLOAD.original("SeqTools 1.x, max_buffered=64")
def original() -> Any:
    return prefetched(peers.original(), "process", max_buffered=64)


@WORKLOAD.original("SeqTools 1.x, threads, max_buffered=64", "thread")
def original_threads() -> Any:
    return prefetched(peers.original(), "thread", max_buffered=64)


@WORKLOAD.peer("torch DataLoader", package="torch")
def dataloader() -> Any:
    return peers.dataloader(work, N)


@WORKLOAD.peer("torch DataLoader, prefetch_factor=32", package="torch")
def dataloader_with_room() -> Any:
    return peers.dataloader(work, N, prefetch_factor=32)


@WORKLOAD.peer("multiprocessing.Pool.imap")
def pool() -> Any:
    return peers.process_pool(work, N)


@WORKLOAD.peer("ThreadPoolExecutor.map", "thread")
def executor() -> Any:
    return peers.thread_executor(work, N)


@WORKLOAD.peer("torchdata.nodes", package="torchdata")
def nodes() -> Any:
    return peers.nodes(work, N, "process")


@WORKLOAD.peer("Grain, threads", "thread", "grain")
def grain_threads() -> Any:
    return peers.grain_threads(work, N)


@WORKLOAD.peer("SPDL, threads", "thread", "spdl")
def spdl() -> Any:
    return peers.spdl_threads(work, N)
