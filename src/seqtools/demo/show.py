"""What the demo prints: two epochs, compared."""

import contextlib
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

import seqtools
from seqtools import instrument
from seqtools.demo.files import write_broken
from seqtools.demo.layout import below, counted, row, volume
from seqtools.demo.pipeline import WINDOW, Codes, build
from seqtools.prefetching.cores import usable_cores


@dataclass
class Epoch:
    """What one reading of all batches gave."""

    batches: list[Codes | None] = field(default_factory=list)
    """In order, `None` for one that failed."""
    errors: list[seqtools.EvaluationError] = field(default_factory=list)
    seconds: float = 0.0

    def same(self, other: "Epoch") -> bool:
        """Return whether the `other` epoch has equal batches, and failed alike."""
        mine, theirs = (
            [(error.path[-1:], str(error.__cause__)) for error in epoch.errors]
            for epoch in (self, other)
        )
        return mine == theirs and all(
            a is b if a is None or b is None else np.array_equal(a, b)
            for a, b in zip(self.batches, other.batches, strict=True)
        )


def read(batches: seqtools.LazySequence[Codes], title: str) -> Epoch:
    """Return all `batches`, with a progress bar if someone is watching."""
    epoch = Epoch()
    began = time.perf_counter()
    reader = iter(instrument.progress(batches, desc=title, unit="batch", leave=False))
    while True:
        try:
            epoch.batches.append(next(reader))
        except StopIteration:
            break
        except seqtools.EvaluationError as error:  # the reader goes on behind it
            epoch.batches.append(None)
            epoch.errors.append(error)
    epoch.seconds = time.perf_counter() - began
    return epoch


def show(folder: str, files: Sequence[str], *, workers: int, with_broken: bool, output: str) -> int:
    """Read `files` inline and by processes, print how that went, and return the exit status.

    A report and a trace of the second reading are written into the folder `output`.
    """
    with contextlib.ExitStack() as held:
        image = None
        if with_broken:
            place = held.enter_context(tempfile.TemporaryDirectory(prefix="seqtools-demo-"))
            image = write_broken(place, files[0])
            middle = len(files) // 2
            files = [*files[:middle], image, *files[middle:]]
        size = _read_once(files)
        print("source files -> tokens -> windows of integers -> minibatches\n")
        row("files", f"{len(files)}, {volume(size)}, from {folder}")
        if image is not None:
            row("of these", f"one is an image, named {image}")

        batches = build(files)
        inline = read(batches, "inline")
        row_of_epoch("inline", inline, size)

        ahead = held.enter_context(seqtools.prefetch(batches, nworkers=workers, method="process"))
        title = counted(workers, "process", "processes")
        with instrument.profile(ahead) as measured:
            parallel = read(ahead, title)
        row_of_epoch(title, parallel, size)

    equal = inline.same(parallel)
    row("equal", "yes, every value, in the same order" if equal else "NO: this is a bug")
    row_of_gain(inline.seconds / parallel.seconds)
    arrived = [batch for batch in parallel.batches if batch is not None]
    items, size = sum(map(len, arrived)), sum(batch.nbytes for batch in arrived)
    row("items", f"{counted(items, 'window')} of {WINDOW} tokens, {volume(size)}")
    below("pipeline", repr(ahead))
    if parallel.errors:
        explain(parallel, len(arrived), files)
    report, trace = (os.path.join(output, name) for name in ("report.html", "trace.json"))
    measured.to_html(report)
    measured.to_trace(trace)
    row("report", f"{report}, for any browser")
    row("trace", f"{trace}, for https://ui.perfetto.dev")
    print(f"\nThe {title}:\n\n{measured.verdict()}")
    return 0 if equal else 1


def _read_once(files: Sequence[str]) -> int:
    """Return the number of bytes in `files`.

    Afterwards the system has them in memory, so that the epoch that happens to be the
    first is not the only one that waits for the disk.
    """
    size = 0
    for path in files:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            size += len(file.read())
    return size


def row_of_epoch(title: str, epoch: Epoch, size: int) -> None:
    """Print how fast an epoch went through files of `size` bytes."""
    count = counted(len(epoch.batches), "batch", "batches")
    row(title, f"{count} in {epoch.seconds:.2f} s, {volume(size / epoch.seconds)}/s")


def row_of_gain(gain: float) -> None:
    """Print how many times faster the worker processes were."""
    row(
        "speed-up",
        f"{gain:.2f} times on {counted(usable_cores(), 'core')}, start of workers included",
    )
    if gain < 1:
        row("", "(too little work, or cores that are too few or busy)")


def explain(epoch: Epoch, arrived: int, files: Sequence[str]) -> None:
    """Print the first error of an epoch by processes, and how to read it."""
    error = epoch.errors[0]
    print("\nA worker process could not read a file. What the loop over the batches got:\n")
    for line in f"{type(error).__name__}: {error}".splitlines():
        print("  " + line)
    print()
    for failed in error.path[-1:]:
        if failed.stage.startswith("smap"):  # over the files, which no other stage is
            row("file", f"files[{failed.index}] is {files[failed.index]}")
    row("cause", f"error.__cause__ is the {type(error.__cause__).__name__} itself")
    row("after it", f"the loop went on, and got {arrived} of {len(epoch.batches)} batches")
