"""The engines, by the names for `method=`.

A new engine needs a file of its own, a function in `making.py`, and an entry in `METHODS`.
Code outside of `engines/` does not compare names of methods, but asks for properties of the entry.
Engines are imported when needed.
"""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from seqtools._core.choices import one_of
from seqtools._core.display.short import short
from seqtools.engines.base import Engine
from seqtools.engines.cluster.kinds import check_installed, kind_of
from seqtools.engines.making import (
    EngineArguments,
    make_dask,
    make_executor,
    make_process,
    make_ray,
    make_thread,
)


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
    ends_workers: bool = True
    """Whether the workers belong to the engine and end with it, as `end_hook=` needs."""
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


METHODS = {
    method.name: method
    for method in (
        Method(
            "thread",
            make_thread,
            also_called=("threads", "threading", "multithreading", "threadpool"),
            shares_memory=True,
            seeds=False,
            adapts=True,
            suggested=True,
        ),
        Method(
            "process",
            make_process,
            also_called=("processes", "proc", "mp", "multiprocessing", "multiprocess", "loky"),
            has_start_method=True,
            adapts=True,
            suggested=True,
        ),
        Method(
            "thread executor",
            make_executor,
            shares_memory=True,
            seeds=False,
            has_name=False,
            is_cluster=True,
            ends_workers=False,
            has_timeout=False,
            has_numbers=False,
        ),
        Method(
            "executor",
            make_executor,
            has_name=False,
            is_cluster=True,
            ends_workers=False,
            has_timeout=False,
            has_numbers=False,
        ),
        Method(
            "dask",
            make_dask,
            also_called=("distributed", "dask.distributed", "localcluster"),
            seeds=False,  # threads of Dask draw from the generators of the process too
            is_cluster=True,
            ends_workers=False,
            has_timeout=False,
            has_numbers=False,
            options=("resources",),
        ),
        Method(
            "ray",
            make_ray,
            also_called=("rays", "raydata", "anyscale"),
            is_cluster=True,
            ends_workers=False,
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
        able = one_of(each.name for each in METHODS.values() if each.adapts)
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
