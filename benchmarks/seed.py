"""The seed's pipeline, as written, by every way of reading it that we have.

    make bench WORKLOAD=seed

Ten files that take half a second each to load, 1,810 items that take 5 ms of processor
time each, in batches of 64. Contestants take turns, every result is checked, and medians
are printed relative to the sequential read, beside the limit on two cores: the first
file is waited for, then two cores do nothing but compute.
"""

import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import seqtools

FILES = [f"file{k}" for k in range(1, 11)]
ITEMS = list(range(200)) * 9 + list(range(10))
EXPECTED = [ITEMS[i : i + 64] for i in range(0, len(ITEMS), 64)]
LIMIT = (0.5 + len(ITEMS) * 0.005 / 2) / (10 * 0.5 + len(ITEMS) * 0.005)


def load(name: str) -> list[int]:
    time.sleep(0.5)
    return list(range(10) if name == "file10" else range(200))


def preprocess(x: int) -> int:
    begin = time.thread_time()
    while time.thread_time() - begin < 0.005:
        pass
    return x


def pipeline(loaded: Any = None) -> Any:
    loaded = seqtools.add_cache(seqtools.smap(load, FILES) if loaded is None else loaded, 2)
    samples = seqtools.unbatch(loaded, 200, 10)
    return seqtools.batch(seqtools.smap(preprocess, samples), 64, collate_fn=list)


def prefetched(source: Any = None, **options: Any) -> list[Any]:
    batches = pipeline(source)
    with seqtools.prefetch(batches, max_cached=100, nworkers=2, **options) as p:
        return list(p)


def sequential() -> list[Any]:
    return list(pipeline())


def processes() -> list[Any]:
    return prefetched(method="process")


def processes_without_hints() -> list[Any]:
    return prefetched(method="process", readahead=False)


def processes_with_an_inner_prefetch() -> list[Any]:
    loaded = seqtools.prefetch(seqtools.smap(load, FILES), nworkers=1, max_cached=2)
    return prefetched(loaded, method="process")


def threads() -> list[Any]:
    return prefetched(method="thread")


def threads_without_hints() -> list[Any]:
    return prefetched(method="thread", readahead=False)


batches_of_a_worker: Any = None


def _begin() -> None:
    global batches_of_a_worker  # noqa: PLW0603 -- how an executor gives state to a worker
    batches_of_a_worker = pipeline()


def _one(i: int) -> Any:
    return batches_of_a_worker[i]


def executor_map() -> list[Any]:
    with ProcessPoolExecutor(2, initializer=_begin) as pool:
        return list(pool.map(_one, range(len(EXPECTED))))


CONTESTANTS: list[Callable[[], list[Any]]] = [
    sequential,
    processes,
    processes_without_hints,
    processes_with_an_inner_prefetch,
    executor_map,
    threads,
    threads_without_hints,
]


def main(rounds: int) -> None:
    seconds: dict[str, list[float]] = {contestant.__name__: [] for contestant in CONTESTANTS}
    for _ in range(rounds):
        for contestant in CONTESTANTS:
            begin = time.perf_counter()
            result = contestant()
            seconds[contestant.__name__].append(time.perf_counter() - begin)
            assert result == EXPECTED, contestant.__name__
    base = statistics.median(seconds["sequential"])
    print(f"{'limit on two cores':<34} {LIMIT:.3f}")
    for name, times in seconds.items():
        low, middle, high = min(times), statistics.median(times), max(times)
        spread = f"({low / base:.3f} to {high / base:.3f})"
        print(f"{name.replace('_', ' '):<34} {middle / base:.3f} {spread}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
