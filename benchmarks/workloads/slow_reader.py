"""A reader who takes long over each item: what does the engine cost the processor meanwhile?"""

import time
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks import clock, cpu, peers
from benchmarks.clock import WrongValueError
from benchmarks.workload import Figure, Workload

WARMUP, TIMED = 300, 1200
N = 2 * WARMUP + TIMED  # the end, where nothing is read ahead any more, is not timed
COST = 0.001

Making = Callable[[], Iterable[Any]]


def double(i: int) -> int:
    return 2 * int(i)


def sleep() -> float:
    """Wait, and return the processor time that this should have taken."""
    time.sleep(COST)
    return 0.0


def compute() -> float:
    """Compute, and return the processor time that this has taken."""
    begin = time.thread_time()
    clock.busy(COST)
    return time.thread_time() - begin


READERS = {"computes": compute, "waits": sleep}


def measure(make: Making) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name, use in READERS.items():
        own, everything = cost(make(), use)
        figures |= {f"{name}, own": own, f"{name}, all": everything}
    return figures


def cost(source: Iterable[Any], use: Callable[[], float]) -> tuple[float, float]:
    """Return the processor time for an item, of this process and of all, without the reader's."""
    items = iter(source)
    got = []
    for _ in range(WARMUP):
        got.append(next(items))
        use()
    used, own_use = cpu.since(), 0.0
    for _ in range(TIMED):
        got.append(next(items))
        own_use += use()
    own, everything = used()
    got += items
    if got != [2 * i for i in range(N)]:
        message = f"the {len(got)} items are not the right ones"
        raise WrongValueError(message)
    return (own - own_use) / TIMED, (everything - own_use) / TIMED


WORKLOAD = Workload(
    title="A slow reader",
    text=(
        "Integers, doubled, for a reader that computes, or sleeps, for 1 ms over each: the "
        "processor time for an item, of the reader's process and of all processes together, "
        "without what the reader computes. The clock starts after 300 items. The base reads a "
        "list, so it has what the loop and a sleep cost. What has no window, such as "
        "`Pool.imap`, has done the work before the clock starts."
    ),
    figures=tuple(
        Figure(f"{name}, {whose}", f"µs of {told}, reader {name}", unit=1e-6)
        for name in READERS
        for whose, told in (("all", "all"), ("own", "its process"))
    ),
    measure=measure,
)


@WORKLOAD.contestant("a list", "base", "inline")
def of_list() -> Making:
    return lambda: [double(i) for i in range(N)]


def prefetched(seqtools: Any, method: str, **options: Any) -> Making:
    return lambda: seqtools.prefetch(seqtools.smap(double, range(N)), 2, method, **options)


@WORKLOAD.ours("processes")
def processes() -> Making:
    import seqtools

    return prefetched(seqtools, "process")


@WORKLOAD.ours("processes, max_cached=100")
def processes_with_room() -> Making:
    import seqtools

    return prefetched(seqtools, "process", max_cached=100)


@WORKLOAD.ours("threads", "thread")
def threads() -> Making:
    import seqtools

    return prefetched(seqtools, "thread")


@WORKLOAD.ours("threads, max_cached=100", "thread")
def threads_with_room() -> Making:
    import seqtools

    return prefetched(seqtools, "thread", max_cached=100)


@WORKLOAD.original("SeqTools 1.x, max_buffered=100")
def original() -> Making:
    return prefetched(peers.original(), "process", max_buffered=100)


@WORKLOAD.original("SeqTools 1.x, threads, max_buffered=100", "thread")
def original_threads() -> Making:
    return prefetched(peers.original(), "thread", max_buffered=100)


@WORKLOAD.peer("multiprocessing.Pool.imap, chunks of 16")
def pool() -> Making:
    return lambda: peers.process_pool(double, N, chunksize=16)


@WORKLOAD.peer("ThreadPool.imap, chunks of 16", "thread")
def thread_pool() -> Making:
    return lambda: peers.thread_pool(double, N, chunksize=16)


@WORKLOAD.peer("torch DataLoader", package="torch")
def dataloader() -> Making:
    return lambda: peers.dataloader(double, N)


@WORKLOAD.peer("torchdata.nodes", package="torchdata")
def nodes() -> Making:
    return lambda: peers.nodes(double, N, "process")


@WORKLOAD.peer("Grain", package="grain")
def grain_processes() -> Making:
    return lambda: peers.grain_processes(double, N)


@WORKLOAD.peer("Grain, threads", "thread", "grain")
def grain_threads() -> Making:
    return lambda: peers.grain_threads(double, N)


@WORKLOAD.peer("SPDL, threads", "thread", "spdl")
def spdl() -> Making:
    return lambda: peers.spdl_threads(double, N)
