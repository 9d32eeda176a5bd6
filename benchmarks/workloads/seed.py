"""The seed's pipeline: ten files that are slow to load, and items that are slow to compute."""

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks import clock, peers
from benchmarks.workload import Figure, Target, Workload

FILES = [f"file{k}" for k in range(1, 11)]
ITEMS = list(range(200)) * 9 + list(range(10))
EXPECTED = [ITEMS[i : i + 64] for i in range(0, len(ITEMS), 64)]
LOADING, COMPUTING = 0.5, 0.005

WORKLOAD = Workload(
    title="The seed's pipeline",
    text=(
        "Ten files that take 0.5 s each to load, a cache for two of them, 1,810 items of "
        "5 ms of processor time, batches of 64. The time is from the first read to the last, "
        "the start of workers included, divided by that of reading sequentially. The limits "
        "are computed: all loading is hidden behind computing but that of the first file. "
        '"By hand" means that the pipeline was taken apart, and loading and computing made '
        "stages of their own, each with its workers."
    ),
    figures=(Figure("seconds", "time / sequential"),),
    measure=lambda source: {"seconds": clock.whole(source, EXPECTED)},
    relative_to="sequential",
    targets=(
        Target("processes", "≤ 0.40 of sequential", at_most=0.40, of="sequential"),
        Target(
            "processes, an inner prefetch",
            "≤ 0.375 of sequential",
            at_most=0.375,
            of="sequential",
        ),
        Target("threads", "≤ 0.70 of sequential", at_most=0.70, of="sequential"),
    ),
)


def load(name: str) -> list[int]:
    time.sleep(LOADING)
    return list(range(10) if name == "file10" else range(200))


def preprocess(x: int) -> int:
    begin = time.thread_time()
    while time.thread_time() - begin < COMPUTING:
        pass
    return x


# ---------------------------------------------------------------- limits


@WORKLOAD.contestant("limit, two cores", "limit")
def limit() -> Any:
    return {"seconds": LOADING + len(ITEMS) * COMPUTING / 2}


@WORKLOAD.contestant("limit, one interpreter", "limit", "thread")
def limit_of_threads() -> Any:
    return {"seconds": LOADING + len(ITEMS) * COMPUTING}


# ---------------------------------------------------------------- as written


def pipeline(
    seqtools: Any, loaded: Any = None, preprocess: Callable[[int], int] = preprocess
) -> Any:
    loaded = seqtools.smap(load, FILES) if loaded is None else loaded
    samples = seqtools.unbatch(seqtools.add_cache(loaded, 2), 200, 10)
    return seqtools.batch(seqtools.smap(preprocess, samples), 64, collate_fn=list)


def prefetched(method: str, loaded: Any = None, **options: Any) -> Iterable[Any]:
    import seqtools

    batches = pipeline(seqtools, loaded)

    def run() -> Iterator[Any]:
        with seqtools.prefetch(batches, 2, method, max_cached=100, **options) as ready:
            yield from ready

    return peers.Runs(run)


@WORKLOAD.contestant("sequential", "base", "inline", "seqtools")
def sequential() -> Any:
    import seqtools

    return pipeline(seqtools)


@WORKLOAD.ours("processes")
def processes() -> Any:
    return prefetched("process")


@WORKLOAD.ours("processes, readahead=False")
def processes_without_hints() -> Any:
    return prefetched("process", readahead=False)


@WORKLOAD.ours("processes, an inner prefetch")
def processes_with_an_inner_prefetch() -> Any:
    import seqtools

    loaded = seqtools.prefetch(seqtools.smap(load, FILES), nworkers=1, max_cached=2)
    return prefetched("process", loaded)


@WORKLOAD.ours("threads", "thread")
def threads() -> Any:
    return prefetched("thread")


@WORKLOAD.original("SeqTools 1.x, processes")
def original_processes() -> Any:
    seqtools = peers.original()
    return seqtools.prefetch(pipeline(seqtools), 2, "process", max_buffered=100)


@WORKLOAD.original("SeqTools 1.x, threads", "thread")
def original_threads() -> Any:
    seqtools = peers.original()
    return seqtools.prefetch(pipeline(seqtools), 2, "thread", max_buffered=100)


@functools.lru_cache(2)
def file(k: int) -> list[int]:
    return load(FILES[k])


def sample(i: int) -> int:
    return preprocess(file(i // 200)[i % 200])


def batch(i: int) -> list[int]:
    return [sample(j) for j in range(64 * i, min(64 * i + 64, len(ITEMS)))]


@WORKLOAD.peer("torch DataLoader", package="torch")
def dataloader() -> Any:
    return peers.dataloader(sample, len(ITEMS), batch_size=64, collate_fn=list)


@WORKLOAD.peer("ProcessPoolExecutor.map")
def executor() -> Any:
    return peers.process_executor(batch, len(EXPECTED))


@WORKLOAD.peer("Grain, threads", "thread", "grain")
def grain() -> Any:
    import grain

    dataset = grain.MapDataset.range(len(ITEMS)).map(sample).batch(64, batch_fn=list)
    return dataset.to_iter_dataset(grain.ReadOptions(num_threads=2))


@WORKLOAD.peer("tf.data", "thread", "tensorflow-cpu")
def tf_data() -> Any:
    import tensorflow as tf

    def call(i: Any) -> Any:
        return tf.numpy_function(sample, [i], tf.int64)

    dataset = tf.data.Dataset.range(len(ITEMS)).map(call, num_parallel_calls=2).batch(64)
    batches = dataset.prefetch(tf.data.AUTOTUNE)
    return peers.Runs(lambda: (b.tolist() for b in batches.as_numpy_iterator()))


# ---------------------------------------------------------------- rebuilt by hand


def preprocess_all(batch: list[int]) -> list[int]:
    return [preprocess(x) for x in batch]


@WORKLOAD.peer("SPDL, stages by hand", package="spdl")
def spdl() -> Any:
    from concurrent.futures import ProcessPoolExecutor

    from spdl.pipeline import PipelineBuilder

    def run() -> Iterator[Any]:
        with ProcessPoolExecutor(2) as pool:
            stages = (
                PipelineBuilder()
                .add_source(FILES)
                .pipe(load)
                .disaggregate()
                .aggregate(64)
                .pipe(preprocess_all, concurrency=2, executor=pool, output_order="input")
                .add_sink(100)
                .build(num_threads=1)
            )
            with stages.auto_stop():
                yield from stages

    return peers.Runs(run)


@WORKLOAD.peer("torchdata.nodes, stages by hand", package="torchdata")
def nodes() -> Any:
    from torchdata.nodes import Batcher, IterableWrapper, Loader, ParallelMapper, Unbatcher

    node = IterableWrapper(FILES)
    node = Unbatcher(ParallelMapper(node, load, num_workers=1, method="thread"))
    node = Batcher(node, 64, drop_last=False)
    return Loader(ParallelMapper(node, preprocess_all, num_workers=2, method="process"))


@WORKLOAD.peer("torchdata.nodes, threads, stages by hand", "thread", "torchdata")
def nodes_of_threads() -> Any:
    from torchdata.nodes import Batcher, IterableWrapper, Loader, ParallelMapper, Unbatcher

    node = IterableWrapper(FILES)
    node = Unbatcher(ParallelMapper(node, load, num_workers=1, method="thread"))
    node = Batcher(node, 64, drop_last=False)
    return Loader(ParallelMapper(node, preprocess_all, num_workers=2, method="thread"))
