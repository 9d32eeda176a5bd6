"""Checks of the arguments of `prefetch`."""

import threading
import warnings
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Literal

from seqtools._core.checks import check_count, check_function, check_seed, is_bool, is_number
from seqtools._core.choices import check_choice
from seqtools._core.display.short import short
from seqtools.engines.cluster.kinds import dask_client, is_factory, size_of
from seqtools.engines.green_threads import refuse_green
from seqtools.engines.hooks import needs_number, required_parameters, runs_when_called
from seqtools.engines.methods import AUTO, METHODS, START_METHODS, Method, named
from seqtools.prefetching.advice import on_unknown
from seqtools.prefetching.cores import usable_cores
from seqtools.prefetching.options import Options

_KEYWORDS = (
    *(name for name in Options._fields if name not in {"where", "every_worker"}),
    "shm_size",
    "max_buffered",
)
_warned: set[str] = set()


def checked(
    given: Options, max_buffered: int | None, shm_size: object, unknown: Mapping[str, object]
) -> Options:
    """Return `given`, the arguments of `prefetch()` as a user wrote them, checked and complete."""
    for name, value in unknown.items():
        raise TypeError(on_unknown(name, value, _KEYWORDS))
    start_method, max_bytes, seed = given.start_method, given.max_bytes, given.seed
    check_choice(start_method, "start_method", START_METHODS)
    if max_bytes is not None:
        max_bytes = check_count(max_bytes, 1, "max_bytes")
    _check_hooks(given)
    if seed is not None:
        seed = check_seed(seed)
    method = named(given.method, given.nworkers)
    nworkers, where, on_cluster = (
        given.nworkers,
        None,
        method != AUTO and METHODS[method].is_cluster,
    )
    if on_cluster:
        where = None if isinstance(given.method, str) else given.method
        nworkers = _of_cluster(METHODS[method], where, given, seed)
    options = given._replace(
        nworkers=_workers(nworkers),
        method=method,
        where=where,
        every_worker=on_cluster and given.nworkers is None,
        engine_options=_engine_options(method, given.engine_options),
        max_cached=_max_cached(given.max_cached, max_buffered),
        seed=seed,
        readahead=_flag(given.readahead, "readahead"),
        max_bytes=max_bytes,
        idle_timeout=_seconds(given.idle_timeout, "idle_timeout"),
        ordered=_flag(given.ordered, "ordered"),
        timeout=_seconds(given.timeout, "timeout"),
    )
    if options.nworkers:
        if seed is not None and not any(each.seeds for each in options.methods):
            message = "seed= needs method='process': threads share one random generator"
            raise ValueError(message)
        refuse_green(processes=not options.may_share_memory)
    if shm_size is not None and "shm_size" not in _warned:
        _warned.add("shm_size")
        message = "shm_size is not used: shared memory has no size to be given any more"
        warnings.warn(message, DeprecationWarning, stacklevel=3)
    return options


def _check_hooks(given: Options) -> None:
    for name, hook in (("start_hook", given.start_hook), ("end_hook", given.end_hook)):
        if hook is not None:
            check_function(hook, name)
            if not runs_when_called(hook):
                message = (
                    f"{name} must run when it is called, got {short(hook)}, which is async or has "
                    "a yield: use a plain function, with asyncio.run for what it awaits"
                )
                raise TypeError(message)
            _check_parameters(hook, name)


def _check_parameters(hook: Callable[..., object], name: str) -> None:
    """Check that `hook` can be called with the number of the worker only.

    Raises:
        TypeError: If it cannot.
    """
    # Imports what a thread needs to call it at the end of the program: an import there would change
    # the exit code after Ctrl-C.
    required = required_parameters(hook)
    if len(required) > 1 or any(each.kind == each.KEYWORD_ONLY for each in required):
        names = ", ".join(each.name for each in required)
        message = (
            f"{name} takes the number of the worker or nothing, got {short(hook)}, which requires "
            f"{names}: give others with functools.partial"
        )
        raise TypeError(message)


def _of_cluster(method: Method, where: object, given: Options, seed: object) -> int:
    """Return the number of workers for a cluster; check what it cannot do.

    Raises:
        TypeError: If it does not tell how many workers it has.
        ValueError: If it cannot do what an argument asks for.
    """
    title = short(where) if where is not None else f"method={method.name!r}"
    if given.timeout is not None and not method.has_timeout:
        message = (
            f"timeout= needs workers that can be ended, with method='process' or 'ray': {title} "
            "cannot end an item"
        )
        raise ValueError(message)
    if given.start_method != Options._field_defaults["start_method"]:
        message = f"start_method= is for method='process': {title} has started its workers itself"
        raise ValueError(message)
    if seed is not None and (not method.seeds or dask_client(where) is not None):
        message = (
            f"seed= seeds the random generators of a process, from which all threads of {title} "
            "draw: draw from smap(…, rng=) instead"
        )
        raise ValueError(message)
    if given.start_hook is not None and not method.has_numbers and needs_number(given.start_hook):
        message = (
            f"start_hook takes the number of the worker, got {short(given.start_hook)}: workers of "
            f"{title} have no numbers, so it must take no argument"
        )
        raise TypeError(message)
    if given.end_hook is not None and not method.ends_workers:
        message = (
            f"end_hook= needs workers that end with the prefetch, with method='thread' or "
            f"'process', got {short(given.end_hook)}: {title} keeps its workers"
        )
        raise ValueError(message)
    size = size_of(method.name, where)
    nworkers: object = given.nworkers
    if nworkers is None:
        if size is None and where is not None and not is_factory(where):
            message = f"{title} does not tell how many workers it has: give nworkers"
            raise TypeError(message)
        return size or usable_cores()
    if isinstance(nworkers, str):
        raise TypeError(f"nworkers must be an integer or None, got {short(nworkers)}")
    n = check_count(nworkers, -(1 << 31), "nworkers")
    return n if n >= 0 else max(1, (size or usable_cores()) + n)


def _engine_options(method: str, options: object) -> Mapping[str, object] | None:
    if options is None:
        return None
    known = METHODS[method].options if method in METHODS else ()
    if not isinstance(options, Mapping):
        raise TypeError(f"engine_options must be a dict, got {short(options)}")
    unknown = [name for name in options if name not in known]
    if unknown:
        what = f"may be {', '.join(map(repr, known))}" if known else "may have no option"
        has_name = method not in METHODS or METHODS[method].has_name
        kind = f"method={method!r}" if has_name else "an executor"
        message = f"engine_options with {kind} {what}, got {unknown[0]!r}"
        raise ValueError(message)
    amounts = options.get("resources")
    if amounts is not None and not (
        isinstance(amounts, Mapping)
        and all(isinstance(name, str) and _is_amount(n) for name, n in amounts.items())
    ):
        message = "resources in engine_options must be a dict such as {'GPU': 1}, got"
        raise TypeError(f"{message} {short(amounts)}")
    return {name: value for name, value in options.items() if value is not None}


def _is_amount(n: object) -> bool:
    return isinstance(n, Real) and float(n) >= 0


def _workers(nworkers: object) -> int | Literal["auto"]:
    if nworkers is None:
        return usable_cores()
    if isinstance(nworkers, str):
        if nworkers == AUTO:
            return AUTO
        is_method = nworkers in METHODS and METHODS[nworkers].has_name
        advice = f": use method={nworkers!r}" if is_method else ""
        message = f"nworkers must be an integer, 'auto' or None, got {short(nworkers)}{advice}"
        raise TypeError(message)
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


def _flag(value: object, name: str) -> bool:
    if not is_bool(value):
        message = f"{name} must be True or False, got {short(value)}"
        raise TypeError(message)
    return bool(value)


def _seconds(value: object, name: str) -> float | None:
    if value is None:
        return None
    if not is_number(value):
        message = f"{name} must be a number of seconds or None, got {short(value)}"
        raise TypeError(message)
    if not value > 0:
        message = f"{name} must be more than 0 seconds, got {value}: use None for no limit"
        raise ValueError(message)
    return min(float(value), threading.TIMEOUT_MAX / 2)
