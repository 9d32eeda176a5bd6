"""Checks of the arguments of `prefetch`."""

import threading
import warnings
from collections.abc import Mapping
from typing import Literal

from seqtools._core.checks import check_count, check_function, check_seed, is_bool
from seqtools._core.display.short import short
from seqtools.engines.green_threads import refuse_green
from seqtools.engines.methods import AUTO, START_METHODS, named
from seqtools.prefetching.advice import on_unknown
from seqtools.prefetching.cores import usable_cores
from seqtools.prefetching.options import Options

_KEYWORDS = (*Options._fields, "shm_size", "max_buffered")
_warned: set[str] = set()


def checked(
    given: Options, max_buffered: int | None, shm_size: object, unknown: Mapping[str, object]
) -> Options:
    """Return `given`, the arguments of `prefetch()` as a user wrote them, checked and complete."""
    for name, value in unknown.items():
        raise TypeError(on_unknown(name, value, _KEYWORDS))
    start_method, max_bytes, seed = given.start_method, given.max_bytes, given.seed
    if not isinstance(start_method, str) or start_method not in START_METHODS:
        message = f"start_method must be 'template', 'spawn' or 'fork', got {short(start_method)}"
        raise ValueError(message)
    if max_bytes is not None:
        max_bytes = check_count(max_bytes, 1, "max_bytes")
    if given.start_hook is not None:
        check_function(given.start_hook, "start_hook")
    if seed is not None:
        seed = check_seed(seed)
    options = given._replace(
        nworkers=_workers(given.nworkers),
        method=named(given.method, given.nworkers),
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


def _workers(nworkers: object) -> int | Literal["auto"]:
    if nworkers is None:
        return usable_cores()
    if isinstance(nworkers, str):
        if nworkers == AUTO:
            return AUTO
        message = f"nworkers must be an integer, 'auto' or None, got {short(nworkers)}"
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
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"{name} must be a number of seconds or None, got {short(value)}"
        raise TypeError(message)
    if not value > 0:
        message = f"{name} must be more than 0 seconds, got {value}: use None for no limit"
        raise ValueError(message)
    return min(float(value), threading.TIMEOUT_MAX / 2)
