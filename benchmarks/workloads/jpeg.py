"""JPEG files, decoded, resized, normalised, and stacked into batches."""

import functools
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks import clock, peers, photographs
from benchmarks.rounds import folder
from benchmarks.workload import Figure, Target, Workload

FILES, K, EPOCHS = 2000, 32, 10
BATCHES = EPOCHS * FILES // K
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
SCALE = np.array([0.229, 0.224, 0.225], np.float32)
BYTES = 4 * K * 224 * 224 * 3


def prepare() -> None:
    photographs.make(folder(), FILES)
    marks = np.array([image(i)[112, 112] for i in range(FILES)])
    np.save(os.path.join(folder(), "marks.npy"), marks)


def image(i: int) -> Any:
    from PIL import Image

    with Image.open(os.path.join(folder(), f"{int(i) % FILES}.jpg")) as file:
        small = file.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    return (np.asarray(small, np.float32) / 255 - MEAN) / SCALE


def batch(i: int) -> Any:
    return np.stack([image(j) for j in range(K * int(i), K * int(i) + K)])


@functools.cache
def marks() -> Any:
    """Return a pixel of every image, by which it is known at a glance."""
    return np.load(os.path.join(folder(), "marks.npy"))


def quick(i: int, got: Any) -> bool:
    expected = marks()[np.arange(K * i, K * i + K) % FILES]
    return np.array_equal(np.asarray(got)[:, 112, 112], expected)


def full(i: int, got: Any) -> bool:
    return np.array_equal(np.asarray(got), batch(i))


def measure(source: Iterable[Any]) -> dict[str, float]:
    rate = clock.rate(source, full=full, quick=quick, warmup=30, total=BATCHES, seconds=3)
    return {"images": K * rate}


WORKLOAD = Workload(
    title="JPEG files",
    text=(
        "2,000 files of 400 × 300 pixels, which are parts of the photographs that ship inside "
        "scikit-image and scikit-learn, decoded by Pillow, resized to 224 × 224, normalised to "
        "float32, and stacked in batches of 32, from two workers. The clock starts once "
        "everything runs. The limit is twice what one process does without a worker. All use "
        "the same function for an image, tf.data too, so that values can be compared."
    ),
    figures=(Figure("images", "images/s", higher=True),),
    measure=measure,
    targets=(
        Target("threads", "≥ 0.97 × best peer with threads", at_least=0.97, of="best thread"),
        Target("processes", "≥ 1.1 × best peer with processes", at_least=1.1, of="best process"),
    ),
    prepare=prepare,
)


def sequentially() -> Any:
    return (batch(i) for i in range(BATCHES))


@WORKLOAD.contestant("limit, twice sequential", "limit")
def limit() -> Any:
    return {"images": 2 * measure(sequentially())["images"]}


@WORKLOAD.contestant("sequential", "base", "inline")
def sequential() -> Any:
    return sequentially()


def prefetched(seqtools: Any, method: str, collate: Any = np.stack, **options: Any) -> Any:
    batches = seqtools.batch(seqtools.smap(image, range(EPOCHS * FILES)), K, collate_fn=collate)
    return seqtools.prefetch(batches, 2, method, **options)


@WORKLOAD.ours("processes")
def processes() -> Any:
    import seqtools

    return prefetched(seqtools, "process")


@WORKLOAD.ours("processes, collate_arrays")
def collate_arrays() -> Any:
    import seqtools

    collate: Any = seqtools.collate_arrays
    return prefetched(seqtools, "process", collate)


@WORKLOAD.ours("threads", "thread")
def threads() -> Any:
    import seqtools

    return prefetched(seqtools, "thread")


@WORKLOAD.original("SeqTools 1.x")
def original() -> Any:
    return prefetched(peers.original(), "process")


@WORKLOAD.original("SeqTools 1.x, hand-sized shm_size")
def original_with_memory() -> Any:
    return prefetched(peers.original(), "process", shm_size=16 * BYTES)


@WORKLOAD.original("SeqTools 1.x, threads", "thread")
def original_threads() -> Any:
    return prefetched(peers.original(), "thread")


@WORKLOAD.peer("torch DataLoader", package="torch")
def dataloader() -> Any:
    return peers.dataloader(image, EPOCHS * FILES, batch_size=K)


@WORKLOAD.peer("multiprocessing.Pool.imap")
def pool() -> Any:
    return peers.process_pool(batch, BATCHES)


@WORKLOAD.peer("torchdata.nodes", package="torchdata")
def nodes() -> Any:
    return peers.nodes(batch, BATCHES, "process")


@WORKLOAD.peer("Grain", package="grain")
def grain_processes() -> Any:
    import grain

    dataset = grain.MapDataset.range(EPOCHS * FILES).map(image).batch(K).to_iter_dataset()
    return dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=2))


@WORKLOAD.peer("joblib", package="joblib")
def joblib() -> Any:
    return peers.joblib(batch, BATCHES)


@WORKLOAD.peer("Ray multiprocessing.Pool.imap", package="ray")
def ray() -> Any:
    return peers.ray(batch, BATCHES)


@WORKLOAD.peer("Grain, threads", "thread", "grain")
def grain_threads() -> Any:
    import grain

    dataset = grain.MapDataset.range(EPOCHS * FILES).map(image).batch(K)
    return dataset.to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=16))


@WORKLOAD.peer("ThreadPool.imap", "thread")
def thread_pool() -> Any:
    return peers.thread_pool(batch, BATCHES)


@WORKLOAD.peer("torchdata.nodes, threads", "thread", "torchdata")
def nodes_threads() -> Any:
    return peers.nodes(batch, BATCHES, "thread")


@WORKLOAD.peer("SPDL, threads", "thread", "spdl")
def spdl() -> Any:
    return peers.spdl_threads(batch, BATCHES)


@WORKLOAD.peer("tf.data", "thread", "tensorflow-cpu")
def tf_data() -> Any:
    import tensorflow as tf

    def call(i: Any) -> Any:
        pixels = tf.numpy_function(image, [i], tf.float32)
        return tf.ensure_shape(pixels, (224, 224, 3))

    dataset = tf.data.Dataset.range(EPOCHS * FILES).map(call, num_parallel_calls=2)
    return dataset.batch(K).prefetch(tf.data.AUTOTUNE).as_numpy_iterator()
