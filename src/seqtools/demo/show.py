"""Reads two epochs and prints how they compare."""

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

import seqtools
from seqtools import instrument
from seqtools.demo.pipeline import WINDOW, Codes, build
from seqtools.instrument.quantities import counted_as, volume
from seqtools.prefetching.cores import usable_cores


@dataclass
class Epoch:
    """The result of reading all batches once."""

    batches: list[Codes | None] = field(default_factory=list)
    """In order; `None` for a batch that failed."""
    errors: list[seqtools.EvaluationError] = field(default_factory=list)
    seconds: float = 0.0

    def equals(self, other: "Epoch") -> bool:
        """Return whether the `other` epoch has equal batches, and failures at the same places."""
        return all(
            a is b if a is None or b is None else np.array_equal(a, b)
            for a, b in zip(self.batches, other.batches, strict=True)
        )


def read(batches: seqtools.LazySequence[Codes], title: str) -> Epoch:
    """Return all `batches`, with a progress bar on a terminal."""
    epoch = Epoch()
    began = time.perf_counter()
    reader = iter(instrument.progress(batches, desc=title, unit="batch", leave=False))
    while True:
        try:
            epoch.batches.append(next(reader))
        except StopIteration:
            break
        except seqtools.EvaluationError as error:  # the iterator goes on after it
            epoch.batches.append(None)
            epoch.errors.append(error)
    epoch.seconds = time.perf_counter() - began
    return epoch


_TITLES = {"process": ("process", "processes"), "thread": ("thread", "threads")}
"""What workers are called, by the method, where it is not the name of a cluster."""


def show(folder: str, files: Sequence[str], *, workers: int, method: str, output: str) -> int:
    """Read `files` inline and by workers, print the results, and return the exit status.

    The folder `output` receives a report and a trace of the second epoch.
    """
    size = _read_once(files)
    print("source files -> tokens -> windows of integers -> minibatches\n")
    _row("files", f"{len(files)}, {volume(size)}, from {folder}")
    batches = build(files)
    inline = read(batches, "inline")
    _row_of_epoch("inline", inline, size)
    singular, plural = _TITLES.get(method, ("worker", "workers"))
    title = counted_as(workers, singular, plural)
    with seqtools.prefetch(batches, nworkers=workers, method=method) as ahead:
        with instrument.profile(ahead) as measured:
            parallel = read(ahead, title)
        stages = repr(ahead)
    _row_of_epoch(title, parallel, size)
    equal = inline.equals(parallel)
    _row("equal", "yes, every value, in the same order" if equal else "NO: this is a bug")
    gain, cores = inline.seconds / parallel.seconds, counted_as(usable_cores(), "core")
    _row("speed-up", f"{gain:.2f} times on {cores}, start of workers included")
    arrived = [batch for batch in parallel.batches if batch is not None]
    items, size = sum(map(len, arrived)), sum(batch.nbytes for batch in arrived)
    _row("items", f"{counted_as(items, 'window')} of {WINDOW} tokens, {volume(size)}")
    print("pipeline", *(f"  {line}" for line in stages.splitlines()), sep="\n")
    for error in parallel.errors[:1]:
        failed = counted_as(len(parallel.errors), "batch", "batches")
        print(f"\n{failed} failed, and the loop went on; the first error:\n{error}\n")
    report, trace = (os.path.join(output, name) for name in ("report.html", "trace.json"))
    measured.to_html(report)
    measured.to_trace(trace)
    _row("report", f"{report}, for any browser")
    _row("trace", f"{trace}, for https://ui.perfetto.dev")
    print(f"\nThe {title}:\n\n{measured.verdict()}")
    return 0 if equal else 1


def _read_once(files: Sequence[str]) -> int:
    """Return the number of bytes in `files`.

    This also makes the system cache the files, so that not only the first epoch waits for the disk.
    """
    size = 0
    for path in files:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            size += len(file.read())
    return size


def _row(title: str, text: str) -> None:
    print(f"{title:<13}{text}", flush=True)


def _row_of_epoch(title: str, epoch: Epoch, size: int) -> None:
    """Print the speed of an epoch over files of `size` bytes."""
    count = counted_as(len(epoch.batches), "batch", "batches")
    _row(title, f"{count} in {epoch.seconds:.2f} s, {volume(size / epoch.seconds)}/s")
