"""Images of 150 KB stacked into batches of 64."""

import functools
from typing import Any

import numpy as np

from benchmarks import arrays, peers
from benchmarks.workload import Figure, Target, Workload

N = 4000
IMAGE = functools.partial(arrays.image, "uint8")
STACKED = functools.partial(arrays.stacked, "uint8")

WORKLOAD = Workload(
    title="64 images of 150 KB stacked into a batch",
    text=(
        "Images of 224 × 224 × 3 bytes, which exist in two workers, stacked into batches of "
        "64. The clock starts once everything runs. The limit is written by hand: two "
        "processes stack into memory that they share with the reader."
    ),
    figures=(Figure("batches", "batches/s", higher=True),),
    measure=lambda source: {"batches": arrays.rate(source, "uint8", N)},
    targets=(
        Target("processes, collate_arrays", "≥ 8 × DataLoader", at_least=8, of="torch DataLoader"),
    ),
)


@WORKLOAD.contestant("limit, by hand", "limit")
def limit() -> Any:
    def fill(i: int, out: arrays.Array) -> None:
        np.stack([IMAGE(j) for j in range(64 * i, 64 * i + 64)], out=out)

    return arrays.by_hand(fill, "uint8", N)


def prefetched(seqtools: Any, method: str, collate: Any, **options: Any) -> Any:
    images = seqtools.smap(IMAGE, range(64 * N))
    return seqtools.prefetch(seqtools.batch(images, 64, collate_fn=collate), 2, method, **options)


@WORKLOAD.ours("processes, collate_arrays")
def collate_arrays() -> Any:
    import seqtools

    collate: Any = seqtools.collate_arrays
    return prefetched(seqtools, "process", collate)


@WORKLOAD.ours("processes, np.stack")
def processes() -> Any:
    import seqtools

    return prefetched(seqtools, "process", np.stack)


@WORKLOAD.ours("threads, np.stack", "thread")
def threads() -> Any:
    import seqtools

    return prefetched(seqtools, "thread", np.stack)


@WORKLOAD.original("SeqTools 1.x, hand-sized shm_size")
def original() -> Any:
    return prefetched(peers.original(), "process", np.stack, shm_size=16 * arrays.SIZE)


@WORKLOAD.original("SeqTools 1.x, threads", "thread")
def original_threads() -> Any:
    return prefetched(peers.original(), "thread", np.stack)


@WORKLOAD.peer("torch DataLoader", package="torch")
def dataloader() -> Any:
    return peers.dataloader(IMAGE, 64 * N, batch_size=64)


@WORKLOAD.peer("Grain", package="grain")
def grain_processes() -> Any:
    import grain

    dataset = grain.MapDataset.range(64 * N).map(IMAGE).batch(64).to_iter_dataset()
    return dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=2))


@WORKLOAD.peer("Grain, threads", "thread", "grain")
def grain_threads() -> Any:
    import grain

    dataset = grain.MapDataset.range(64 * N).map(IMAGE).batch(64)
    return dataset.to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=16))


@WORKLOAD.peer("torchdata.nodes", package="torchdata")
def nodes() -> Any:
    return peers.nodes(STACKED, N, "process")


@WORKLOAD.peer("SPDL, threads", "thread", "spdl")
def spdl() -> Any:
    return peers.spdl_threads(STACKED, N)


@WORKLOAD.peer("multiprocessing.Pool.imap")
def pool() -> Any:
    return peers.process_pool(STACKED, N)


@WORKLOAD.peer("ThreadPoolExecutor.map", "thread")
def thread_executor() -> Any:
    return peers.thread_executor(STACKED, N)
