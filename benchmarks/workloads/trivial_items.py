"""Single items that cost nothing: what remains is what the engine costs for each."""

from typing import Any

from benchmarks import clock, peers
from benchmarks.workload import Figure, Target, Workload

N = 6_000_000
WARMUP = 20_000


def double(x: int) -> int:
    return 2 * x


def expected(indices: range) -> list[Any]:
    return list(range(0, 2 * len(indices), 2))


def measure(source: Any) -> dict[str, float]:
    return {"items": clock.rate_of_small(source, expected, warmup=WARMUP, total=N)}


WORKLOAD = Workload(
    title="Single trivial items",
    text=(
        "Integers, doubled, delivered singly. The clock starts once everything runs. For "
        "seqtools, no chunk size is chosen; `max_cached` says how many items may be ready."
    ),
    figures=(Figure("items", "million items/s", higher=True, unit=1e6),),
    measure=measure,
    targets=(
        Target(
            "processes, max_cached=4096",
            "≥ Pool.imap with chunks of 64",
            at_least=1,
            of="multiprocessing.Pool.imap, chunks of 64",
        ),
    ),
)


def prefetched(seqtools: Any, method: str, **options: Any) -> Any:
    return seqtools.prefetch(seqtools.smap(double, range(N)), 2, method, **options)


@WORKLOAD.ours("processes")
def processes() -> Any:
    import seqtools

    return prefetched(seqtools, "process")


@WORKLOAD.ours("processes, max_cached=4096")
def processes_with_room() -> Any:
    import seqtools

    return prefetched(seqtools, "process", max_cached=4096)


@WORKLOAD.ours("threads", "thread")
def threads() -> Any:
    import seqtools

    return prefetched(seqtools, "thread")


@WORKLOAD.ours("threads, max_cached=4096", "thread")
def threads_with_room() -> Any:
    import seqtools

    return prefetched(seqtools, "thread", max_cached=4096)


@WORKLOAD.original("SeqTools 1.x")
def original() -> Any:
    return prefetched(peers.original(), "process", max_buffered=4096)


@WORKLOAD.original("SeqTools 1.x, threads", "thread")
def original_threads() -> Any:
    return prefetched(peers.original(), "thread", max_buffered=4096)


@WORKLOAD.peer("multiprocessing.Pool.imap, chunks of 64")
def pool_of_chunks() -> Any:
    return peers.process_pool(double, N, chunksize=64)


@WORKLOAD.peer("multiprocessing.Pool.imap")
def pool() -> Any:
    return peers.process_pool(double, N)


@WORKLOAD.peer("ProcessPoolExecutor.map, chunks of 64")
def executor() -> Any:
    return peers.process_executor(double, N, chunksize=64)


@WORKLOAD.peer("ThreadPool.imap, chunks of 64", "thread")
def thread_pool() -> Any:
    return peers.thread_pool(double, N, chunksize=64)


@WORKLOAD.peer("torch DataLoader", package="torch")
def dataloader() -> Any:
    return peers.dataloader(double, N)


@WORKLOAD.peer("torchdata.nodes", package="torchdata")
def nodes() -> Any:
    return peers.nodes(double, N, "process")


@WORKLOAD.peer("torchdata.nodes, prebatch=64", package="torchdata")
def nodes_in_chunks() -> Any:
    return peers.nodes(double, N, "process", prebatch=64)


@WORKLOAD.peer("Grain", package="grain")
def grain_processes() -> Any:
    return peers.grain_processes(double, N)


@WORKLOAD.peer("Grain, threads", "thread", "grain")
def grain_threads() -> Any:
    return peers.grain_threads(double, N)


@WORKLOAD.peer("SPDL, process pool", package="spdl")
def spdl_processes() -> Any:
    return peers.spdl_processes(double, N)


@WORKLOAD.peer("SPDL, threads", "thread", "spdl")
def spdl_threads() -> Any:
    return peers.spdl_threads(double, N)


@WORKLOAD.peer("joblib", package="joblib")
def joblib() -> Any:
    return peers.joblib(double, N)


@WORKLOAD.peer("tf.data", "thread", "tensorflow-cpu")
def tf_data() -> Any:
    return peers.tf_data(double, N, "int64")


@WORKLOAD.peer("Ray multiprocessing.Pool.imap, chunks of 64", package="ray")
def ray() -> Any:
    return peers.ray(double, N, chunksize=64)
