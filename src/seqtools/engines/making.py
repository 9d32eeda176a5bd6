"""How each engine is made: a function for each, which imports it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from seqtools.engines.base import Deliver, Engine, GroupOf
from seqtools.engines.cluster.kinds import dask_client
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
    end_hook: Callable[..., object] | None = None
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


def make_thread(arguments: EngineArguments, probe: "ThreadMeter | None" = None) -> "ThreadEngine":
    """Return an engine of threads."""
    from seqtools.engines.thread.engine import ThreadEngine

    return ThreadEngine(
        arguments.get,
        arguments.nworkers,
        arguments.start_hook,
        arguments.hints,
        arguments.timeout,
        probe,
        end_hook=arguments.end_hook,
        deliver=arguments.deliver,
        close=arguments.iterates,
    )


def make_process(
    arguments: EngineArguments,
    begin_with: int | None = None,
    pickled: "PickledPipeline | None" = None,
) -> "ProcessEngine":
    """Return an engine of worker processes."""
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
        end_hook=arguments.end_hook,
        deliver=arguments.deliver,
    )


def make_executor(arguments: EngineArguments) -> Engine:
    """Return an engine on an executor, which is made if a function is given."""
    from seqtools.engines.cluster.executor import ExecutorTransport
    from seqtools.engines.cluster.kinds import is_factory

    where = arguments.where
    made = is_factory(where)
    transport = ExecutorTransport(
        None if made else where, arguments.nworkers, where if made else None
    )
    return _on_cluster(transport, arguments)


def make_dask(arguments: EngineArguments) -> Engine:
    """Return an engine on Dask, on a cluster of its own if no client is given."""
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


def make_ray(arguments: EngineArguments) -> Engine:
    """Return an engine on Ray."""
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
        lambda n, probe, deliver: make_thread(a._replace(nworkers=n, deliver=deliver), probe),
        lambda most, begin_with, pickled, deliver: make_process(
            a._replace(nworkers=most, deliver=deliver), begin_with, pickled
        ),
        lambda: PickledPipeline(a.source, a.get_apart, a.start_hook, a.hints, a.end_hook),
        deliver=a.deliver,
    )
