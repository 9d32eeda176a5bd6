"""How each peer evaluates `f(0), f(1), …, f(n - 1)` in order, as its documentation shows it.

Every function returns an iterable that has started nothing yet. Libraries are imported
before that, because the time of an import is a workload of its own.
"""

import importlib
import importlib.metadata
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

Function = Callable[[int], Any]


class Runs(Iterable[Any]):
    """What a generator function yields, started by `iter`."""

    def __init__(self, start: Callable[[], Iterator[Any]]) -> None:
        self._start = start

    def __iter__(self) -> Iterator[Any]:
        return self._start()


def original() -> Any:
    """Return SeqTools 1.x, which is imported by the name of our package."""
    version = importlib.metadata.version("SeqTools")
    if version.split(".")[0] != "1":
        message = f"this needs an environment with SeqTools 1.x, got {version}"
        raise RuntimeError(message)
    return importlib.import_module("seqtools")


@contextmanager
def forked(work: Callable[[int], object], nworkers: int) -> Iterator[None]:
    """Have forked processes work while the block runs; for limits that are written by hand.

    Args:
        work: What each does; it is given the worker's number.
        nworkers: Their number.
    """
    workers = []
    for number in range(nworkers):
        pid = os.fork()
        if not pid:
            try:
                work(number)
            finally:
                os._exit(0)
        workers.append(pid)
    try:
        yield
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


# ---------------------------------------------------------------- the standard library


def process_pool(f: Function, n: int, chunksize: int = 1, nworkers: int = 2) -> Iterable[Any]:
    import multiprocessing

    def run() -> Iterator[Any]:
        with multiprocessing.Pool(nworkers) as pool:
            yield from pool.imap(f, range(n), chunksize)

    return Runs(run)


def thread_pool(f: Function, n: int, chunksize: int = 1, nworkers: int = 2) -> Iterable[Any]:
    from multiprocessing.pool import ThreadPool

    def run() -> Iterator[Any]:
        with ThreadPool(nworkers) as pool:
            yield from pool.imap(f, range(n), chunksize)

    return Runs(run)


def process_executor(f: Function, n: int, chunksize: int = 1, nworkers: int = 2) -> Iterable[Any]:
    from concurrent.futures import ProcessPoolExecutor

    def run() -> Iterator[Any]:
        with ProcessPoolExecutor(nworkers) as pool:
            try:
                yield from pool.map(f, range(n), chunksize=chunksize)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    return Runs(run)


def thread_executor(f: Function, n: int, nworkers: int = 2) -> Iterable[Any]:
    from concurrent.futures import ThreadPoolExecutor

    def run() -> Iterator[Any]:
        with ThreadPoolExecutor(nworkers) as pool:
            try:
                yield from pool.map(f, range(n))
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    return Runs(run)


# ---------------------------------------------------------------- libraries


def joblib(f: Function, n: int, nworkers: int = 2, prefer: str = "processes") -> Iterable[Any]:
    import joblib

    def run() -> Iterator[Any]:
        parallel = joblib.Parallel(n_jobs=nworkers, prefer=prefer, return_as="generator")
        yield from parallel(joblib.delayed(f)(i) for i in range(n))

    return Runs(run)


def dataloader(f: Function, n: int, nworkers: int = 2, **options: Any) -> Iterable[Any]:
    """Return a DataLoader over a map-style data set.

    Args:
        f: The data set's `__getitem__`.
        n: The data set's length.
        nworkers: Worker processes.
        options: For the DataLoader; without a `batch_size`, items are delivered singly.
    """
    from torch.utils.data import DataLoader, Dataset

    class Items(Dataset):  # type: ignore[misc,type-arg,unused-ignore]
        def __len__(self) -> int:
            return n

        def __getitem__(self, i: int) -> Any:
            return f(i)

    options = {"batch_size": None, **options}
    loader: Iterable[Any] = DataLoader(Items(), num_workers=nworkers, **options)
    return loader


def nodes(f: Function, n: int, method: str, nworkers: int = 2, **options: Any) -> Iterable[Any]:
    from torchdata.nodes import IterableWrapper, Loader, ParallelMapper

    node = IterableWrapper(range(n))
    node = ParallelMapper(node, f, num_workers=nworkers, method=method, **options)
    loader: Iterable[Any] = Loader(node)
    return loader


def grain_threads(f: Function, n: int, nworkers: int = 2) -> Iterable[Any]:
    import grain

    read = grain.ReadOptions(num_threads=nworkers)
    dataset: Iterable[Any] = grain.MapDataset.range(n).map(f).to_iter_dataset(read)
    return dataset


def grain_processes(f: Function, n: int, nworkers: int = 2) -> Iterable[Any]:
    import grain

    dataset = grain.MapDataset.range(n).map(f).to_iter_dataset()
    workers = grain.MultiprocessingOptions(num_workers=nworkers)
    dataset = dataset.mp_prefetch(workers)
    return Runs(lambda: iter(dataset))


def spdl_threads(f: Function, n: int, nworkers: int = 2) -> Iterable[Any]:
    from spdl.pipeline import PipelineBuilder

    def run() -> Iterator[Any]:
        pipeline = (
            PipelineBuilder()
            .add_source(range(n))
            .pipe(f, concurrency=nworkers, output_order="input")
            .add_sink()
            .build(num_threads=nworkers)
        )
        with pipeline.auto_stop():
            yield from pipeline

    return Runs(run)


def spdl_processes(f: Function, n: int, nworkers: int = 2) -> Iterable[Any]:
    from concurrent.futures import ProcessPoolExecutor

    from spdl.pipeline import PipelineBuilder

    def run() -> Iterator[Any]:
        with ProcessPoolExecutor(nworkers) as pool:
            pipeline = (
                PipelineBuilder()
                .add_source(range(n))
                .pipe(f, concurrency=nworkers, executor=pool, output_order="input")
                .add_sink()
                .build(num_threads=1)
            )
            with pipeline.auto_stop():
                yield from pipeline

    return Runs(run)


def tf_data(f: Function, n: int, dtype: str, nworkers: int = 2) -> Iterable[Any]:
    """Return a tf.data pipeline of numpy values.

    Args:
        f: A Python function, which runs in threads.
        n: Number of items.
        dtype: Of what `f` returns.
        nworkers: Calls of `f` at the same time.
    """
    import tensorflow as tf

    def call(i: Any) -> Any:
        return tf.numpy_function(f, [i], tf.as_dtype(dtype))

    dataset = tf.data.Dataset.range(n).map(call, num_parallel_calls=nworkers)
    iterable: Iterable[Any] = dataset.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()
    return iterable


def ray(f: Function, n: int, chunksize: int = 1, nworkers: int = 2) -> Iterable[Any]:
    from ray.util.multiprocessing import Pool

    def run() -> Iterator[Any]:
        import ray

        ray.init(num_cpus=nworkers, include_dashboard=False, log_to_driver=False)
        with Pool(nworkers) as pool:
            yield from pool.imap(f, range(n), chunksize)

    return Runs(run)
