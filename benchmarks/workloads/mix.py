"""Three data sets in proportions: what does it cost to mix them, and how near are they kept?"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks.clock import SECONDS, WrongValueError
from benchmarks.workload import Figure, Target, Workload

WEIGHTS = [0.7, 0.2, 0.1]
EACH = 10_000_000  # items of a data set, of which data set k has k * EACH, k * EACH + 1, …
TOTAL = 12_000_000
WARMUP = 5_000
CHECKED = 100_000  # items that are looked at afterwards
SIZE = 1_000  # items in a batch
BOUND = 1 - 1 / (2 * len(WEIGHTS) - 2)  # of R. Tijdeman, see `mix`


def measure(batches: Iterable[Any]) -> dict[str, float]:
    """Return the items per second, and the largest distance of a prefix from its shares."""
    import numpy as np

    source = iter(batches)
    kept = [next(source)]
    while sum(map(len, kept)) < WARMUP:
        kept.append(next(source))
    n = 0
    begin = time.perf_counter()
    for batch in source:
        n += len(batch)
        if n < CHECKED:
            kept.append(batch)
        if time.perf_counter() - begin > SECONDS:
            break
    rate = n / (time.perf_counter() - begin)
    items = np.concatenate(kept)
    which, place = np.divmod(items, EACH)
    distance = 0.0
    for k, weight in enumerate(WEIGHTS):
        mine = which == k
        if not np.array_equal(place[mine], np.arange(mine.sum())):
            message = f"data set {k} is not read in order"
            raise WrongValueError(message)
        off = np.cumsum(mine) - weight * np.arange(1, len(items) + 1)
        distance = max(distance, float(np.abs(off).max()))
    return {"rate": rate, "distance": distance}


WORKLOAD = Workload(
    title="Mixing data sets",
    text=(
        "Integers of three data sets, of which 70, 20 and 10 % should be read. The clock covers "
        f"finding out which item comes next, and reading it, in batches of {SIZE:,} or one by "
        "one. The distance is the largest one, over all beginnings of the run, between the number "
        f"of items of a data set and its share; of the first {CHECKED:,} items. Items that numpy "
        "draws at random have no random access: who continues at item i must draw all before."
    ),
    figures=(
        Figure("rate", "million items/s", higher=True, unit=1e6),
        Figure("distance", "largest distance from a share, items"),
    ),
    measure=measure,
    targets=tuple(
        Target(name, f"distance ≤ {BOUND}", at_most=BOUND, figure="distance")
        for name in ("batches", "batches by index", "one by one", "by index")
    ),
)


def ranges() -> list[range]:
    return [range(k * EACH, (k + 1) * EACH) for k in range(len(WEIGHTS))]


def arrays() -> list[Any]:
    import numpy as np

    return [np.arange(k * EACH, (k + 1) * EACH) for k in range(len(WEIGHTS))]


def in_tens(read: Callable[[int], Any]) -> Iterator[list[Any]]:
    """Yield items that are read by index, some at a time, so that the clock is looked at less."""
    for i in range(0, TOTAL, 10):
        yield [read(j) for j in range(i, i + 10)]


@WORKLOAD.contestant("limit, a table of the period", "limit", "inline")
def limit() -> Iterable[Any]:
    """Read from whole batches whose pattern was written down before."""
    import numpy as np

    pattern = np.tile([0, 0, 1, 0, 0, 2, 0, 0, 1, 0], SIZE // 10)
    counts = np.bincount(pattern)
    data = arrays()
    places = [np.flatnonzero(pattern == k) for k in range(len(data))]

    def run() -> Iterator[Any]:
        for b in range(TOTAL // SIZE):
            batch = np.empty(SIZE, np.int64)
            for at, n, of in zip(places, counts.tolist(), data, strict=True):
                batch[at] = of[b * n : (b + 1) * n]
            yield batch

    return run()


@WORKLOAD.ours("batches", "inline")
def batches() -> Iterable[Any]:
    import numpy as np

    import seqtools

    return seqtools.batch(seqtools.mix(arrays(), WEIGHTS)[:TOTAL], SIZE, collate_fn=np.asarray)


@WORKLOAD.ours("batches by index", "inline")
def batches_by_index() -> Iterable[Any]:
    """Read batches by index, as a run does that goes on after an interruption."""
    import numpy as np

    import seqtools

    parts = arrays()
    mixed = seqtools.batch(seqtools.mix(parts, WEIGHTS), SIZE, collate_fn=np.asarray)
    return (mixed[i] for i in range(TOTAL // SIZE))


@WORKLOAD.ours("one by one", "inline")
def one_by_one() -> Iterable[Any]:
    import seqtools

    items = iter(seqtools.mix(ranges(), WEIGHTS))
    return ([next(items) for _ in range(10)] for _ in range(TOTAL // 10))


@WORKLOAD.ours("by index", "inline")
def by_index() -> Iterable[Any]:
    import seqtools

    return in_tens(seqtools.mix(ranges(), WEIGHTS).__getitem__)


@WORKLOAD.peer("Grain, by index", "inline", "grain")
def grain_by_index() -> Iterable[Any]:
    import grain

    data = [grain.MapDataset.source(each) for each in ranges()]
    return in_tens(grain.MapDataset.mix(data, weights=WEIGHTS).__getitem__)


@WORKLOAD.peer("numpy, choice", "inline", "numpy")
def choice() -> Iterable[Any]:
    import numpy as np

    rng = np.random.default_rng(0)
    data = arrays()

    def run() -> Iterator[Any]:
        done = [0] * len(data)
        for _ in range(TOTAL // SIZE):
            which = rng.choice(len(data), SIZE, p=WEIGHTS)
            batch = np.empty(SIZE, np.int64)
            for k, of in enumerate(data):
                at = np.flatnonzero(which == k)
                batch[at] = of[done[k] : done[k] + len(at)]
                done[k] += len(at)
            yield batch

    return run()
