"""Texts of different lengths packed into rows: how full are the rows, and how long does it take?"""

from collections.abc import Callable, Iterable, Sized
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.clock import WrongValueError
from benchmarks.workload import Figure, Target, Workload

N, FEW, CAPACITY = 1_000_000, 20_000, 2048

Packing = tuple[int, Callable[[], Iterable[Any]]]
"""The number of items, and what packs them: it returns the lengths of the items of each pack."""


def lengths(n: int) -> Any:
    """Return the lengths of `n` texts, of which many are short and some as long as a row."""
    drawn = np.random.default_rng(0).lognormal(5.5, 1.0, n)
    return drawn.astype(np.int64).clip(8, CAPACITY)


def measure(packing: Packing) -> dict[str, float]:
    """Time one packing, and check that every item is in one pack, and no pack is too long."""
    n, pack = packing
    begin = perf_counter()
    made = pack()
    known = perf_counter() - begin
    packs = list(made)
    seconds = perf_counter() - begin
    if not isinstance(made, Sized):
        known = seconds
    found = np.sort(np.concatenate(packs))
    sums = np.fromiter(map(sum, packs), np.int64, len(packs))
    if not np.array_equal(found, np.sort(lengths(n))) or sums.max() > CAPACITY:
        message = "items are missing, or a pack is too long"
        raise WrongValueError(message)
    return {
        "density": 100 * float(sums.sum()) / (len(packs) * CAPACITY),
        "known": 1e6 * known / n,
        "read": 1e6 * seconds / n,
    }


WORKLOAD = Workload(
    title="Packing",
    text=(
        f"Texts with log-normal lengths from 8 to {CAPACITY:,} tokens, put into rows of "
        f"{CAPACITY:,} tokens, of which no text is cut. The density is how much of the rows is "
        f"tokens. Ours packs a million lengths; the others, and ours a second time, {FEW:,}, "
        "because the density hardly depends on the number. Grain packs a stream, with a fixed "
        "number of open rows, and copies tokens meanwhile. The others have lengths alone, and "
        "the number of rows is known before the first one is read. It is checked that every "
        "item is in one row, and that no row is too long."
    ),
    figures=(
        Figure("density", "% of rows are tokens", higher=True),
        Figure("known", "µs an item until the number of rows is known"),
        Figure("read", "µs an item until all rows are read"),
    ),
    measure=measure,
    targets=(
        Target("pack", "≥ best other density", at_least=1.0, of="best other"),
        Target("pack", "≤ 1 µs an item, so a million in a second", at_most=1.0, figure="known"),
    ),
    timeout=600.0,
)


def ours(n: int) -> Packing:
    import seqtools

    given = lengths(n)

    return n, lambda: seqtools.pack(given, CAPACITY, given, collate_fn=np.asarray)


@WORKLOAD.ours("pack", "inline")
def million() -> Packing:
    return ours(N)


@WORKLOAD.ours("pack, few", "inline")
def few() -> Packing:
    return ours(FEW)


@WORKLOAD.contestant("first fit decreasing, textbook", "base", "inline")
def textbook() -> Packing:
    given = lengths(FEW)

    def pack() -> Iterable[Any]:
        rooms: list[int] = []
        packs: list[list[int]] = []
        for length in sorted(given.tolist(), reverse=True):
            k = next((k for k, room in enumerate(rooms) if room >= length), None)
            if k is None:
                k = len(rooms)
                rooms.append(CAPACITY)
                packs.append([])
            rooms[k] -= length
            packs[k].append(length)
        return packs

    return FEW, pack


def grain(name: str, bins: int) -> Packing:
    from grain import MapDataset, experimental

    given = lengths(FEW)
    texts = [{"tokens": np.ones(n, np.int32)} for n in given.tolist()]
    packed = getattr(experimental, name)

    def pack() -> Iterable[Any]:
        source = MapDataset.source(texts).to_iter_dataset()
        rows = packed(
            source,
            length_struct={"tokens": CAPACITY},
            num_packing_bins=bins,
            shuffle_bins=False,
        )
        for row in rows:
            found = np.bincount(row["tokens_segment_ids"])[1:]
            if len(found):  # the last rows may be empty
                yield found

    return FEW, pack


@WORKLOAD.peer("Grain, first fit, 50 rows open", "inline", "grain")
def first_fit() -> Packing:
    return grain("FirstFitPackIterDataset", 50)


@WORKLOAD.peer("Grain, best fit, 50 rows open", "inline", "grain")
def best_fit() -> Packing:
    return grain("BestFitPackIterDataset", 50)


@WORKLOAD.peer("Grain, best fit, 500 rows open", "inline", "grain")
def best_fit_with_many() -> Packing:
    return grain("BestFitPackIterDataset", 500)
