"""A random generator for each item: what does it cost, and do items depend on it alone?"""

import random
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from benchmarks.workload import Figure, Target, Workload

N = 50_000
SHUFFLED = random.Random(0).sample(range(N), N)  # noqa: S311 -- no secret
SEED = 7

Reading = Callable[[Sequence[int]], Sequence[float]]


def measure(read: Reading) -> dict[str, float]:
    read(SHUFFLED[:1000])  # a warm-up
    began = perf_counter()
    values = read(range(N))
    seconds = perf_counter() - began
    if [values[i] for i in SHUFFLED] != list(read(SHUFFLED)):
        message = "items differ when they are read in another order"
        raise AssertionError(message)
    if len(set(values)) != N:
        message = "items have drawn the same numbers"
        raise AssertionError(message)
    return {"microseconds": 1e6 * seconds / N}


WORKLOAD = Workload(
    title="A generator for each item",
    text=(
        "A function that draws one number for an item, from a generator that depends on a seed and "
        "the position of the item alone. Checked: all numbers differ, and they are the same in "
        "another order of reading. The time is that of one item in order, in one thread, with the "
        "call and the draw. The limit calls the function with one generator for all, and cannot "
        "be read in another order."
    ),
    figures=(Figure("microseconds", "µs an item"),),
    measure=measure,
    targets=(
        Target("smap, rng=", "≤ 2.5 µs an item", at_most=2.5),
        Target("smap, rng=, batches", "≤ 2.5 µs an item", at_most=2.5),
    ),
)


def draw(item: int, rng: Any) -> float:
    del item
    return rng.random()  # type: ignore[no-any-return]


@WORKLOAD.contestant("limit, one generator", "limit", "inline")
def limit() -> Any:
    from numpy.random import default_rng

    rng = default_rng(SEED)
    began = perf_counter()
    for i in range(N):
        draw(i, rng)
    return {"microseconds": 1e6 * (perf_counter() - began) / N}


@WORKLOAD.ours("smap, rng=", "inline")
def iterated() -> Reading:
    import seqtools

    drawn = seqtools.smap(draw, range(N), rng=SEED)
    return lambda indices: list(seqtools.gather(drawn, indices))


@WORKLOAD.ours("smap, rng=, batches", "inline")
def batches() -> Reading:
    import seqtools

    drawn = seqtools.smap(draw, range(N), rng=SEED)

    def read(indices: Sequence[int]) -> list[float]:
        parts = seqtools.batch(seqtools.gather(drawn, indices), 256)
        return [value for part in parts for value in part]

    return read


@WORKLOAD.ours("smap, seed=, of global generators", "inline")
def of_global_generators() -> Reading:
    import seqtools

    drawn = seqtools.smap(lambda _: random.random(), range(N), seed=SEED)  # noqa: S311 -- no secret
    return lambda indices: list(seqtools.gather(drawn, indices))


@WORKLOAD.peer("numpy, default_rng((seed, i))", "inline", "numpy")
def default_rng() -> Reading:
    from numpy.random import default_rng

    return lambda indices: [draw(i, default_rng((SEED, i))) for i in indices]


@WORKLOAD.peer("numpy, Philox(key=seed, counter=i)", "inline", "numpy")
def philox() -> Reading:
    from numpy.random import Generator, Philox

    def read(indices: Sequence[int]) -> list[float]:
        return [draw(i, Generator(Philox(key=SEED, counter=i << 192))) for i in indices]

    return read


@WORKLOAD.peer("Grain, random_map", "inline", "grain")
def grain() -> Reading:
    from grain import MapDataset

    drawn = MapDataset.range(N).seed(SEED).random_map(draw)
    return lambda indices: [drawn[i] for i in indices]
