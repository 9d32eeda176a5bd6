"""Naming what cannot be pickled, and what to do."""

import io
import types
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from seqtools._core.errors import WorkerStartError
from seqtools._core.source_code import place
from seqtools._core.walk import upstream
from seqtools.engines.wire.functions import global_names
from seqtools.engines.wire.handle_kinds import NEW_LOCK, OPENED_THERE, is_lock, is_opened
from seqtools.engines.wire.instances import is_default
from seqtools.engines.wire.pickling import PipelinePickler

_STATE = ("__reduce__", "__reduce_ex__", "__getstate__")
"""Methods by which an object says itself what is sent."""


def unpicklable(
    sequence: Any, hooks: dict[str, Any], error: Exception, *, instead: str
) -> WorkerStartError:
    """Return the error that names what cannot be pickled, and what to do.

    Args:
        sequence: What was to be pickled.
        hooks: The functions that workers call first and last, by their names.
        error: What came of it.
        instead: What can be used in place of it.
    """
    for name, hook in hooks.items():
        if not _picklable(hook):
            message = f"{name} cannot be sent to worker processes: {error}{_where(hook)}"
            return WorkerStartError(message)
    culprit = next((s for s in upstream(sequence, plain=True) if not _picklable(s)), None)
    if culprit is None or not hasattr(culprit, "_origin"):
        source = sequence if culprit is None else culprit
        message = (
            f"a source of type {type(source).__name__} cannot be sent to worker processes: "
            f"{error}{_where(source)}; {_advice('it', source, instead)}"
        )
        return WorkerStartError(message)
    message = (
        f"{culprit._describe()}, made at {place(*culprit._origin)}, "
        f"cannot be sent to worker processes: {type(error).__name__}: {error}{_where(culprit)}"
    )
    if _refused_in(culprit) is not culprit:  # a stage that refuses says what to do
        message += f"; {_advice('what it needs', culprit, instead)}"
    return WorkerStartError(message)


def _advice(what: str, obj: Any, instead: str) -> str:
    """Return what to do about `what`, which refers to what cannot be pickled as `obj` does.

    `instead` is a part of it, unless it would not help.
    """
    refused = _refused_in(obj)
    make = NEW_LOCK if is_lock(refused) else f"make {what} {OPENED_THERE}"
    return make if is_opened(refused) else f"{make}, or use {instead}"


class _Tracer(PipelinePickler):
    """Knows the objects that were to be pickled, the last of which was refused."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), [])
        self.objects: list[Any] = [None]

    def reducer_override(self, obj: Any) -> Any:
        """Return how to pickle `obj`."""
        self.objects.append(obj)
        return super().reducer_override(obj)


def _refused_in(obj: Any) -> Any:
    """Return the object that cannot be pickled, to which `obj` refers or which it is."""
    tracer = _Tracer()
    try:
        tracer.dump(obj)
    except Exception:  # noqa: BLE001 -- code of users may raise anything
        return tracer.objects[-1]
    return None


def _where(obj: Any) -> str:
    """Name the attribute or the variable of a function that cannot be pickled, if it is known."""
    tracer = _Tracer()
    with suppress(Exception):
        tracer.dump(obj)
    named: tuple[Any, ...] = type, types.FunctionType, types.ModuleType
    others = [each for each in tracer.objects if not isinstance(each, named)]
    for each in [*tracer.by_value, *reversed(others)]:  # the last one refers to it directly
        with suppress(Exception):  # an incomplete function or class
            for name, value in _parts_of(each):
                if not _picklable(value):
                    owner = each if hasattr(each, "__qualname__") else type(each)
                    return f" (in {owner.__qualname__}: {name})"
    return ""


def _parts_of(obj: Any) -> Iterator[tuple[str, Any]]:
    """Yield what `obj` refers to by names, except classes and functions."""
    if isinstance(obj, types.FunctionType):
        parts = _variables(obj)
    elif isinstance(obj, type):
        parts = dict(vars(obj))
    elif is_default(type(obj), *_STATE):
        parts = {f"attribute {name}": value for name, value in vars(obj).items()}
    else:
        return
    others: tuple[Any, ...] = types.FunctionType, type, classmethod, staticmethod, property
    others += types.GetSetDescriptorType, types.MemberDescriptorType
    for name, value in parts.items():
        if not isinstance(value, others) and name != "_abc_impl":
            yield name, value


def _variables(function: types.FunctionType) -> dict[str, Any]:
    """Return the variables that are sent with `function`."""
    names, code = function.__globals__, function.__code__
    parts = {name: names[name] for name in global_names(code) if name in names}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        with suppress(ValueError):  # not assigned yet
            parts[name] = cell.cell_contents
    return parts


def _picklable(obj: Any) -> bool:
    try:
        PipelinePickler(io.BytesIO(), []).dump(obj)
    except Exception:  # noqa: BLE001 -- code of users may raise anything
        return False
    return True
