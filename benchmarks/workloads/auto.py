"""`nworkers="auto"` beside every fixed setting, on items of all kinds."""

import functools
import itertools
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from benchmarks import photographs
from benchmarks.clock import WrongValueError, busy
from benchmarks.rounds import folder
from benchmarks.workload import Figure, Kind, Target, Workload, nothing

N = 10**8  # more than is ever read
WARMUP, WARMUP_OF_AUTO, TIMED = 0.3, 1.2, 0.35  # seconds
FILES, PER_FILE = 10**6, 50
PHOTOGRAPHS = 64


def waits(i: int) -> int:
    time.sleep(0.005)
    return i


def computes(i: int) -> int:
    busy(0.003)
    return i


def does_both(i: int) -> int:
    time.sleep(0.004)
    busy(0.002)
    return i


@functools.cache
def noise() -> bytes:
    return np.random.default_rng(0).integers(0, 64, 1 << 17, np.uint8).tobytes()


def releases(i: int) -> int:
    """Compress: zlib gives the lock of the interpreter away."""
    zlib.compress(noise(), 2)
    return i


def double(i: int) -> int:
    return 2 * i


def doubled(i: int) -> list[int]:
    return [double(x) for x in range(64 * i, 64 * i + 64)]


@functools.cache
def images() -> Any:
    return np.random.default_rng(0).integers(0, 255, (19, 224, 224, 3), np.uint8)


def stack(i: int) -> Any:
    stacked = np.stack([images()[(i + k) % 19] for k in range(16)])
    stacked[0, 0, 0, 0] = i % 250
    return stacked


def objects(i: int) -> list[str]:
    return [str(k) for k in range(i, i + 4000)]


def load(k: int) -> range:
    time.sleep(0.05)
    return range(PER_FILE * k, PER_FILE * k + PER_FILE)


def preprocess(i: int) -> int:
    busy(0.002)
    return i


def photograph(i: int) -> Any:
    from PIL import Image

    with Image.open(f"{folder()}/{i % PHOTOGRAPHS}.jpg") as file:
        small = file.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float32) / 255, i


class Cell(NamedTuple):
    """Items of a kind: how they are made, and what they must be."""

    label: str
    made: Callable[[Any], Any]
    right: Callable[[int, Any], bool] = lambda i, item: bool(item == i)
    pause: float = 0.0  # that the reader makes after each


def mapped(function: Callable[[int], Any]) -> Callable[[Any], Any]:
    return lambda seqtools: seqtools.smap(function, range(N))


def cached(seqtools: Any) -> Any:
    files = seqtools.add_cache(seqtools.smap(load, range(FILES)), 2)
    return seqtools.smap(preprocess, seqtools.unbatch(files, PER_FILE))


CELLS = {
    "waits": Cell("5 ms, waits", mapped(waits)),
    "both": Cell("4 ms waits, 2 ms Python", mapped(does_both)),
    "cached": Cell("2 ms Python, files cached", cached),
    "python": Cell("3 ms Python", mapped(computes)),
    "zlib": Cell("zlib", mapped(releases)),
    "stack": Cell(
        "np.stack, 2.4 MB", mapped(stack), lambda i, item: bool(item[0, 0, 0, 0] == i % 250)
    ),
    "objects": Cell(
        "4,000 strings", mapped(objects), lambda i, item: item[0] == str(i) and len(item) == 4000
    ),
    "batches": Cell(
        "64 trivial", mapped(doubled), lambda i, item: item[0] == 128 * i and len(item) == 64
    ),
    "trivial": Cell("trivial", mapped(double), lambda i, item: bool(item == 2 * i)),
    "consumer": Cell("3 ms Python, reader takes 5 ms", mapped(computes), pause=0.005),
    "jpeg": Cell("JPEG", mapped(photograph), lambda i, item: bool(item[1] == i)),
}


def prepare() -> None:
    photographs.make(folder(), PHOTOGRAPHS)


def rate(items: Iterator[Any], cell: Cell, warmup: float) -> float:
    """Return the items per second at which they are read, after so many seconds."""
    first, _ = _read(items, cell, 0, warmup)
    stop, seconds = _read(items, cell, first, TIMED)
    return (stop - first) / seconds


def _read(items: Iterator[Any], cell: Cell, start: int, seconds: float) -> tuple[int, float]:
    """Return the index after the last item that was read, and how long it took."""
    clock, right, pause = time.perf_counter, cell.right, cell.pause
    begin = clock()
    deadline = begin + seconds
    for i, item in zip(itertools.count(start), items, strict=False):
        if not right(i, item):
            message = f"item {i} of {cell.label!r} is not what it should be"
            raise WrongValueError(message)
        if pause:
            time.sleep(pause)
        if clock() > deadline:
            break
    return i + 1, clock() - begin


def setting(warmup: float, *arguments: Any) -> Callable[[str], float]:
    """Return what measures a figure, with such arguments of `prefetch`."""
    import seqtools

    def measured(name: str) -> float:
        cell = CELLS[name]
        with seqtools.prefetch(cell.made(seqtools), *arguments) as p:
            return rate(iter(p), cell, warmup)

    return measured


WORKLOAD = Workload(
    title='`nworkers="auto"`',
    text=(
        "Items of each kind, read for a third of a second after a warm-up, with the number of "
        "workers left to seqtools and with each that could be given. Items per second; the "
        "target is 0.9 of the best of the fixed settings, of which none is the best everywhere. "
        "Settings that were far from the best in the first round were measured once."
    ),
    figures=tuple(Figure(name, cell.label, higher=True) for name, cell in CELLS.items()),
    measure=nothing,
    separately=True,
    targets=tuple(
        Target("auto", f"≥ 0.9 × best of {cell.label}", at_least=0.9, of="best other", figure=name)
        for name, cell in CELLS.items()
    ),
    prepare=prepare,
)


@WORKLOAD.ours("auto", "thread")
def auto() -> Any:
    return setting(WARMUP_OF_AUTO, "auto")


def _enter(nworkers: int, kind: Kind) -> None:
    workers = {"thread": "threads", "process": "processes"}[kind]
    name = f"{nworkers} {workers if nworkers > 1 else kind}"
    WORKLOAD.contestant(name, "peer", kind)(lambda: setting(WARMUP, nworkers, kind))


for _nworkers in (1, 2, 4, 8, 16, 32):
    _enter(_nworkers, "thread")
for _nworkers in (1, 2):
    _enter(_nworkers, "process")
