"""The engines, by the names for `method=`.

A new engine needs a file of its own, and an entry in `METHODS`. Code outside of `engines/` does not
compare names of methods, but asks for properties of the entry. Engines are imported when needed.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from seqtools._core.display.short import short
from seqtools.engines.base import Deliver, Engine, GroupOf
from seqtools.engines.cluster.kinds import check_installed, dask_client, kind_of
from seqtools.engines.green_threads import refuse_green

if TYPE_CHECKING:
    from seqtools.engines.adaptive.choice import Choice
    from seqtools.engines.adaptive.probe import ThreadMeter
    from seqtools.engines.cluster.engine import ClusterEngine
    from seqtools.engines.cluster.transport import Transport
    from seqtools.engines.process.background_threads import KnownReasons
    from seqtools.engines.process.engine import ProcessEngine
    from seqtools.engines.thread.engine import ThreadEngine
    from seqtools.engines.wire.shipment import PickledPipeline


class EngineArguments(NamedTuple):
    """The arguments of all engines; each uses some."""

    source: Any
    """The pipeline. An engine pickles it and names its stages in errors."""
    get: Callable[[int], Any]
    """Evaluates an item, in this process."""
    get_apart: Callable[[int], Any]
    """The same in another process."""
    nworkers: int
    deliver: Deliver
    """Receives outcomes."""
    start_hook: Callable[..., object] | None = None
    start_method: str = "template"
    hints: Any = None
    """Called with the next indices, `None` if no stage acts on them."""
    timeout: float | None = None
    """Seconds that an item may take."""
    group_of: GroupOf | None = None
    """Returns which items one worker should evaluate together."""
    iterates: bool = False
    """Whether workers in this process share an iterator."""
    known: "KnownReasons | None" = None
    """Why each worker loads the pipeline itself, if that is known."""
    most_kept: Callable[[], int] = lambda: 1 << 30
    """Returns how many bytes of workers' memory the consumer may keep."""
    where: Any = None
    """The executor, the client or the factory that was given as `method`."""
    every_worker: bool = False
    """Whether to use all workers of a cluster, however many there are later."""
    engine_options: Mapping[str, Any] = MappingProxyType({})
    """The options of a cluster."""


class Method(NamedTuple):
    """How to make an engine, and its properties."""

    name: str
    make: Callable[[EngineArguments], Engine]
    also_called: tuple[str, ...] = ()
    """Names that users may write by mistake."""
    shares_memory: bool = False
    """Whether workers are threads of this process, which share objects."""
    seeds: bool = True
    """Whether each worker has its own random generators, as `seed=` needs."""
    has_start_method: bool = False
    """Whether `start_method=` applies."""
    adapts: bool = False
    """Whether `nworkers="auto"` is possible, by `engines/adaptive`."""
    suggested: bool = False
    """Whether advice may suggest it, because all users have what it needs."""
    has_name: bool = True
    """Whether users call it by its name, and do not give an object."""
    is_cluster: bool = False
    """Whether the user's cluster has the workers, and says how many there are."""
    has_timeout: bool = True
    """Whether an item that takes too long can be ended, as `timeout=` needs."""
    has_numbers: bool = True
    """Whether workers have numbers, which start hooks may take."""
    options: tuple[str, ...] = ()
    """The names that `engine_options=` may have."""


class StartMethod(NamedTuple):
    """The properties of a way to start worker processes."""

    pickles: bool
    """Whether the pipeline is pickled."""
    loads_once: bool
    """Whether workers are forked from a process that has loaded the pipeline."""
    uses_server: bool = False
    """Whether that process is forked from the fork server."""


START_METHODS = {
    "template": StartMethod(pickles=True, loads_once=True, uses_server=True),
    "spawn": StartMethod(pickles=True, loads_once=False),
    "fork": StartMethod(pickles=False, loads_once=False),
}
"""The values of `start_method=`."""


def _thread(arguments: EngineArguments, probe: "ThreadMeter | None" = None) -> "ThreadEngine":
    from seqtools.engines.thread.engine import ThreadEngine

    return ThreadEngine(
        arguments.get,
        arguments.nworkers,
        arguments.start_hook,
        arguments.hints,
        arguments.timeout,
        probe,
        deliver=arguments.deliver,
        close=arguments.iterates,
    )


def _process(
    arguments: EngineArguments,
    begin_with: int | None = None,
    pickled: "PickledPipeline | None" = None,
) -> "ProcessEngine":
    from seqtools.engines.process.engine import ProcessEngine
    from seqtools.engines.process.standard_streams import occupy_standard_streams

    refuse_green(processes=True)
    occupy_standard_streams()
    return ProcessEngine(
        arguments.source,
        arguments.get_apart,
        arguments.nworkers,
        arguments.start_hook,
        arguments.start_method,
        arguments.hints,
        timeout=arguments.timeout,
        most_kept=arguments.most_kept(),
        group_of=arguments.group_of,
        pickled=pickled,
        begin_with=begin_with,
        known=arguments.known,
        deliver=arguments.deliver,
    )


def _executor(arguments: EngineArguments) -> Engine:
    from seqtools.engines.cluster.executor import ExecutorTransport
    from seqtools.engines.cluster.kinds import is_factory

    where = arguments.where
    made = is_factory(where)
    transport = ExecutorTransport(
        None if made else where, arguments.nworkers, where if made else None
    )
    return _on_cluster(transport, arguments)


def _dask(arguments: EngineArguments) -> Engine:
    from seqtools.engines.cluster.dask import DaskTransport
    from seqtools.engines.cluster.dask_local import LocalDask

    a = arguments
    client = dask_client(a.where) or a.where
    given = getattr(a.where, "_kwargs", {})  # of an executor
    resources = a.engine_options.get("resources") or given.get("resources") or {}
    local = None
    if a.where is None:
        from seqtools.engines.process.launcher import interpreter, meaning
        from seqtools.engines.process.nesting import below
        from seqtools.engines.process.standard_streams import occupy_standard_streams

        refuse_green(processes=True)
        occupy_standard_streams()
        nesting = below()
        local = LocalDask(
            a.nworkers,
            resources,
            lambda code, **options: interpreter(code, nesting, **options),
            meaning,
        )
    transport = DaskTransport(
        client,
        a.nworkers,
        every_worker=a.every_worker,
        resources=resources,
        cluster=local,
    )
    return _on_cluster(transport, arguments)


def _ray(arguments: EngineArguments) -> Engine:
    from seqtools.engines.cluster.ray import RayTransport
    from seqtools.engines.process.standard_streams import occupy_standard_streams

    a = arguments
    occupy_standard_streams()
    transport = RayTransport(a.nworkers, every_worker=a.every_worker, options=a.engine_options)
    return _on_cluster(transport, a)


def _on_cluster(transport: "Transport", arguments: EngineArguments) -> "ClusterEngine":
    from seqtools.engines.cluster.engine import ClusterEngine

    a = arguments
    return ClusterEngine(
        transport,
        a.source,
        a.get,
        a.get_apart,
        start_hook=a.start_hook,
        hints=a.hints,
        timeout=a.timeout,
        group_of=a.group_of,
        most_kept=a.most_kept(),
        deliver=a.deliver,
    )


def make_adaptive(arguments: EngineArguments, choice: "Choice") -> Engine:
    """Return an engine that `choice` controls; `nworkers` has no meaning for it.

    Raises:
        WorkerStartError: If it cannot start.
    """
    from seqtools.engines.adaptive.engine import AdaptiveEngine
    from seqtools.engines.wire.shipment import PickledPipeline

    a = arguments
    return AdaptiveEngine(
        choice,
        lambda n, probe, deliver: _thread(a._replace(nworkers=n, deliver=deliver), probe),
        lambda most, begin_with, pickled, deliver: _process(
            a._replace(nworkers=most, deliver=deliver), begin_with, pickled
        ),
        lambda: PickledPipeline(a.source, a.get_apart, a.start_hook, a.hints),
        deliver=a.deliver,
    )


METHODS = {
    method.name: method
    for method in (
        Method(
            "thread",
            _thread,
            also_called=("threads", "threading", "multithreading", "threadpool"),
            shares_memory=True,
            seeds=False,
            adapts=True,
            suggested=True,
        ),
        Method(
            "process",
            _process,
            also_called=("processes", "proc", "mp", "multiprocessing", "multiprocess", "loky"),
            has_start_method=True,
            adapts=True,
            suggested=True,
        ),
        Method(
            "thread executor",
            _executor,
            shares_memory=True,
            seeds=False,
            has_name=False,
            is_cluster=True,
            has_timeout=False,
            has_numbers=False,
        ),
        Method(
            "executor",
            _executor,
            has_name=False,
            is_cluster=True,
            has_timeout=False,
            has_numbers=False,
        ),
        Method(
            "dask",
            _dask,
            also_called=("distributed", "dask.distributed", "localcluster"),
            seeds=False,  # threads of Dask draw from the generators of the process too
            is_cluster=True,
            has_timeout=False,
            has_numbers=False,
            options=("resources",),
        ),
        Method(
            "ray",
            _ray,
            also_called=("rays", "raydata", "anyscale"),
            is_cluster=True,
            options=(
                "num_cpus",
                "num_gpus",
                "resources",
                "memory",
                "accelerator_type",
                "label_selector",
                "scheduling_strategy",
                "runtime_env",
            ),
        ),
    )
}
"""The methods. `method=` takes the names of those that have one, and `AUTO`, which chooses."""

AUTO: Literal["auto"] = "auto"
DEFAULT = "thread"


def named(method: object, nworkers: object) -> str:
    """Return the name of the method for the arguments `method` and `nworkers` of a user.

    Raises:
        ImportError: If a package is missing.
        TypeError: If it is an object that cannot be used.
        ValueError: If this method does not exist, or not with this number.
    """
    adaptive = isinstance(nworkers, str) and nworkers == AUTO
    if method is None:
        return AUTO if adaptive else DEFAULT
    if isinstance(method, str) and method == AUTO:
        if adaptive:
            return AUTO
        message = f"method='auto' needs nworkers='auto', got nworkers={short(nworkers)}"
        raise ValueError(message)
    found = method if isinstance(method, str) else kind_of(method)
    if found not in METHODS or (isinstance(method, str) and not METHODS[found].has_name):
        names = ", ".join(repr(each.name) for each in METHODS.values() if each.has_name)
        message = (
            f"method must be {names}, an executor, a function that makes one, or a Dask client, "
            f"got {short(method)}"
        )
        raise ValueError(message + _advice(method))
    check_installed(found)
    method = found
    if adaptive and not METHODS[method].adapts:
        able = _one_of([each.name for each in METHODS.values() if each.adapts])
        message = f"nworkers='auto' needs method={able}, got {method!r}: give a number"
        raise ValueError(message)
    return method


def candidates(name: str, start_method: str, *, seeded: bool) -> tuple[Method, ...]:
    """Return the methods for a name that `named` has returned, several if one is chosen later.

    Args:
        name: The name.
        start_method: How worker processes would start.
        seeded: Whether there is a seed.
    """
    if name != AUTO:
        return (METHODS[name],)
    found = [each for each in METHODS.values() if each.adapts]
    if seeded:
        found = [each for each in found if each.seeds]
    if not START_METHODS[start_method].pickles:  # users choose it for its workers
        found = [each for each in found if each.has_start_method]
    return tuple(found)


def suggested() -> Iterator[Method]:
    """Yield the methods that advice may suggest."""
    return (method for method in METHODS.values() if method.suggested)


def _advice(method: object) -> str:
    """Return the name that is probably meant by a wrong one, as text for a message."""
    if not isinstance(method, str):
        return ""
    if "://" in method:
        return f": give a client of it, distributed.Client({method!r})"
    if method in START_METHODS:
        able = next(each.name for each in METHODS.values() if each.has_start_method)
        return f": did you mean method={able!r}, start_method={method!r}?"
    import difflib

    names = {each.name: each.name for each in METHODS.values() if each.has_name}
    for each in METHODS.values():
        names.update(dict.fromkeys(each.also_called, each.name))
    near = difflib.get_close_matches(method.lower(), names, n=1, cutoff=0.7)
    return f": did you mean {names[near[0]]!r}?" if near else ""


def _one_of(names: list[str]) -> str:
    *others, last = map(repr, names)
    return f"{', '.join(others)} or {last}" if others else last
