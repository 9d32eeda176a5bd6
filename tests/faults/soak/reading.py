"""Readers of pipelines, who go on for ever and look at every item."""

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np  # noqa: F401 -- before there are threads, which would all import it at once

import seqtools
from seqtools._core.errors import WorkerDied
from tests.faults.campaign import payloads
from tests.faults.campaign.watching import Diary

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

LASTING = {"unordered", "kept", "blocks"}
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
        self._built: tuple[int, Any] | None = None
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
        n, p = self._pipeline()
        stop_at = n if self._rng.random() < 0.7 else self._rng.randrange(n)
        ordered = self.name != "unordered"
        seen: set[int] = set()
        items = iter(p)
        for k in range(stop_at):
            i = self._read(items)
            self.progress = time.monotonic()
            if i is None:
                self.defects.append(f"lost: no more after {k} of {n} items")
                return
            if i in seen:
                self.defects.append(f"repeated: item {i}")
            if ordered and i >= 0 and i != k:
                self.defects.append(f"reordered: item {i} at {k}")
            if i >= 0:
                seen.add(i)
            if self._stop.is_set():
                break
        if stop_at == n and not self._stop.is_set() and next(items, None) is not None:
            self.defects.append(f"repeated: more than {n} items")
        del items
        if self._built is None and self._rng.random() < 0.5 and hasattr(p, "close"):
            p.close()  # else by the end of the last reference

    def _pipeline(self) -> tuple[int, Any]:
        """Return how many items to read of what."""
        if self._built is not None:
            return self._built
        n = self._rng.randint(self._most // 10, self._most)
        p, self._which = self._build(n)
        if self.name in LASTING:
            self._built = n, p
        return n, p

    def _read(self, items: Any) -> int | None:
        """Return the index of the next item, -1 if it failed as it may, `None` at the end."""
        try:
            value = next(items)
        except StopIteration:
            return None
        except seqtools.EvaluationError as error:
            self._judge(error)
            return -1
        self.items += 1
        i = self._look(value)
        if self.name in {"kept", "unordered"}:
            self._kept.append((i, value))
            if len(self._kept) > KEPT:
                before, old = self._kept.popleft()
                if self._look(old) != before:
                    self.defects.append(f"wrong: item {before} is another one after a while")
        return i

    def _look(self, value: Any) -> int:
        try:
            return int(self._which(value))
        except payloads.Wrong as error:
            self.defects.append(f"wrong: {error}")
            return -1

    def _judge(self, error: BaseException) -> None:
        """Note a failure, which may be only of an item over which two workers were killed."""
        self.failed += 1
        cause = error.__cause__
        if not isinstance(cause, WorkerDied):
            self.defects.append(f"wrong: {error!r}")
            return
        i = int(str(cause).split("item ")[1].split(":")[0])
        deaths: dict[int, int] = {}
        for lost in list(self._diary.lost):
            if i in lost.held:
                deaths[lost.engine] = deaths.get(lost.engine, 0) + 1
        if max(deaths.values(), default=0) < 2:
            self.defects.append(f"blamed: {cause}")
