"""Objects that threads must not share, and random generators, of which processes have copies."""

import sys
import types
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from seqtools.instrument.checking.findings import Findings
from seqtools.instrument.checking.handles import (
    class_names,
    handles,
    is_users_class,
    is_users_function,
    kind_of,
)
from seqtools.instrument.checking.pickling import parts_of
from seqtools.prefetching.options import Options

_EACH = "open it where it is used, and keep one for each thread, in a threading.local()"
_ITEM = "create one for each item, as in numpy.random.default_rng([seed, i])"

_SHARED = frozenset({
    "a connection to SQLite", "a cursor of SQLite", "a connection to MySQL", "a socket",
    "a running program", "an open file", "an open tar archive", "a generator",
})  # fmt: skip
"""Kinds of handles that several threads must not use at a time. HDF5 files and zip archives have a
lock for that."""

_RANDOM = {
    ("random", "Random"),
    ("numpy", "Generator"),
    ("numpy", "RandomState"),
    ("numpy", "BitGenerator"),
    ("torch", "Generator"),
}

_GROUPS = (list, tuple, dict, set, frozenset, partial, types.MethodType, types.BuiltinMethodType)


def check_shared(  # noqa: PLR0913 -- keyword arguments
    prefetch: Any,
    source: Any,
    options: Options,
    found: Findings,
    *,
    threads: bool,
    processes: bool,
) -> list[Any]:
    """Report objects that workers share or have copies of; return the random generators.

    Args:
        prefetch: The prefetch.
        source: What it reads.
        options: The options of the prefetch.
        found: Receives the findings.
        threads: Whether workers may be threads.
        processes: Whether workers may be processes.
    """
    drawn: list[Any] = []
    for where, name, part in parts_of(prefetch, source, None):
        for handle in islice(handles(part, name, _may_draw, _random_kind), 3):
            drawn.append(handle.obj)
            if not processes and options.nworkers == 1:
                continue
            what = f"a random generator ({handle.where}) "
            found.add(what + _of_random(options, processes=processes), where, handle.advice)
        # only one thread at a time uses an item of a list, or an iterator
        alone = isinstance(part, list | tuple | dict | Iterator)
        if threads and options.nworkers != 1 and not alone:
            for handle in islice(handles(part, name, _may_share, _shared_kind), 3):
                what = f"{handle.kind} ({handle.where}) is used by several threads at a time"
                found.add(what, where, handle.advice)
    return drawn


def _of_random(options: Options, *, processes: bool) -> str:
    if not processes:
        return "is shared by the threads: which item gets which numbers depends on their timing"
    what = (
        "is copied to every worker process: each draws the same numbers, and which item gets "
        "which depends on which worker evaluates it"
    )
    return what if options.seed is None else what + "; seed= does not seed it"


def _may_draw(obj: Any) -> bool:
    return not isinstance(obj, types.FunctionType) or is_users_function(obj)


def _may_share(obj: Any) -> bool:
    """Return whether to search `obj`; objects of packages have the locks that they need."""
    if isinstance(obj, types.FunctionType):
        return is_users_function(obj)
    return isinstance(obj, _GROUPS) or is_users_class(type(obj))


def _shared_kind(obj: object) -> tuple[str, str] | None:
    kind = kind_of(obj)
    if kind is None or kind[0] not in _SHARED or not _has_position(obj):
        return None
    return kind[0], _EACH


def _has_position(obj: Any) -> bool:
    """Return whether `obj` is not a file that is only written to."""
    try:
        return not hasattr(obj, "readable") or bool(obj.readable())
    except ValueError:  # it is closed
        return False


def _random_kind(obj: object) -> tuple[str, str] | None:
    if _RANDOM.isdisjoint(class_names(obj)) or any(obj is each for each in _global_generators()):
        return None
    return None if type(obj).__name__ == "SystemRandom" else ("a random generator", _ITEM)


def _global_generators() -> Iterator[Any]:
    """Yield the generators that engines seed."""
    modules = sys.modules
    yield getattr(modules.get("random"), "_inst", None)
    yield getattr(modules.get("numpy.random.mtrand"), "_rand", None)
    yield getattr(modules.get("torch"), "default_generator", None)
