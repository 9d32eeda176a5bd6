"""Rows of a memory map in random order, in batches, in the reader's own process."""

import functools
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks import clock, peers
from benchmarks.rounds import folder
from benchmarks.workload import Figure, Target, Workload

ROWS, COLUMNS, K, EPOCHS = 1_000_000, 16, 256, 30
BATCHES = -(-ROWS // K)


def prepare() -> None:
    values = np.arange(ROWS * COLUMNS, dtype=np.float32)
    values.tofile(os.path.join(folder(), "rows"))


@functools.cache
def rows() -> Any:
    path = os.path.join(folder(), "rows")
    return np.memmap(path, np.float32, "r", shape=(ROWS, COLUMNS))


@functools.cache
def permutation() -> Any:
    return np.random.default_rng(0).permutation(ROWS)


def by_index(i: int) -> Any:
    indices = permutation()[K * i : K * i + K]
    return rows()[indices]


def quick(i: int, got: Any) -> bool:
    return bool(got[0, 0] == COLUMNS * permutation()[K * (i % BATCHES)])


def full(i: int, got: Any) -> bool:
    return np.array_equal(np.asarray(got), by_index(i % BATCHES))


def measure(source: Iterable[Any]) -> dict[str, float]:
    total = EPOCHS * BATCHES
    rate = clock.rate(source, full=full, quick=quick, warmup=400, total=total)
    return {"rows": K * rate}


def repeated(epoch: Iterable[Any]) -> Any:
    """Return several readings of the same, so that there is enough to time."""
    return peers.Runs(lambda: (batch for _ in range(EPOCHS) for batch in epoch))


WORKLOAD = Workload(
    title="Rows of a memory map in random order",
    text=(
        "A file of a million rows of 16 float32, mapped; batches of 256 rows in the order of "
        "a random permutation, in the reader's own process. The limit is numpy's indexing "
        "with an array."
    ),
    figures=(Figure("rows", "million rows/s", higher=True, unit=1e6),),
    measure=measure,
    targets=(Target("batch of gather", "≥ 10 million rows/s", at_least=10),),
    prepare=prepare,
)


@WORKLOAD.contestant("limit, numpy by hand", "limit", "inline")
def limit() -> Any:
    source, order = rows(), permutation()
    return repeated(peers.Runs(lambda: (source[order[k : k + K]] for k in range(0, ROWS, K))))


@WORKLOAD.ours("batch of gather", "inline")
def ours() -> Any:
    import seqtools

    shuffled = seqtools.gather(rows(), permutation())
    return repeated(seqtools.batch(shuffled, K, collate_fn=np.asarray))


@WORKLOAD.original("SeqTools 1.x, batch of gather", "inline")
def original() -> Any:
    seqtools = peers.original()
    shuffled = seqtools.gather(rows(), permutation())
    return repeated(seqtools.batch(shuffled, K, collate_fn=np.asarray))


@WORKLOAD.peer("torch DataLoader with __getitems__", "inline", "torch")
def dataloader_of_batches() -> Any:
    from torch.utils.data import DataLoader, Dataset

    class Rows(Dataset):  # type: ignore[misc,type-arg,unused-ignore]
        def __len__(self) -> int:
            return ROWS

        def __getitems__(self, indices: list[int]) -> Any:
            return rows()[indices]

    def same(batch: Any) -> Any:
        return batch

    order = permutation().tolist()
    return repeated(DataLoader(Rows(), batch_size=K, sampler=order, collate_fn=same))


@WORKLOAD.peer("torch DataLoader", "inline", "torch")
def dataloader() -> Any:
    from torch.utils.data import DataLoader, Dataset

    class Rows(Dataset):  # type: ignore[misc,type-arg,unused-ignore]
        def __len__(self) -> int:
            return ROWS

        def __getitem__(self, i: int) -> Any:
            return rows()[i]

    order = permutation().tolist()
    return repeated(DataLoader(Rows(), batch_size=K, sampler=order, collate_fn=np.stack))


@WORKLOAD.peer("Grain", "inline", "grain")
def grain() -> Any:
    import grain

    order = permutation()
    dataset = grain.MapDataset.range(ROWS).map(lambda i: rows()[order[i]]).batch(K)
    return repeated(dataset)


@WORKLOAD.peer("torchdata.nodes", "inline", "torchdata")
def nodes() -> Any:
    from torchdata.nodes import Batcher, IterableWrapper, Loader, Mapper

    node = Batcher(IterableWrapper(permutation().tolist()), K, drop_last=False)
    return repeated(Loader(Mapper(node, lambda indices: rows()[indices])))


@WORKLOAD.peer("tf.data", "inline", "tensorflow-cpu")
def tf_data() -> Any:
    import tensorflow as tf

    def call(indices: Any) -> Any:
        return tf.numpy_function(lambda i: rows()[i], [indices], tf.float32)

    dataset = tf.data.Dataset.from_tensor_slices(permutation()).batch(K).map(call)
    return repeated(peers.Runs(dataset.as_numpy_iterator))
