"""A list of five million strings, read by two workers."""

import functools
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from benchmarks import clock, memory, peers
from benchmarks.workload import Figure, Workload

N, BLOCK = 5_000_000, 1000
BLOCKS = N // BLOCK
LENGTH = 20  # characters of each string


def names(start: int = 0, stop: int = N) -> list[str]:
    return [f"images/{i:09}.jpg" for i in range(start, stop)]


def names_in_an_array() -> Any:
    array = np.empty(N, dtype=f"S{LENGTH}")
    for start in range(0, N, BLOCK):
        array[start : start + BLOCK] = names(start, start + BLOCK)
    return array


def block(strings: Any, i: int) -> int:
    """Return the sum of the lengths of some strings, each of which is looked at."""
    return sum(len(name) for name in strings[BLOCK * i : BLOCK * i + BLOCK])


def measure(make: Callable[[], Iterable[Any]]) -> dict[str, float]:
    with memory.watched() as peak:
        source = make()
        begin = time.perf_counter()
        clock.whole(source, [BLOCK * LENGTH] * BLOCKS)
        seconds = time.perf_counter() - begin
    return {"bytes": peak.bytes, "seconds": seconds}


WORKLOAD = Workload(
    title="Memory: a list of five million strings",
    text=(
        "Five million names of 20 characters, of which two workers look at all once: the "
        "most memory that the script and its workers use together, shared pages counted once, "
        "and the time of an epoch, the start of workers included. The base reads them by "
        "itself. A list of Python objects is in the end copied for every worker, however it "
        "gets there, because reading an object writes to it. An array of bytes is not: it is "
        "shared, and should be used for collections of that size."
    ),
    figures=(Figure("bytes", "GB", unit=1e9), Figure("seconds", "s for an epoch")),
    measure=measure,
)


def sequence(seqtools: Any, strings: Any) -> Any:
    return seqtools.smap(functools.partial(block, strings), range(BLOCKS))


@WORKLOAD.contestant("a list, no workers", "base", "inline")
def by_itself() -> Any:
    def make() -> Any:
        strings = names()
        return (block(strings, i) for i in range(BLOCKS))

    return make


@WORKLOAD.ours("a list, processes")
def of_list() -> Any:
    import seqtools

    return lambda: seqtools.prefetch(sequence(seqtools, names()), 2, "process")


@WORKLOAD.ours('a list, processes, start_method="fork"')
def of_list_forked() -> Any:
    import seqtools

    return lambda: seqtools.prefetch(sequence(seqtools, names()), 2, "process", start_method="fork")


@WORKLOAD.ours("an array, processes")
def of_array() -> Any:
    import seqtools

    return lambda: seqtools.prefetch(sequence(seqtools, names_in_an_array()), 2, "process")


@WORKLOAD.ours("a list, threads", "thread")
def of_list_in_threads() -> Any:
    import seqtools

    return lambda: seqtools.prefetch(sequence(seqtools, names()), 2, "thread")


@WORKLOAD.original("SeqTools 1.x, a list")
def original() -> Any:
    seqtools = peers.original()
    return lambda: seqtools.prefetch(sequence(seqtools, names()), 2, "process")


@WORKLOAD.peer("torch DataLoader, a list", package="torch")
def dataloader() -> Any:
    import torch.utils.data  # noqa: F401 -- not to be timed

    return lambda: peers.dataloader(functools.partial(block, names()), BLOCKS)


@WORKLOAD.peer("torch DataLoader, an array", package="torch")
def dataloader_of_array() -> Any:
    import torch.utils.data  # noqa: F401 -- not to be timed

    return lambda: peers.dataloader(functools.partial(block, names_in_an_array()), BLOCKS)


strings_of_a_worker: Any = None


def block_of_worker(i: int) -> int:
    return block(strings_of_a_worker, i)


@WORKLOAD.peer("multiprocessing.Pool.imap, a list that is a global")
def pool() -> Any:
    def make() -> Any:
        global strings_of_a_worker  # noqa: PLW0603 -- how a pool is given what is large
        strings_of_a_worker = names()
        return peers.process_pool(block_of_worker, BLOCKS, chunksize=16)

    return make


@WORKLOAD.peer("Grain, a list", package="grain")
def grain() -> Any:
    import grain  # noqa: F401 -- not to be timed

    return lambda: peers.grain_processes(functools.partial(block, names()), BLOCKS)
