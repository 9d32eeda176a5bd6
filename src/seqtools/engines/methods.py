"""The engines that there are, by the names that `method=` has.

An engine is added by a file of its own, and an entry in `METHODS`. Nothing outside of `engines/`
compares the name of a method: what depends on it asks for a property of the entry. Engines are
imported when one is made.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from seqtools._core.display.short import short
from seqtools.engines.base import Deliver, Engine, GroupOf
from seqtools.engines.green_threads import refuse_green

if TYPE_CHECKING:
    from seqtools.engines.adaptive.choice import Choice
    from seqtools.engines.adaptive.probe import ThreadMeter
    from seqtools.engines.process.background_threads import KnownReasons
    from seqtools.engines.process.engine import ProcessEngine
    from seqtools.engines.thread.engine import ThreadEngine
    from seqtools.engines.wire.shipment import PickledPipeline


class EngineArguments(NamedTuple):
    """What an engine is made with; each uses what it needs."""

    source: Any
    """What is evaluated, a pipeline. An engine pickles it and names its stages in errors."""
    get: Callable[[int], Any]
    """Evaluates an item, in this process."""
    get_apart: Callable[[int], Any]
    """The same in another process."""
    nworkers: int
    deliver: Deliver
    """Takes what was evaluated."""
    start_hook: Callable[..., object] | None = None
    start_method: str = "template"
    hints: Any = None
    """Called with the indices that come next, `None` if nobody acts on that."""
    timeout: float | None = None
    """Seconds that an item may take."""
    group_of: GroupOf | None = None
    """Tells which items one worker should evaluate together."""
    iterates: bool = False
    """Whether workers in this process share an iterator."""
    known: "KnownReasons | None" = None
    """Why workers load the pipeline for themselves, if that is known."""
    most_kept: Callable[[], int] = lambda: 1 << 30
    """Returns the bytes of values that the consumer may keep in the memory of workers."""


class Method(NamedTuple):
    """An entry: how to make an engine, and what others have to know of it."""

    name: str
    make: Callable[[EngineArguments], Engine]
    also_called: tuple[str, ...] = ()
    """What users write instead."""
    shares_memory: bool = False
    """Whether workers are threads of this process: nothing is sent, they share all objects, and
    one lock of the interpreter."""
    seeds: bool = True
    """Whether each worker has random generators of its own, as `seed=` needs."""
    has_start_method: bool = False
    """Whether `start_method=` says how workers start."""
    adapts: bool = False
    """Whether `nworkers="auto"` is possible: `engines/adaptive` knows this engine."""
    suggested: bool = False
    """Whether advice may name it: it needs nothing that a user may not have."""


class StartMethod(NamedTuple):
    """What others have to know of a way in which worker processes start."""

    pickles: bool
    """Whether the pipeline is pickled on its way to workers."""
    loads_once: bool
    """Whether workers are forked from a process that has loaded it."""
    uses_server: bool = False
    """Whether that process is forked from the fork server, which all prefetches share."""


START_METHODS = {
    "template": StartMethod(pickles=True, loads_once=True, uses_server=True),
    "spawn": StartMethod(pickles=True, loads_once=False),
    "fork": StartMethod(pickles=False, loads_once=False),
}
"""What `start_method=` may be."""


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


def make_adaptive(arguments: EngineArguments, choice: "Choice") -> Engine:
    """Return an engine that `choice` decides about; `nworkers` has no meaning for it.

    Raises:
        WorkerStartError: If there can be none.
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
    )
}
"""What `method=` may be, besides `AUTO`, which chooses one of those that adapt."""

AUTO: Literal["auto"] = "auto"
DEFAULT = "thread"


def named(method: object, nworkers: object) -> str:
    """Return the name of the method that is used where a user gives `method` and `nworkers`.

    Raises:
        ValueError: If there is no such method, or it does not go with that number.
    """
    adaptive = isinstance(nworkers, str) and nworkers == AUTO
    if method is None:
        return AUTO if adaptive else DEFAULT
    if isinstance(method, str) and method == AUTO:
        if adaptive:
            return AUTO
        message = f"method='auto' needs nworkers='auto', got nworkers={short(nworkers)}"
        raise ValueError(message)
    if not isinstance(method, str) or method not in METHODS:
        message = f"method must be {_one_of(METHODS)}, got {short(method)}"
        raise ValueError(message + _advice(method))
    if adaptive and not METHODS[method].adapts:
        able = _one_of([each.name for each in METHODS.values() if each.adapts])
        message = f"nworkers='auto' needs method={able}, got {method!r}: give a number"
        raise ValueError(message)
    return method


def candidates(name: str, start_method: str, *, seeded: bool) -> tuple[Method, ...]:
    """Return the methods that may come of a name, several if one of them is chosen later.

    Args:
        name: What `named` has returned.
        start_method: How worker processes would start.
        seeded: Whether there is a seed.
    """
    if name != AUTO:
        return (METHODS[name],)
    found = [each for each in METHODS.values() if each.adapts]
    if seeded:
        found = [each for each in found if each.seeds]
    if not START_METHODS[start_method].pickles:  # it is for pipelines that need such workers
        found = [each for each in found if each.has_start_method]
    return tuple(found)


def suggested() -> Iterator[Method]:
    """Yield the methods that advice may name."""
    return (method for method in METHODS.values() if method.suggested)


def _advice(method: object) -> str:
    """Return what is probably meant by a method that does not exist, or nothing."""
    if not isinstance(method, str):
        return ""
    if method in START_METHODS:
        able = next(each.name for each in METHODS.values() if each.has_start_method)
        return f": did you mean method={able!r}, start_method={method!r}?"
    import difflib

    names = {name: name for name in METHODS}
    for each in METHODS.values():
        names.update(dict.fromkeys(each.also_called, each.name))
    near = difflib.get_close_matches(method.lower(), names, n=1, cutoff=0.7)
    return f": did you mean {names[near[0]]!r}?" if near else ""


def _one_of(names: "list[str] | dict[str, Method]") -> str:
    *others, last = map(repr, names)
    return f"{', '.join(others)} or {last}" if others else last
