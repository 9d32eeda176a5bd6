"""How long it takes to go on at 90 % of a long run."""

import pickle
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from benchmarks.clock import WrongValueError
from benchmarks.workload import Figure, Target, Workload

BATCH, BATCHES = 32, 100_000
ITEMS = BATCH * BATCHES
POSITION = BATCHES * 9 // 10
REPEATS = 3


class Resuming(NamedTuple):
    """A run that was left, and how another one goes on."""

    state: Any
    """What was saved at `POSITION`."""
    expected: list[int]
    """The batch there."""
    go_on: Callable[[Any], tuple[Any, Any]]
    """Returns the next batch, and what must be kept until the clock has stopped."""


def value(i: int) -> int:
    return 3 * i + 1


def measure(resuming: Resuming) -> dict[str, float]:
    """Return the milliseconds from nothing to the next batch, the best of some, and bytes."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        batch, kept = resuming.go_on(resuming.state)
        times.append(time.perf_counter() - begin)
        if [int(x) for x in batch] != resuming.expected:
            raise WrongValueError(f"got {batch}, expected {resuming.expected}")
        del kept
    return {"resume": 1e3 * min(times), "state": len(pickle.dumps(resuming.state))}


def _left(make: Callable[[], Any]) -> tuple[Any, list[int]]:
    """Return the state of an iterator at `POSITION`, and the batch that it reads next."""
    iterator: Any = iter(make())
    next(islice(iterator, POSITION - 1, None))
    state = iterator.state_dict()
    return state, [int(x) for x in next(iterator)]


# ------------------------------------------------------------------------------------------ ours


def _run() -> Any:
    import seqtools

    shuffled = seqtools.shuffle(range(ITEMS), seed=7)
    return seqtools.batch(seqtools.smap(value, shuffled), BATCH)


def _prefetched() -> Any:
    import seqtools

    return seqtools.prefetch(_run(), 2, "process")


def _loaded(make: Callable[[], Any]) -> Callable[[Any], tuple[Any, Any]]:
    def go_on(state: Any) -> tuple[Any, Any]:
        iterator: Any = iter(make())
        iterator.load_state_dict(state)
        return next(iterator), iterator

    return go_on


WORKLOAD = Workload(
    title="Resume at 90 % of a run",
    text=(
        f"A run of {BATCHES:,} batches of {BATCH} numbers in random order (for one peer also in "
        f"order) was left after {POSITION:,} batches. Milliseconds in which another run, in the "
        "same process, is made, goes on and has the next batch, which is compared; the best of "
        "three. With two processes, their start is included. The state is what was saved, "
        "pickled. Grain's was not read up to there, which would take a minute: its state is one "
        "number, which was set."
    ),
    figures=(Figure("resume", "ms to the next batch"), Figure("state", "bytes of state")),
    measure=measure,
    targets=(
        Target(
            "state_dict",
            "≤ 0.01 × torch, the order as random",
            at_most=0.01,
            of="torch StatefulDataLoader",
        ),
        Target("state_dict", "state < 200 bytes", at_most=200, figure="state"),
    ),
)


@WORKLOAD.ours("state_dict", "inline")
def state_dict() -> Resuming:
    return Resuming(*_left(_run), _loaded(_run))


@WORKLOAD.ours("run[k:]", "inline")
def sliced() -> Resuming:
    _, expected = _left(_run)

    def go_on(k: int) -> tuple[Any, Any]:
        iterator: Iterator[Any] = iter(_run()[k:])
        return next(iterator), iterator

    return Resuming(POSITION, expected, go_on)


@WORKLOAD.ours("2 processes")
def processes() -> Resuming:
    return Resuming(*_left(_run), _loaded(_prefetched))


# ----------------------------------------------------------------------------------------- peers


class Numbers:
    def __len__(self) -> int:
        return ITEMS

    def __getitem__(self, i: int) -> int:
        return value(i)


def _stateful(*, shuffle: bool, nworkers: int) -> Resuming:
    import torch
    from torchdata.stateful_dataloader import StatefulDataLoader

    def make() -> Any:
        return StatefulDataLoader(
            Numbers(),  # type: ignore[arg-type,unused-ignore]
            batch_size=BATCH,
            shuffle=shuffle,
            collate_fn=list,
            num_workers=nworkers,
            generator=torch.Generator().manual_seed(7),
        )

    loader = make()
    iterator = iter(loader)
    next(islice(iterator, POSITION - 1, None))
    state = loader.state_dict()

    def go_on(state: Any) -> tuple[Any, Any]:
        loader = make()
        loader.load_state_dict(state)
        iterator = iter(loader)
        return next(iterator), iterator

    return Resuming(state, next(iterator), go_on)


@WORKLOAD.peer("torch StatefulDataLoader", "inline", "torchdata")
def torch_shuffled() -> Resuming:
    return _stateful(shuffle=True, nworkers=0)


@WORKLOAD.peer("torch StatefulDataLoader, in order", "inline", "torchdata")
def torch_in_order() -> Resuming:
    return _stateful(shuffle=False, nworkers=0)


@WORKLOAD.peer("torch StatefulDataLoader, 2 processes", package="torchdata")
def torch_processes() -> Resuming:
    return _stateful(shuffle=True, nworkers=2)


@WORKLOAD.peer("Grain", "inline", "grain")
def grain_iterator() -> Resuming:
    import grain

    def make() -> Any:
        shuffled = grain.MapDataset.range(ITEMS).shuffle(seed=7).map(value)
        return shuffled.batch(BATCH, batch_fn=list)

    options = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    few = iter(make().to_iter_dataset(options))
    next(islice(few, 9, None))
    state = few.get_state()
    if state != {"next_index": 10}:
        raise RuntimeError(f"the state of Grain is no longer an index: {state}")

    def go_on(state: Any) -> tuple[Any, Any]:
        iterator = iter(make().to_iter_dataset(options))
        iterator.set_state(state)
        return next(iterator), iterator

    return Resuming({"next_index": POSITION}, [int(x) for x in make()[POSITION]], go_on)
