"""Items that cost nothing, in batches of 64: what remains is the cost of the engine."""

import os
import pickle
import struct
from collections.abc import Iterator
from typing import Any

from benchmarks import clock, peers
from benchmarks.workload import Figure, Target, Workload

K = 64
BATCHES = 150_000
ITEMS = K * BATCHES
WARMUP = 4000


def double(x: int) -> int:
    return 2 * x


def batch(i: int) -> list[int]:
    return [double(x) for x in range(K * i, K * i + K)]


def quick(i: int, got: Any) -> bool:
    return bool(got[0] == 2 * K * i) and len(got) == K


def full(i: int, got: Any) -> bool:
    return [int(x) for x in got] == batch(i)


def measure(source: Any) -> dict[str, float]:
    rate = clock.rate(source, full=full, quick=quick, warmup=WARMUP, total=BATCHES)
    return {"items": K * rate}


WORKLOAD = Workload(
    title="Trivial items in batches of 64",
    text=(
        "Integers, doubled, in lists of 64. The clock starts once everything runs. The limit "
        "is written by hand: two processes that pickle 64 batches at a time into a pipe each. "
        "For seqtools, no chunk size is chosen; `max_cached` says how many batches may be "
        "ready."
    ),
    figures=(Figure("items", "million items/s", higher=True, unit=1e6),),
    measure=measure,
    targets=(
        Target(
            "processes, max_cached=1024",
            "≥ Pool.imap with chunks of 16",
            at_least=1,
            of="multiprocessing.Pool.imap, chunks of 16",
        ),
        Target(
            "threads, max_cached=1024",
            "≥ ThreadPool.imap with chunks of 16",
            at_least=1,
            of="ThreadPool.imap, chunks of 16",
        ),
    ),
)


@WORKLOAD.contestant("limit, by hand", "limit")
def limit() -> Any:
    group, size = 64, struct.Struct("I")

    def run() -> Iterator[Any]:
        pipes = [os.pipe() for _ in range(2)]

        def work(number: int) -> None:
            with os.fdopen(pipes[number][1], "wb", buffering=0) as out:
                for start in range(number * group, BATCHES, 2 * group):
                    stop = min(start + group, BATCHES)
                    data = pickle.dumps([batch(i) for i in range(start, stop)], 5)
                    out.write(size.pack(len(data)) + data)

        with peers.forked(work, 2):
            sources = [os.fdopen(ends[0], "rb", buffering=1 << 20) for ends in pipes]
            for turn in range(-(-BATCHES // group)):
                (length,) = size.unpack(sources[turn % 2].read(size.size))
                yield from pickle.loads(sources[turn % 2].read(length))  # noqa: S301 -- ours

    return peers.Runs(run)


def prefetched(seqtools: Any, method: str, **options: Any) -> Any:
    batches = seqtools.batch(seqtools.smap(double, range(ITEMS)), K)
    return seqtools.prefetch(batches, 2, method, **options)


@WORKLOAD.ours("processes")
def processes() -> Any:
    import seqtools

    return prefetched(seqtools, "process")


@WORKLOAD.ours("processes, max_cached=1024")
def processes_with_room() -> Any:
    import seqtools

    return prefetched(seqtools, "process", max_cached=1024)


@WORKLOAD.ours("threads", "thread")
def threads() -> Any:
    import seqtools

    return prefetched(seqtools, "thread")


@WORKLOAD.ours("threads, max_cached=1024", "thread")
def threads_with_room() -> Any:
    import seqtools

    return prefetched(seqtools, "thread", max_cached=1024)


@WORKLOAD.original("SeqTools 1.x")
def original() -> Any:
    return prefetched(peers.original(), "process", max_buffered=1024)


@WORKLOAD.original("SeqTools 1.x, threads", "thread")
def original_threads() -> Any:
    return prefetched(peers.original(), "thread", max_buffered=1024)


@WORKLOAD.peer("multiprocessing.Pool.imap, chunks of 16")
def pool_of_chunks() -> Any:
    return peers.process_pool(batch, BATCHES, chunksize=16)


@WORKLOAD.peer("multiprocessing.Pool.imap")
def pool() -> Any:
    return peers.process_pool(batch, BATCHES)


@WORKLOAD.peer("ProcessPoolExecutor.map, chunks of 16")
def executor() -> Any:
    return peers.process_executor(batch, BATCHES, chunksize=16)


@WORKLOAD.peer("ThreadPool.imap, chunks of 16", "thread")
def thread_pool() -> Any:
    return peers.thread_pool(batch, BATCHES, chunksize=16)


@WORKLOAD.peer("torch DataLoader", package="torch")
def dataloader() -> Any:
    return peers.dataloader(double, ITEMS, batch_size=K)


@WORKLOAD.peer("torch DataLoader, lists, prefetch_factor=16", package="torch")
def dataloader_of_lists() -> Any:
    return peers.dataloader(double, ITEMS, batch_size=K, collate_fn=list, prefetch_factor=16)


@WORKLOAD.peer("torchdata.nodes", package="torchdata")
def nodes() -> Any:
    return peers.nodes(batch, BATCHES, "process")


@WORKLOAD.peer("torchdata.nodes, prebatch=16", package="torchdata")
def nodes_in_chunks() -> Any:
    return peers.nodes(batch, BATCHES, "process", prebatch=16)


@WORKLOAD.peer("Grain", package="grain")
def grain_processes() -> Any:
    import grain

    dataset = grain.MapDataset.range(ITEMS).map(double).batch(K, batch_fn=list)
    dataset = dataset.to_iter_dataset()
    return dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=2))


@WORKLOAD.peer("Grain, threads", "thread", "grain")
def grain_threads() -> Any:
    import grain

    dataset = grain.MapDataset.range(ITEMS).map(double).batch(K, batch_fn=list)
    return dataset.to_iter_dataset(grain.ReadOptions(num_threads=2))


@WORKLOAD.peer("SPDL, process pool", package="spdl")
def spdl_processes() -> Any:
    return peers.spdl_processes(batch, BATCHES)


@WORKLOAD.peer("SPDL, threads", "thread", "spdl")
def spdl_threads() -> Any:
    return peers.spdl_threads(batch, BATCHES)


@WORKLOAD.peer("joblib", package="joblib")
def joblib() -> Any:
    return peers.joblib(batch, BATCHES)


@WORKLOAD.peer("Ray multiprocessing.Pool.imap, chunks of 16", package="ray")
def ray() -> Any:
    return peers.ray(batch, BATCHES, chunksize=16)


@WORKLOAD.peer("tf.data", "thread", "tensorflow-cpu")
def tf_data() -> Any:
    import tensorflow as tf

    def call(i: Any) -> Any:
        return tf.numpy_function(double, [i], tf.int64)

    dataset = tf.data.Dataset.range(ITEMS).map(call, num_parallel_calls=2).batch(K)
    return dataset.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()
