"""The work of the workloads that deliver large arrays, and the checks of what arrives.

A worker has three arrays ready and delivers them in turn, so that nothing is measured but
how an array comes from there to the reader. With three, one that is lost, repeated or out of
turn is seen.
"""

import functools
import mmap
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from benchmarks import clock, peers

SHAPE = (64, 224, 224, 3)
SIZE = 64 * 224 * 224 * 3
RING = 3
SLOTS = 4  # in the hand-written limit, for each worker; arbitrary

Array = np.ndarray[Any, np.dtype[Any]]


@functools.cache
def ring(dtype: str) -> list[Array]:
    """Return the arrays of this process."""
    first = (np.arange(SIZE) % 250).astype(dtype).reshape(SHAPE)
    return [first + np.asarray(k, dtype) for k in range(RING)]


def array(dtype: str, i: int) -> Array:
    """Return array `i`."""
    return ring(dtype)[int(i) % RING]


def image(dtype: str, j: int) -> Array:
    """Return the image `j` of those that array `j // 64` consists of, a view."""
    batch, k = divmod(int(j), SHAPE[0])
    images: Array = ring(dtype)[batch % RING]
    return images[k, ...]


def stacked(dtype: str, i: int) -> Array:
    """Return array `i`, stacked from its images."""
    return np.stack([image(dtype, j) for j in range(SHAPE[0] * i, SHAPE[0] * (i + 1))])


def rate(source: Iterable[Any], dtype: str, total: int) -> float:
    """Return the arrays per second at which a reader gets them who keeps none.

    Args:
        source: The arrays, as numpy arrays or what numpy can view.
        dtype: Their type.
        total: Their number.
    """

    def full(i: int, item: Any) -> bool:
        return equal(dtype, i, item)

    return clock.rate(source, full=full, quick=glance, warmup=min(40, total // 4), total=total)


def glance(i: int, item: Any) -> bool:
    """Return whether an item looks like array `i` at both ends."""
    k, last = i % RING, (SIZE - 1) % 250
    ends = item[0, 0, 0, 0], item[-1, -1, -1, -1]
    return item.shape == SHAPE and bool(ends[0] == k) and bool(ends[1] == last + k)


def equal(dtype: str, i: int, item: Any) -> bool:
    """Return whether an item is array `i`."""
    item = np.asarray(item)
    return item.dtype == dtype and np.array_equal(item, array(dtype, i))


def by_hand(fill: Callable[[int, Array], object], dtype: str, n: int) -> Iterable[Array]:
    """Return arrays that two forked processes write into shared memory, which is recycled.

    Nothing is general here, so this is the limit: a byte in a pipe says that an array is
    there, another one that it may be overwritten.

    Args:
        fill: Writes item `i` into an array.
        dtype: Type of the arrays.
        n: Their number.
    """

    def work(number: int, slots: Array, done: int, free: int) -> None:
        for turn, i in enumerate(range(number, n, 2)):
            if turn >= SLOTS:
                os.read(free, 1)
            fill(i, slots[turn % SLOTS])
            os.write(done, b".")

    def run() -> Iterator[Array]:
        ring(dtype)
        memory = mmap.mmap(-1, 2 * SLOTS * SIZE * np.dtype(dtype).itemsize)
        slots = np.frombuffer(memory, dtype).reshape(2, SLOTS, *SHAPE)
        pipes = [(os.pipe(), os.pipe()) for _ in range(2)]

        def start(number: int) -> None:
            results, frees = pipes[number]
            work(number, slots[number], results[1], frees[0])

        with peers.forked(start, 2):
            for i in range(n):
                results, frees = pipes[i % 2]
                os.read(results[0], 1)
                yield slots[i % 2, i // 2 % SLOTS]
                os.write(frees[1], b".")

    return peers.Runs(run)
