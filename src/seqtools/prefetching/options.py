"""The arguments of `prefetch`, checked."""

import functools
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from seqtools._core.checks import check_count, check_function
from seqtools._core.display.short import short
from seqtools._core.walk import any_upstream
from seqtools.engines.base import Deliver, Engine
from seqtools.engines.green_threads import refuse_green
from seqtools.engines.process.background_threads import KnownReasons
from seqtools.engines.process.standard_streams import occupy_standard_streams
from seqtools.engines.resource_errors import told
from seqtools.prefetching.budget import Budget
from seqtools.prefetching.cores import usable_cores
from seqtools.prefetching.hints import groups, hints
from seqtools.prefetching.memory import usable_memory
from seqtools.prefetching.server import keep
from seqtools.prefetching.window import Window

if TYPE_CHECKING:  # it is not needed but for "auto"
    from seqtools.engines.process.engine import ProcessEngine
    from seqtools.engines.thread.engine import ThreadEngine
    from seqtools.engines.wire.shipment import PickledPipeline
    from seqtools.prefetching.auto import Choice

METHODS = ("thread", "process")
AUTO: Literal["auto"] = "auto"
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
_GOOD_CACHED = 64
"""Items ahead, if they are small: so many are there for a reader that pauses for the first time.
Arbitrary."""
_MOST_CACHED = 4096
"""Items to which a window grows by itself, if they are small. Measured: more gains nothing."""
_said: set[str] = set()


class Options(NamedTuple):
    """How a prefetch reads ahead."""

    nworkers: int | Literal["auto"]
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
        return 10 if self.nworkers == AUTO else max(10, 2 * self.nworkers)

    @property
    def uses_templates(self) -> bool:
        """Whether it is certain that workers are going to be forked from templates.

        And that these may have modules before there is a pipeline, which a start hook precedes.
        """
        certain = self.method == "process" and self.nworkers not in {0, AUTO}
        return certain and self.start_method == "template" and self.start_hook is None

    def choice(self) -> "Choice | None":
        """Return what decides about workers, if that is not said."""
        if self.nworkers != AUTO:
            return None
        from seqtools.prefetching.auto import Choice

        method: Any = self.method if self.method in METHODS else None
        if self.seed is not None or self.start_method == "fork":
            method = "process"
        return Choice(method, usable_cores(), self.max_cached)

    def window(self, choice: "Choice | None" = None) -> Window:
        """Return a new window."""
        max_bytes = _max_bytes() if self.max_bytes is None else self.max_bytes
        if self.max_cached is None:
            most = max(_MOST_CACHED, self.first)
            # without an order, little is to wait behind a slow item, in the same worker
            least = _least(choice, _GOOD_CACHED if self.ordered else 0)
            return Window(Budget(self.first, most=most, max_bytes=max_bytes, least=least))
        return Window(Budget(self.max_cached, first=self.first, max_bytes=max_bytes))

    def engine(  # noqa: PLR0913, PLR0917 -- what it evaluates, and for whom
        self,
        source: Any,
        get: Callable[[int], Any],
        get_apart: Callable[[int], Any],
        choice: "Choice | None",
        known: KnownReasons | None,
        deliver: Deliver,
    ) -> Engine:
        """Return a new engine that evaluates items of `source`.

        Args:
            source: What `get` reads.
            get: Evaluates an item, in a thread.
            get_apart: The same in another process.
            choice: Decides about workers, if that is not said.
            known: Why workers load the pipeline for themselves, if that is known.
            deliver: Takes what it evaluates.

        Raises:
            WorkerStartError: If there can be none.
        """
        with told("workers could not be started"):  # not even a file of ours may be opened
            places = _Resources(self, source, get, get_apart, known)
            if self.nworkers != AUTO:
                if self.method == "thread":
                    return places.threads(self.nworkers, None, deliver)
                return places.processes(self.nworkers, None, None, deliver)
            from seqtools.engines.adaptive.engine import AdaptiveEngine

            assert choice is not None  # noqa: S101 -- says so to the type checker
            return AdaptiveEngine(
                choice, places.threads, places.processes, places.pickled, deliver=deliver
            )

    def __str__(self) -> str:
        """Return the arguments as they would be written, but for those that are the default."""
        shown = [f"nworkers={self.nworkers!r}"]
        if self.method != AUTO:
            shown.append(f"method={self.method!r}")
        for name in self._fields[2:]:
            value = getattr(self, name)
            if value != self._field_defaults[name]:
                shown.append(f"{name}={short(value)}")
        return ", ".join(shown)


class _Resources(NamedTuple):
    """Where items can be evaluated."""

    options: Options
    source: Any
    get: Callable[[int], Any]
    get_apart: Callable[[int], Any]
    known: KnownReasons | None

    def threads(self, nworkers: int, probe: Any, deliver: Deliver) -> "ThreadEngine":
        """Return an engine of so many threads, which call `probe`."""
        from seqtools.engines.thread.engine import ThreadEngine

        options = self.options
        return ThreadEngine(
            self.get,
            nworkers,
            options.start_hook,
            self._hints(),
            options.timeout,
            probe,
            deliver=deliver,
            close=any_upstream(self.source, "_iterates"),
        )

    def processes(
        self,
        most: int,
        begin_with: int | None,
        pickled: "PickledPipeline | None",
        deliver: Deliver,
    ) -> "ProcessEngine":
        """Return an engine of so many processes, which may begin with less."""
        from seqtools.engines.process.engine import ProcessEngine

        refuse_green(processes=True)
        occupy_standard_streams()
        options = self.options
        if options.start_method == "template":
            keep(options.idle_timeout)
        return ProcessEngine(
            self.source,
            self.get_apart,
            most,
            options.start_hook,
            options.start_method,
            self._hints(),
            timeout=options.timeout,
            most_kept=usable_memory() // 4,
            group_of=groups(self.source),
            pickled=pickled,
            begin_with=begin_with,
            known=self.known,
            deliver=deliver,
        )

    def pickled(self) -> "PickledPipeline":
        """Return what is sent to processes, as it is now."""
        from seqtools.engines.wire.shipment import PickledPipeline

        return PickledPipeline(self.source, self.get_apart, self.options.start_hook, self._hints())

    def _hints(self) -> Any:
        # what is drawn in the background would be drawn from the generators of an item
        options = self.options
        return hints(self.source) if options.readahead and options.seed is None else None


def _least(choice: "Choice | None", good: int) -> Callable[[], tuple[int, int]]:
    """Return what tells how many items must be ahead, and how many are good if they are small."""

    def least() -> tuple[int, int]:
        needed, better = (0, 0) if choice is None else choice.room()
        return needed, max(good, better)

    return least


@functools.cache
def _max_bytes() -> int:
    return max(1, usable_memory() // 10)


def checked(  # noqa: PLR0913 -- as prefetch()
    *,
    nworkers: int | Literal["auto"] | None,
    method: str | None,
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
    method = _method(method, nworkers)
    if start_method not in START_METHODS:
        message = f"start_method must be 'template', 'spawn' or 'fork', got {short(start_method)}"
        raise ValueError(message)
    workers = _workers(nworkers)
    if workers:
        refuse_green(processes=method == "process")
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


def _method(method: str | None, nworkers: object) -> str:
    auto = isinstance(nworkers, str) and nworkers == AUTO
    if method is None:
        return AUTO if auto else "thread"
    if method == AUTO and not auto:
        message = f"method='auto' needs nworkers='auto', got nworkers={nworkers!r}"
        raise ValueError(message)
    if method not in {*METHODS, AUTO}:
        message = f"method must be 'thread' or 'process', got {method!r}"
        raise ValueError(message)
    return method


def _workers(nworkers: int | Literal["auto"] | None) -> int | Literal["auto"]:
    if nworkers is None:
        return usable_cores()
    if nworkers == AUTO:
        return AUTO
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
        message = f"{name} must be a number of seconds or None, got {short(value)}"
        raise TypeError(message)
    if not value > 0:
        message = f"{name} must be more than 0 seconds, got {value}: use None for no limit"
        raise ValueError(message)
    return min(float(value), threading.TIMEOUT_MAX / 2)


def _advice(name: str, value: object) -> str:
    message = f"prefetch() has no {name!r}"
    if name in _ELSEWHERE:
        shown = short(value)
        return f"{message}: use {_ELSEWHERE[name].format(shown)}"
    import difflib

    near = difflib.get_close_matches(name, _KEYWORDS, n=1, cutoff=0.5)
    return (
        f"{message}: did you mean {near[0]!r}?"
        if near
        else f"{message}; it has {', '.join(_KEYWORDS)}"
    )
