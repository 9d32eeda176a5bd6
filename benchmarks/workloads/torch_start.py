"""How long a program that uses torch waits for the first batch of its prefetches."""

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import seqtools
from benchmarks.clock import WrongValueError
from benchmarks.workload import Figure, Target, Workload

ITEMS, BATCH = 1000, 10
AHEAD = 2.0  # seconds for which a program prepares something else, such as its model

Make = Callable[[], Iterable[Any]]


def measure(given: tuple[Make, float]) -> dict[str, float]:
    """Return the seconds that a reader waits for a first batch, the first time and the second.

    Args:
        given: What makes something to be read, and the seconds that pass until it is read.
    """
    import torch

    assert torch
    make, ahead = given
    return {name: _first(make, ahead) for name in ("first", "second")}


def _first(make: Make, ahead: float) -> float:
    begin = time.perf_counter()
    source = make()
    time.sleep(ahead)
    batches = iter(source)
    found = [next(batches)]
    seconds = time.perf_counter() - begin - ahead
    found += batches
    expected = [[2 * x for x in range(i, i + BATCH)] for i in range(0, ITEMS, BATCH)]
    if [[int(x) for x in batch] for batch in found] != expected:
        raise WrongValueError(f"got {len(found)} batches that differ from those expected")
    return seconds


def double(x: int) -> Any:
    """Return a tensor, as most functions for training do."""
    import torch

    return torch.tensor(2 * x)


class Doubled:
    """The same for a DataLoader, which needs no more than that."""

    def __len__(self) -> int:
        return ITEMS

    def __getitem__(self, i: int) -> Any:
        return double(i)


def _ours() -> Iterable[Any]:
    items = seqtools.smap(double, range(ITEMS))
    return seqtools.prefetch(seqtools.batch(items, BATCH), 2, "process")


def _data_loader(context: str) -> Iterable[Any]:
    from torch.utils.data import DataLoader

    options: Any = {"num_workers": 2, "multiprocessing_context": context}
    loader: Any = DataLoader(Doubled(), batch_size=BATCH, collate_fn=list, **options)  # type: ignore[arg-type,unused-ignore]
    return loader  # type: ignore[no-any-return,unused-ignore]


WORKLOAD = Workload(
    title="Start with torch imported",
    text=(
        "A program that has imported torch reads a thousand tensors in batches of 10 from two "
        "workers, twice, each time by a new prefetch or DataLoader: seconds from when that is made "
        'to its first batch. "Made before" means that it is made 2 s before it is read, which '
        "are not counted. All values are compared after that."
    ),
    figures=(Figure("first", "s to the first batch"), Figure("second", "s, the second time")),
    measure=measure,
    targets=(
        Target("processes", "second prefetch ≤ 0.3 s", at_most=0.3, figure="second"),
        Target("processes, made before", "made 2 s before ≤ 0.3 s", at_most=0.3),
    ),
)
WORKLOAD.ours("processes")(lambda: (_ours, 0.0))
WORKLOAD.ours("processes, made before")(lambda: (_ours, AHEAD))
for name in ("fork", "forkserver", "spawn"):
    WORKLOAD.peer(f"torch DataLoader, {name}", package="torch")(
        partial(lambda name: (partial(_data_loader, name), 0.0), name)
    )
