"""Reads two epochs, the second as the profile of the first advises, and prints how they compare."""

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import seqtools
from seqtools import instrument
from seqtools.demo.pipeline import WINDOW, Codes, build
from seqtools.instrument.quantities import counted_as, duration, volume
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
_NEAR = 1.3
"""Ratio of the measured time to the estimated one up to which an advice holds. Arbitrary."""
_OTHERS = 0.3
"""Cores that other programs may use without a mention."""


def show(
    folder: str, files: Sequence[str], latency: float, workers: dict[str, Any], output: str
) -> int:
    """Read `files` inline and by workers, print the results, and return the exit status.

    Args:
        folder: Where the files are.
        files: Their paths.
        latency: Seconds until each arrives.
        workers: Arguments for `prefetch`; if empty, the profile of the inline epoch chooses them.
        output: The folder that receives a report and a trace of the second epoch.
    """
    size = _read_once(files)
    print("source files -> tokens -> windows of integers -> minibatches\n")
    wait = f", each after {duration(latency)}, as from a store in a network" if latency else ""
    _row("files", f"{len(files)}, {volume(size)}, from {folder}{wait}")
    batches = build(files, latency)
    with instrument.profile(batches) as profile:
        inline = read(batches, "inline")
    before = profile.snapshot()
    _row_of_epoch("inline", inline, size)
    print(f"\n{profile.verdict()}\n")
    number, advice = next(
        ((k, a) for k, a in enumerate(before["advice"], 1) if a["arguments"]), (0, None)
    )
    if workers:
        advice, reason = None, "as you wish"
    elif advice is not None:
        workers, reason = {"method": "thread", **advice["arguments"]}, f"following {number}."
    else:
        workers, reason = (
            {"nworkers": 2, "method": "process"},
            "no workers are advised, so for comparison",
        )
    nworkers, method = workers["nworkers"], workers["method"]
    print(f"{reason}: prefetch(batches, nworkers={nworkers}, method={method!r})\n", flush=True)
    singular, plural = _TITLES.get(method, ("worker", "workers"))
    title = counted_as(nworkers, singular, plural)
    with seqtools.prefetch(batches, **workers) as ahead:
        with instrument.profile(ahead) as profile:
            parallel = read(ahead, title)
        stages = repr(ahead)
    after = profile.snapshot()
    _row_of_epoch(title, parallel, size)
    equal = inline.equals(parallel)
    _row("equal", "yes, every value, in the same order" if equal else "NO: this is a bug")
    arrived = [batch for batch in parallel.batches if batch is not None]
    items, size = sum(map(len, arrived)), sum(batch.nbytes for batch in arrived)
    _row("items", f"{counted_as(items, 'window')} of {WINDOW} tokens, {volume(size)}")
    print("pipeline", *(f"  {line}" for line in stages.splitlines()), sep="\n")
    for error in parallel.errors[:1]:
        failed = counted_as(len(parallel.errors), "batch", "batches")
        print(f"\n{failed} failed, and the loop went on; the first error:\n{error}\n")
    report, trace = outputs(output)
    profile.to_html(report)
    profile.to_trace(trace)
    _row("report", f"{report}, for any browser")
    _row("trace", f"{trace}, for https://ui.perfetto.dev")
    gain, cores = inline.seconds / parallel.seconds, counted_as(usable_cores(), "core")
    _row("speed-up", f"{gain:.2f} times on {cores}, start of workers included")
    if advice is not None:
        _row("advice", outcome(before, advice, after))
    return 0 if equal else 1


def outputs(folder: str) -> tuple[str, str]:
    """Return the paths of the report and the trace in `folder`."""
    return os.path.join(folder, "report.html"), os.path.join(folder, "trace.json")


def outcome(before: dict[str, Any], advice: dict[str, Any], after: dict[str, Any]) -> str:
    """Return in words whether an advice holds.

    Args:
        before: The snapshot of the profile that gave the advice.
        advice: One of its advice, which was followed.
        after: The snapshot of the profile with the change.
    """
    measured = after["start_seconds"] + after["seconds"]
    earlier = before["start_seconds"] + before["seconds"]
    if advice["seconds"] is None:
        return f"not estimated, as it was short: {duration(earlier)}, measured {duration(measured)}"
    start = before["start_seconds"] if advice["start"] is None else advice["start"]
    estimated = start + advice["seconds"]
    if measured <= _NEAR * estimated:
        found = "it holds"
    else:
        found = "it helps, but less" if measured < earlier else "it does NOT hold"
        if after["cores_of_others"] > _OTHERS:
            found += f"; other programs computed on {after['cores_of_others']:.1f} cores meanwhile"
    took = f"estimated {duration(estimated)} instead of {duration(earlier)}"
    return f"{took}, measured {duration(measured)}: {found}"


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
