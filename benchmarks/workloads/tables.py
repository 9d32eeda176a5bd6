"""Filtering and flattening a million items: the scan, opening a kept table, items at random."""

import os
import random
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from benchmarks import rounds
from benchmarks.clock import WrongValueError
from benchmarks.workload import Figure, Target, Workload

N, INNER = 1_000_000, 4
PLACES = random.Random(0).sample(range(N // 4), 50_000)  # noqa: S311 -- no secret


class Job(NamedTuple):
    """What is measured of a contestant."""

    make: Callable[[], Sequence[Any]]
    """Returns the sequence, of which the length is read: this makes the table."""
    again: Callable[[], Sequence[Any]] | None
    """Returns it as another process would, with the table that was kept."""
    expected: Callable[[int], int]
    """Returns the item that should be at a place."""


def measure(job: Job) -> dict[str, float]:
    """Time the scan, the second opening, and single items at random, each of which is checked."""
    begin = perf_counter()
    items = job.make()
    n = len(items)
    scan = perf_counter() - begin
    begin = perf_counter()
    if job.again is not None:
        items = job.again()
        if len(items) != n:
            raise WrongValueError("the table that was kept has another length")
    opened = perf_counter() - begin
    begin = perf_counter()
    found = [items[i] for i in PLACES]
    single = perf_counter() - begin
    if found != [job.expected(i) for i in PLACES]:
        raise WrongValueError("there are other items than those that should be there")
    return {
        "scan": 1e6 * scan / N,
        "again": 1e3 * opened,
        "single": 1e6 * single / len(PLACES),
    }


WORKLOAD = Workload(
    title="Filter and flatten",
    text=(
        "A million integers, of which every third one is kept; and a quarter of a million lists of "
        "four integers, one behind the other. The scan calls a Python function for each item, and "
        "ours keeps its table in a file. Again: the time until another "
        "pipeline with that file knows its length, without a scan. Singly: items at random places. "
        "By hand is a list of indices, and nothing is kept."
    ),
    figures=(
        Figure("scan", "µs an item, scan"),
        Figure("again", "ms, opened again"),
        Figure("single", "µs an item, singly"),
    ),
    measure=measure,
    prepare=lambda: None,  # there is a folder, for tables
    targets=(
        Target("sfilter", "≤ 10 ms opened again", at_most=10, figure="again"),
        Target("sfilter", "≤ 1 µs an item singly", at_most=1, figure="single"),
        Target("flatten", "≤ 3 µs an item singly", at_most=3, figure="single"),
    ),
)


def third(x: int) -> bool:
    """Return whether an item is kept."""
    return x % 3 == 0


def row(k: int) -> list[int]:
    """Return an inner list."""
    return list(range(INNER * k, INNER * k + INNER))


def kept(make: Callable[..., Any], expected: Callable[[int], int], **options: Any) -> Job:
    """Return the job of a function of ours that is given the path of a table."""
    path = os.path.join(rounds.folder(), f"table-{os.getpid()}.npy")
    return Job(
        lambda: make(table=path, progress=False, **options),
        lambda: make(table=path, progress=False),
        expected,
    )


def filtered(**options: Any) -> Any:
    import seqtools

    return seqtools.sfilter(third, range(N), **options)


def flat(**options: Any) -> Any:
    import seqtools

    return seqtools.flatten(seqtools.smap(row, range(N // INNER)), **options)


def times_three(i: int) -> int:
    return 3 * i


def same(i: int) -> int:
    return i


@WORKLOAD.ours("sfilter", "inline")
def inline() -> Job:
    return kept(filtered, times_three)


@WORKLOAD.ours("sfilter, 2 workers")
def workers() -> Job:
    return kept(filtered, times_three, nworkers=2, method="process")


@WORKLOAD.ours("flatten", "inline")
def flatten() -> Job:
    return kept(flat, same)


@WORKLOAD.ours("flatten, 2 workers")
def flatten_workers() -> Job:
    return kept(flat, same, nworkers=2, method="process")


@WORKLOAD.contestant("by hand, filter", "base", "inline")
def by_hand() -> Job:
    source = range(N)

    class Kept(Sequence[int]):
        def __init__(self) -> None:
            self.indices = np.flatnonzero(np.fromiter(map(third, source), bool, N)).tolist()

        def __len__(self) -> int:
            return len(self.indices)

        def __getitem__(self, i: Any) -> Any:
            return source[self.indices[i]]

    return Job(Kept, None, times_three)


@WORKLOAD.peer("Grain, filter", "inline", "grain")
def grain() -> Job:
    from grain import MapDataset

    class Filtered(Sequence[int]):
        """The items at the places that are asked for; a filter of Grain leaves gaps."""

        def __init__(self) -> None:
            self.filtered = MapDataset.range(N).filter(third)

        def __len__(self) -> int:
            return sum(self.filtered[i] is not None for i in range(N))

        def __getitem__(self, i: Any) -> Any:
            return self.filtered[3 * i]

    return Job(Filtered, None, times_three)


@WORKLOAD.peer("Hugging Face datasets, filter", "inline", "datasets")
def datasets() -> Job:
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    table = Dataset.from_dict({"x": np.arange(N)})

    class Filtered(Sequence[int]):
        def __init__(self) -> None:
            self.filtered = table.filter(lambda x: x % 3 == 0, input_columns="x")

        def __len__(self) -> int:
            return len(self.filtered)

        def __getitem__(self, i: Any) -> Any:
            return self.filtered[i]["x"]

    return Job(Filtered, None, times_three)
