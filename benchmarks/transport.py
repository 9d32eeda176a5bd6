"""The contestants of the workloads that deliver arrays which exist already: uint8, float32."""

import functools
from typing import Any

import numpy as np

from benchmarks import arrays, peers
from benchmarks.workload import Workload


def enter(workload: Workload, dtype: str, n: int) -> None:
    """Enter all contestants.

    Args:
        workload: To which they are added.
        dtype: Of the arrays.
        n: Number of arrays.
    """
    array = functools.partial(arrays.array, dtype)
    _ours(workload, dtype, n)
    _original(workload, dtype, n)

    @workload.contestant("limit, by hand", "limit")
    def limit() -> Any:
        return arrays.by_hand(lambda i, out: np.copyto(out, array(i)), dtype, n)

    libraries = {
        "torch DataLoader": ("torch", lambda: peers.dataloader(array, n)),
        "torchdata.nodes": ("torchdata", lambda: peers.nodes(array, n, "process")),
        "Grain": ("grain", lambda: peers.grain_processes(array, n)),
        "SPDL, process pool": ("spdl", lambda: peers.spdl_processes(array, n)),
        "joblib": ("joblib", lambda: peers.joblib(array, n)),
        "ProcessPoolExecutor.map": (None, lambda: peers.process_executor(array, n)),
        "multiprocessing.Pool.imap": (None, lambda: peers.process_pool(array, n)),
        "Ray multiprocessing.Pool.imap": ("ray", lambda: peers.ray(array, n)),
    }
    for name, (package, make) in libraries.items():
        workload.peer(name, package=package)(make)


def _ours(workload: Workload, dtype: str, n: int) -> None:
    @workload.ours("processes")
    def processes() -> Any:
        import seqtools

        items = seqtools.smap(functools.partial(arrays.array, dtype), range(n))
        return seqtools.prefetch(items, 2, "process")

    @workload.ours("processes, in place")
    def in_place() -> Any:
        import seqtools

        collate: Any = seqtools.collate_arrays
        images = seqtools.smap(functools.partial(arrays.image, dtype), range(64 * n))
        return seqtools.prefetch(seqtools.batch(images, 64, collate_fn=collate), 2, "process")


def _original(workload: Workload, dtype: str, n: int) -> None:
    def prefetched(**options: Any) -> Any:
        seqtools = peers.original()
        items = seqtools.smap(functools.partial(arrays.array, dtype), range(n))
        return seqtools.prefetch(items, 2, "process", max_buffered=10, **options)

    workload.original("SeqTools 1.x")(prefetched)

    @workload.original("SeqTools 1.x, hand-sized shm_size")
    def with_memory() -> Any:
        return prefetched(shm_size=16 * arrays.SIZE * np.dtype(dtype).itemsize)
