"""Finds handles that workers must not share, and random generators."""

import sys
import types
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from seqtools.engines.wire.handle_kinds import OPENED_THERE, RANDOM
from seqtools.instrument.checking.findings import Findings
from seqtools.instrument.checking.handles import (
    MOST,
    handles,
    is_users_class,
    is_users_function,
)
from seqtools.instrument.checking.pickling import own_parts, parts_of, place
from seqtools.prefetching.options import Options

_EACH = f"make one {OPENED_THERE}"

_SHARED = frozenset({
    "a connection to SQLite", "a cursor of SQLite", "a connection to MySQL", "a socket",
    "a running program", "an open file", "an open tar archive", "a generator",
})  # fmt: skip
"""Kinds of handles that several threads must not use at a time. HDF5 files and zip archives have a
lock for that."""

_ALL = "serves all items: what an item draws depends on the items that were read before it"

_GROUPS = (list, tuple, dict, set, frozenset, partial, types.MethodType, types.BuiltinMethodType)


def check_shared(
    prefetch: Any, source: Any, options: Options, found: Findings, inherited: Findings
) -> list[Any]:
    """Report handles that workers share; return the random generators.

    Args:
        prefetch: The prefetch.
        source: What it reads.
        options: The options of the prefetch.
        found: Receives the findings.
        inherited: Receives the findings about handles that forked workers inherit.
    """
    threads, processes = options.may_share_memory, options.may_send
    generators: list[Any] = []
    for where, name, part in parts_of(prefetch, source):
        # only one thread at a time uses an item of a list, or an iterator
        alone = options.nworkers == 1 or isinstance(part, list | tuple | dict | Iterator)
        for handle in islice(handles(part, name, _is_users), MOST):
            what = f"{handle.kind} ({handle.where}) "
            if handle.kind == RANDOM:
                if _is_seeded(handle.obj):
                    continue
                generators.append(handle.obj)
                found.add(what + _of_random(options), where, handle.advice)
            elif processes and not options.pickles:
                what += (
                    "is inherited by forked workers, and is not safe to use in several processes"
                )
                inherited.add(what, where, handle.advice)
            elif threads and not alone and handle.kind in _SHARED and _has_position(handle.obj):
                found.add(what + "is used by several threads at a time", where, _EACH)
    return generators


def check_drawing(stage: Any, found: Findings) -> None:
    """Report the random generators of `stage`, which is evaluated where it is read."""
    for name, part in own_parts(stage):
        for handle in islice(handles(part, name, _is_users), MOST):
            if handle.kind == RANDOM and not _is_seeded(handle.obj):
                found.add(f"{handle.kind} ({handle.where}) {_ALL}", place(stage), handle.advice)


def _of_random(options: Options) -> str:
    if options.nworkers == 1 and not options.may_send:
        return _ALL
    if not options.may_send:
        return "is shared by the threads: which item gets which numbers depends on their timing"
    what = (
        "is copied to every worker process: each draws the same numbers, and which item gets "
        "which depends on which worker evaluates it"
    )
    return what if options.seed is None else what + "; seed= does not seed it"


def _is_users(obj: Any) -> bool:
    """Return whether to search `obj`; objects of packages have the locks that they need."""
    if isinstance(obj, types.FunctionType):
        return is_users_function(obj)
    return isinstance(obj, _GROUPS) or is_users_class(type(obj))


def _has_position(obj: Any) -> bool:
    """Return whether `obj` is not a file that is only written to."""
    try:
        return not hasattr(obj, "readable") or bool(obj.readable())
    except ValueError:  # it is closed
        return False


def _is_seeded(generator: Any) -> bool:
    """Return whether engines seed `generator`, or nobody can."""
    modules = sys.modules
    return type(generator).__name__ == "SystemRandom" or any(
        generator is each
        for each in (
            getattr(modules.get("random"), "_inst", None),
            getattr(modules.get("numpy.random.mtrand"), "_rand", None),
            getattr(modules.get("torch"), "default_generator", None),
        )
    )
