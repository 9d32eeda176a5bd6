"""Readers of pipelines, who go on for ever and look at every item."""

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np  # noqa: F401 -- before there are threads, which would all import it at once

import seqtools
from tests.faults.harness import payloads
from tests.faults.harness.reading import Reading
from tests.faults.harness.watching import Diary

KEPT = 40
"""Values that a reader keeps, and looks at again when they are dropped."""


def _same(value: Any) -> Any:
    return value


def _by_processes(make: Any, n: int, **options: Any) -> tuple[Any, Any]:
    pipeline, which = make(n)
    return seqtools.prefetch(pipeline, options.pop("nworkers", 2), "process", **options), which


def _over_threads(n: int) -> tuple[Any, Any]:
    """Return what processes read of threads of theirs."""
    pipeline, which = payloads.numbers(n)
    inner = seqtools.prefetch(pipeline, 2, "thread", max_cached=20)
    return seqtools.prefetch(seqtools.smap(_same, inner), 2, "process"), which


def _under_threads(n: int) -> tuple[Any, Any]:
    """Return what threads read of processes."""
    pipeline, which = payloads.instances(n)
    inner = seqtools.prefetch(pipeline, 2, "process")
    return seqtools.prefetch(seqtools.smap(_same, inner), 2, "thread"), which


def _cached_here(n: int) -> tuple[Any, Any]:
    """Return what is kept of what processes have evaluated."""
    p, which = _by_processes(payloads.arrays, n)
    return seqtools.add_cache(p, 10), which


PIPELINES: dict[str, tuple[Callable[[int], tuple[Any, Any]], int]] = {
    "groups": (partial(_by_processes, payloads.cached), 2000),
    "unordered": (partial(_by_processes, payloads.arrays, nworkers=3, ordered=False), 800),
    "kept": (partial(_by_processes, payloads.collated), 400),
    "blocks": (partial(_by_processes, payloads.numbers), 100_000),
    "spawned": (partial(_by_processes, payloads.large, start_method="spawn"), 100),
    "over threads": (_over_threads, 10_000),
    "under threads": (_under_threads, 10_000),
    "cached here": (_cached_here, 500),
}
"""How to build each, and how many items it has at most."""

_LASTING = {"unordered", "kept", "blocks"}
"""Those that are built once: what an engine does not let go adds up."""


class Reader:
    """Reads a pipeline again and again, in a thread."""

    def __init__(self, name: str, seed: int, diary: Diary, stop: threading.Event) -> None:
        self.name = name
        self.items = self.passes = self.failed = 0
        self.defects: list[str] = []
        self.progress = time.monotonic()
        self._build, self._most = PIPELINES[name]
        self._rng = random.Random(f"{seed} {name}")
        self._diary, self._stop = diary, stop
        self._kept: deque[tuple[int, Any]] = deque()
        self._built: tuple[int, Any, Any] | None = None
        self.thread = threading.Thread(target=self._run, name=f"reader of {name}", daemon=True)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._pass()
                self.passes += 1
        except BaseException as error:  # noqa: BLE001 -- told by who looks at the readers
            self.defects.append(f"ended by {error!r}")
        self._kept.clear()
        self._built = None

    def _pass(self) -> None:
        n, p, which = self._pipeline()
        ordered = self.name != "unordered"
        look = partial(self._look, which) if self.name in {"kept", "unordered"} else which
        reading = Reading(iter(p), look, ordered=ordered)
        stop_at = n if self._rng.random() < 0.7 else self._rng.randrange(n)
        more = True
        while more and reading.count < stop_at and not self._stop.is_set():
            more = reading.read()
            self.progress = time.monotonic()
        if reading.count == n:
            more = reading.read()  # there is none, or it was there before
        self._judge(reading, n if reading.count == n or not more else 0)
        del reading
        if self._built is None and self._rng.random() < 0.5 and hasattr(p, "close"):
            p.close()  # else by the end of the last reference

    def _pipeline(self) -> tuple[int, Any, Any]:
        """Return how many items to read of what, and what says which one a value is."""
        if self._built is not None:
            return self._built
        n = self._rng.randint(self._most // 10, self._most)
        built = (n, *self._build(n))
        if self.name in _LASTING:
            self._built = built
        return built

    def _look(self, which: Callable[[Any], int], value: Any) -> int:
        """Return which item `value` is, and keep it for a while."""
        i = which(value)
        self._kept.append((i, value))
        if len(self._kept) > KEPT:
            before, old = self._kept.popleft()
            if which(old) != before:
                self.defects.append(f"wrong: item {before} is another one after a while")
        return i

    def _judge(self, reading: Reading, n: int) -> None:
        """Note what is wrong with what was read, of which `n` items should be there."""
        self.items += reading.count - len(reading.failed)
        self.failed += len(reading.failed)
        if not n and self.name != "unordered":
            n = reading.count  # those before the last one
        lost = reading.missing(n) if n else ()
        self.defects += [f"{column}: {defect}" for column, defect in (*reading.defects, *lost)]
        self.defects += [f"wrong: {told}" for told in reading.unable]
        for i, reason in reading.failed:
            if reason != "died":
                self.defects.append(f"wrong: item {i} failed: {reason}")
                continue
            engines = Counter(lost.engine for lost in list(self._diary.lost) if i in lost.held)
            if max(engines.values(), default=0) < 2:
                self.defects.append(f"blamed: item {i}")
