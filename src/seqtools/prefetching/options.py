"""The arguments of `prefetch`, checked."""

import functools
import threading
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from seqtools.brief import brief
from seqtools.checks import check_count, check_function
from seqtools.engines.base import Engine
from seqtools.engines.shortage import told
from seqtools.engines.standard import occupy_standard_streams
from seqtools.prefetching.capacity import Capacity
from seqtools.prefetching.cores import usable_cores
from seqtools.prefetching.hints import groups, hints
from seqtools.prefetching.memory import usable_memory
from seqtools.prefetching.window import Window

METHODS = ("thread", "process")
START_METHODS = ("template", "spawn", "fork")

# What other libraries call it, and the line to write here.
_ELSEWHERE = {
    "num_workers": "nworkers={}",
    "n_workers": "nworkers={}",
    "num_proc": "nworkers={}",
    "n_jobs": "nworkers={}",
    "num_threads": "nworkers={}, method='thread'",
    "num_parallel_calls": "nworkers={}",
    "max_workers": "nworkers={}",
    "workers": "nworkers={}",
    "processes": "nworkers={}, method='process'",
    "prefetch_factor": "max_cached, which counts all items ahead: {} for each worker",
    "buffer_size": "max_cached={}",
    "prefetch_buffer_size": "max_cached={}",
    "queue_size": "max_cached={}",
    "maxsize": "max_cached={}",
    "worker_init_fn": "start_hook={}",
    "initializer": "start_hook={}",
    "backend": "method='thread' or method='process'",
    "multiprocessing_context": "start_method='template', 'spawn' or 'fork'",
    "mp_context": "start_method='template', 'spawn' or 'fork'",
    "batch_size": "batch(…, {}) before prefetch(…)",
    "shuffle": "gather(…, permutation) before prefetch(…)",
    "persistent_workers": "nothing: workers persist until close(), or idle_timeout=",
    "pin_memory": "smap(…) with a function that pins, behind prefetch(…)",
    "collate_fn": "batch(…, collate_fn={}) before prefetch(…)",
    "generator": "seed=",
    "in_order": "ordered={}",
    "deterministic": "ordered={}",
}
_KEYWORDS = (
    "nworkers",
    "method",
    "max_cached",
    "start_hook",
    "shm_size",
    "max_buffered",
    "seed",
    "start_method",
    "readahead",
    "max_bytes",
    "idle_timeout",
    "ordered",
    "timeout",
)
_MOST_CACHED = 4096
"""Items to which a window grows by itself, if they are small. Measured: more gains nothing."""
_said: set[str] = set()


class Options(NamedTuple):
    """How a prefetch reads ahead."""

    nworkers: int
    method: str
    max_cached: int | None = None
    start_hook: Callable[..., object] | None = None
    seed: int | None = None
    start_method: str = "template"
    readahead: bool = True
    max_bytes: int | None = None
    idle_timeout: float | None = 60.0
    ordered: bool = True
    timeout: float | None = None

    @property
    def first(self) -> int:
        """Most items to evaluate ahead before anything is known of them."""
        return max(10, 2 * self.nworkers)

    def window(self, singly: Collection[type]) -> Window:
        """Return a new window."""
        max_bytes = _max_bytes() if self.max_bytes is None else self.max_bytes
        if self.max_cached is None:
            most = max(_MOST_CACHED, self.first)
            return Window(Capacity(self.first, most=most, max_bytes=max_bytes), singly)
        return Window(Capacity(self.max_cached, first=self.first, max_bytes=max_bytes), singly)

    def engine(self, source: Any, get: Callable[[int], Any]) -> Engine:
        """Return a new engine that evaluates items of `source`.

        Raises:
            WorkerStartError: If there can be none.
        """
        with told("workers could not be started"):  # not even a file of ours may be opened
            return self._engine(source, get)

    def _engine(self, source: Any, get: Callable[[int], Any]) -> Engine:
        upstream = hints(source) if self.readahead else None
        if self.method == "thread":
            from seqtools.engines.thread import ThreadEngine

            return ThreadEngine(get, self.nworkers, self.start_hook, upstream, self.timeout)
        from seqtools.engines.process import ProcessEngine

        occupy_standard_streams()
        return ProcessEngine(
            source,
            get,
            self.nworkers,
            self.start_hook,
            self.start_method,
            upstream,
            timeout=self.timeout,
            most_kept=usable_memory() // 4,
            group_of=groups(source),
        )

    def __str__(self) -> str:
        """Return the arguments as they would be written, but for those that are the default."""
        shown = [f"nworkers={self.nworkers}", f"method={self.method!r}"]
        for name in self._fields[2:]:
            value = getattr(self, name)
            if value != self._field_defaults[name]:
                shown.append(f"{name}={brief(value)}")
        return ", ".join(shown)


@functools.cache
def _max_bytes() -> int:
    return max(1, usable_memory() // 10)


def checked(  # noqa: PLR0913 -- as prefetch()
    *,
    nworkers: int | None,
    method: str,
    max_cached: int | None,
    start_hook: Callable[..., object] | None,
    shm_size: object,
    max_buffered: int | None,
    seed: int | None,
    start_method: str,
    readahead: bool,
    max_bytes: int | None,
    idle_timeout: float | None,
    ordered: bool,
    timeout: float | None,
    unknown: Mapping[str, object],
) -> Options:
    """Return the options, or raise what is wrong with them."""
    for name, value in unknown.items():
        raise TypeError(_advice(name, value))
    if method not in METHODS:
        message = f"method must be 'thread' or 'process', got {brief(method)}"
        raise ValueError(message)
    if start_method not in START_METHODS:
        message = f"start_method must be 'template', 'spawn' or 'fork', got {brief(start_method)}"
        raise ValueError(message)
    workers = _workers(nworkers)
    max_cached = _max_cached(max_cached, max_buffered)
    if max_bytes is not None:
        max_bytes = check_count(max_bytes, 1, "max_bytes")
    if start_hook is not None:
        check_function(start_hook, "start_hook")
    if seed is not None:
        seed = check_count(seed, 0, "seed")
        if method == "thread" and workers:
            message = "seed= needs method='process': threads share one random generator"
            raise ValueError(message)
    if shm_size is not None and "shm_size" not in _said:
        _said.add("shm_size")
        message = "shm_size is not used: shared memory has no size to be given any more"
        warnings.warn(message, DeprecationWarning, stacklevel=3)
    return Options(
        nworkers=workers,
        method=method,
        max_cached=max_cached,
        start_hook=start_hook,
        seed=seed,
        start_method=start_method,
        readahead=bool(readahead),
        max_bytes=max_bytes,
        idle_timeout=_seconds(idle_timeout, "idle_timeout"),
        ordered=bool(ordered),
        timeout=_seconds(timeout, "timeout"),
    )


def _workers(nworkers: int | None) -> int:
    if nworkers is None:
        return usable_cores()
    n = check_count(nworkers, -(1 << 31), "nworkers")
    return n if n >= 0 else max(1, usable_cores() + n)


def _max_cached(max_cached: int | None, max_buffered: int | None) -> int | None:
    if max_buffered is not None:
        if max_cached is not None and max_cached != max_buffered:
            message = (
                f"max_buffered is another name for max_cached, got {max_buffered} and {max_cached}"
            )
            raise TypeError(message)
        max_cached = max_buffered
    return None if max_cached is None else check_count(max_cached, 1, "max_cached")


def _seconds(value: object, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"{name} must be a number of seconds or None, got {brief(value)}"
        raise TypeError(message)
    if not value > 0:
        message = f"{name} must be more than 0 seconds, got {value}: use None for no limit"
        raise ValueError(message)
    return min(float(value), threading.TIMEOUT_MAX / 2)


def _advice(name: str, value: object) -> str:
    message = f"prefetch() has no {name!r}"
    if name in _ELSEWHERE:
        shown = brief(value)
        return f"{message}: use {_ELSEWHERE[name].format(shown)}"
    import difflib

    near = difflib.get_close_matches(name, _KEYWORDS, n=1, cutoff=0.5)
    return (
        f"{message}: did you mean {near[0]!r}?"
        if near
        else f"{message}; it has {', '.join(_KEYWORDS)}"
    )
