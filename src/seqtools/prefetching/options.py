"""The options of a prefetch, and the windows and engines that it makes from them."""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from seqtools._core.chance.seeds import Seed
from seqtools._core.display.short import short
from seqtools._core.errors import WorkerStartError
from seqtools._core.walk import traits_upstream
from seqtools.engines.base import Deliver, Engine
from seqtools.engines.cluster.kinds import is_factory
from seqtools.engines.making import EngineArguments, make_adaptive
from seqtools.engines.methods import AUTO, METHODS, START_METHODS, Method, candidates
from seqtools.engines.process.background_threads import KnownReasons
from seqtools.engines.resource_errors import as_start_error
from seqtools.prefetching.budget import Budget
from seqtools.prefetching.cores import usable_cores
from seqtools.prefetching.hints import groups, hints
from seqtools.prefetching.memory import usable_memory
from seqtools.prefetching.server import keep
from seqtools.prefetching.window import Window

if TYPE_CHECKING:  # it is needed only where the number of workers is left open
    from seqtools.engines.adaptive.choice import Choice

_GOOD_CACHED = 64
"""Items ahead, if they are small: so many are there for a reader that pauses for the first time.
Arbitrary."""
_MOST_CACHED = 4096
"""Items to which a window grows by itself, if they are small. Measured: more gains nothing."""

_CLUSTER_BYTES = 1 << 28
"""Bytes of items up to which all workers of a cluster are kept at work. Arbitrary: little on any
machine that reads from a cluster."""
_CLUSTER_CACHED = 600
"""The same for each worker of a cluster, which has two tasks of 200 ms: items of 1 ms, and half as
many again, which the reader has not read yet."""


class Options(NamedTuple):
    """The checked arguments of `prefetch`."""

    nworkers: int | Literal["auto"]
    method: str
    max_cached: int | None = None
    start_hook: Callable[..., object] | None = None
    seed: Seed | None = None
    start_method: str = "template"
    readahead: bool = True
    max_bytes: int | None = None
    idle_timeout: float | None = 60.0
    ordered: bool = True
    timeout: float | None = None
    where: Any = None
    """The executor, the client or the factory that was given as `method`."""
    every_worker: bool = False
    """Whether all workers of a cluster are used, however many there are later."""
    engine_options: Mapping[str, Any] | None = None
    end_hook: Callable[..., object] | None = None

    @property
    def first(self) -> int:
        """Most items to evaluate ahead before anything is known of them."""
        return 10 if self.nworkers == AUTO else max(10, 2 * self.nworkers)

    @property
    def methods(self) -> tuple[Method, ...]:
        """The methods that may evaluate items; several if one of them is chosen later."""
        return candidates(self.method, self.start_method, seeded=self.seed is not None)

    @property
    def may_share_memory(self) -> bool:
        """Whether items may be evaluated in this process."""
        return any(method.shares_memory for method in self.methods)

    @property
    def may_send(self) -> bool:
        """Whether items may be evaluated in another process."""
        return not all(method.shares_memory for method in self.methods)

    @property
    def is_cluster(self) -> bool:
        """Whether items are evaluated by a cluster."""
        return any(method.is_cluster for method in self.methods)

    @property
    def pickles(self) -> bool:
        """Whether the pipeline is pickled for another process."""
        return START_METHODS[self.start_method].pickles

    @property
    def loads_once(self) -> bool:
        """Whether worker processes are forked from one that has loaded the pipeline."""
        return START_METHODS[self.start_method].loads_once

    @property
    def uses_fork_server(self) -> bool:
        """Whether workers will certainly be forked from a process that may import before.

        A start hook precedes all imports.
        """
        certain = self.nworkers not in {0, AUTO} and all(m.has_start_method for m in self.methods)
        return certain and self.start_hook is None and START_METHODS[self.start_method].uses_server

    def most_on_cluster(self, size: int = 1) -> int:
        """Return how many items of `size` bytes a window has at most that keeps a cluster busy."""
        most = max(_MOST_CACHED, self.first, _CLUSTER_CACHED * max(1, int(self.nworkers)))
        return min(most, _CLUSTER_BYTES // max(1, size))

    def check_fork(self) -> None:
        """Check that a process that was forked from the one with the options can use them.

        Raises:
            WorkerStartError: If it has not the threads that an executor or a client needs.
        """
        if self.where is not None and not is_factory(self.where):
            message = (
                f"this process was forked from the one that has {short(self.where)}, whose threads "
                "it does not have: make a prefetch with an executor or a client of its own"
            )
            raise WorkerStartError(message)

    def choice(self) -> "Choice | None":
        """Return the object that chooses workers, if `nworkers` is `"auto"`."""
        if self.nworkers != AUTO:
            return None
        from seqtools.engines.adaptive.choice import Choice

        names: list[Any] = [method.name for method in self.methods]
        return Choice(names[0] if len(names) == 1 else None, usable_cores(), self.max_cached)

    def window(self, choice: "Choice | None" = None) -> Window:
        """Return a new window."""
        max_bytes = _max_bytes() if self.max_bytes is None else self.max_bytes
        if self.max_cached is None:
            most = self.most_on_cluster() if self.is_cluster else max(_MOST_CACHED, self.first)
            # without an order, few items should wait after a slow one in the same worker
            least = _least(choice, _GOOD_CACHED if self.ordered else 0)
            small = _CLUSTER_BYTES if self.is_cluster else None
            budget = Budget(self.first, most=most, max_bytes=max_bytes, least=least, small=small)
            return Window(budget)
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
        """Return a new engine that evaluates items of `source`: see `EngineArguments`."""
        # reading in the background would draw from the random generators of an item
        hinted = self.readahead and self.seed is None
        forks = any(method.has_start_method for method in self.methods)
        if forks and START_METHODS[self.start_method].uses_server:
            keep(self.idle_timeout)
        with as_start_error("workers could not be started"):  # not even a file may be available
            arguments = EngineArguments(
                source,
                get,
                get_apart,
                0 if self.nworkers == AUTO else self.nworkers,
                deliver,
                self.start_hook,
                self.end_hook,
                self.start_method,
                hints(source) if hinted else None,
                self.timeout,
                groups(source),
                traits_upstream(source).iterates,
                known,
                lambda: usable_memory() // 4,
                self.where,
                self.every_worker,
                self.engine_options or {},
            )
            if choice is not None:
                return make_adaptive(arguments, choice)
            return METHODS[self.method].make(arguments)

    def __str__(self) -> str:
        """Return the arguments as a user would write them, without defaults."""
        shown = [f"nworkers={self.nworkers!r}"]
        if self.where is not None:
            shown.append(f"method={short(self.where)}")
        elif self.method in METHODS:  # otherwise the number of workers implies it
            shown.append(f"method={self.method!r}")
        for name in self._fields[2:]:
            value = getattr(self, name)
            if name in {"where", "every_worker"}:
                continue
            if value != self._field_defaults[name]:
                shown.append(f"{name}={short(value)}")
        return ", ".join(shown)


def _least(choice: "Choice | None", good: int) -> Callable[[], tuple[int, int]]:
    """Return a function for the items that must be ahead, and that should be if they are small."""

    def least() -> tuple[int, int]:
        needed, better = (0, 0) if choice is None else choice.room()
        return needed, max(good, better)

    return least


@functools.cache
def _max_bytes() -> int:
    return max(1, usable_memory() // 10)
