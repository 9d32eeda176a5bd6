"""Epochs in random order, in batches and singly: what does finding an item cost?"""

import random
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from benchmarks.clock import WrongValueError
from benchmarks.workload import Figure, Target, Workload

N, K, EPOCHS = 1_000_000, 4096, 3
BLOCKS, OPEN = 1000, 32
PLACES = random.Random(0).sample(range(N), 100_000)  # noqa: S311 -- no secret

Epochs = Callable[[int], tuple[Iterable[Any], Callable[[int], Any]]]
"""Given the number of an epoch, returns its batches, and what reads its item at a place."""


def measure(epochs: Epochs) -> dict[str, float]:
    """Take the best of some epochs, each of which is checked to have every item once."""
    bulk, single = [], []
    for epoch in range(EPOCHS):
        begin = time.perf_counter()
        batches, read = epochs(epoch)
        items = list(batches)
        bulk.append(time.perf_counter() - begin)
        order = np.concatenate(items)
        check(len(order) == N and np.array_equal(np.sort(order), np.arange(N)))
        begin = time.perf_counter()
        found = [read(i) for i in PLACES]
        single.append(time.perf_counter() - begin)
        check(found == order[PLACES].tolist())
    return {"bulk": min(bulk) / N, "single": min(single) / len(PLACES)}


def check(right: bool) -> None:  # noqa: FBT001 -- what is checked
    if not right:
        message = "this is no permutation, or not the same singly"
        raise WrongValueError(message)


WORKLOAD = Workload(
    title="Shuffled epochs",
    text=(
        "An array of a million integers, each epoch in another order: in batches of 4,096, a new "
        "epoch each time, and single items at random places of one epoch. Every epoch is checked "
        "to have each item once. `numpy.random.permutation` keeps 8 bytes for each item, the "
        "others nothing that grows. With blocks, 32 of 1,000 blocks are in use at once."
    ),
    figures=(
        Figure("bulk", "ns an item, in batches", unit=1e-9),
        Figure("single", "µs an item, singly", unit=1e-6),
    ),
    measure=measure,
    targets=(
        Target("shuffle", "≤ 40 ns an item in batches", at_most=40),
        Target("shuffle", "≤ 4 µs an item singly", at_most=4, figure="single"),
        Target("shuffle, blocks", "≤ 160 ns an item in batches", at_most=160),
        Target("shuffle, blocks", "≤ 5 µs an item singly", at_most=5, figure="single"),
    ),
)


def source() -> Any:
    return np.arange(N)


def ours(**options: Any) -> Epochs:
    import seqtools

    run = seqtools.shuffle(source(), 7, epochs=EPOCHS, **options)

    def epochs(epoch: int) -> tuple[Iterable[Any], Callable[[int], Any]]:
        items = run[N * epoch : N * epoch + N]
        first = N * epoch
        return seqtools.batch(items, K, collate_fn=np.asarray), lambda i: run[first + i]

    return epochs


@WORKLOAD.ours("shuffle", "inline")
def full() -> Epochs:
    return ours()


@WORKLOAD.ours("shuffle, blocks", "inline")
def in_blocks() -> Epochs:
    return ours(blocks=[N // BLOCKS] * BLOCKS, open_blocks=OPEN)


@WORKLOAD.contestant("numpy.random.permutation", "base", "inline")
def numpy() -> Epochs:
    items = source()

    def epochs(epoch: int) -> tuple[Iterable[Any], Callable[[int], Any]]:
        order = np.random.default_rng((7, epoch)).permutation(N)
        return (items[order[k : k + K]] for k in range(0, N, K)), lambda i: items[order[i]]

    return epochs


@WORKLOAD.peer("Grain, index_shuffle", "inline", "grain")
def index_shuffle() -> Epochs:
    from grain._src.python.experimental.index_shuffle.python import index_shuffle_module

    items = source()

    def epochs(epoch: int) -> tuple[Iterable[Any], Callable[[int], Any]]:
        def at(i: int) -> int:
            found: int = index_shuffle_module.index_shuffle(
                i, max_index=N - 1, seed=7 + epoch, rounds=4
            )
            return found

        parts = (range(k, min(k + K, N)) for k in range(0, N, K))
        return (items[[at(i) for i in part]] for part in parts), lambda i: items[at(i)]

    return epochs


@WORKLOAD.peer("Grain, MapDataset.shuffle", "inline", "grain")
def grain() -> Epochs:
    import grain

    def epochs(epoch: int) -> tuple[Iterable[Any], Callable[[int], Any]]:
        shuffled = grain.MapDataset.source(source()).shuffle(seed=7 + epoch)
        batches = shuffled.batch(K)
        return (batches[k] for k in range(len(batches))), lambda i: shuffled[i]

    return epochs
