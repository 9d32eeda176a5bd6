"""Parts of a pipeline that cannot be sent to worker processes."""

import types
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from cloudpickle.cloudpickle import _should_pickle_by_reference

from seqtools._core.display.short import called, cut
from seqtools._core.display.tree import place_of
from seqtools._core.error_path import described
from seqtools._core.errors import summary
from seqtools._core.walk import is_stage, sources_of, upstream
from seqtools.engines.wire.handle_kinds import OPENED_THERE
from seqtools.engines.wire.pickling import PipelinePickler
from seqtools.instrument.checking.findings import Findings
from seqtools.instrument.checking.handles import MOST, handles
from seqtools.prefetching.options import Options


def check_sent(prefetch: Any, source: Any, options: Options, found: Findings) -> None:
    """Report parts of `source` and the start hook that cannot be pickled."""
    hook = options.start_hook
    parts = [*parts_of(prefetch, source)]
    if hook is not None:
        parts.append((place(prefetch), f"start_hook {called(hook)}", hook))
    for where, name, part in parts:
        _check_part(part, name, where, options, found)
    for stage in upstream(source) if is_stage(source) else ():
        error = _refusal(stage)
        where = place(stage)
        if error is not None and not any(finding.where == where for finding in found):
            what = f"it cannot be sent to worker processes: {reason(error)}"
            found.add(what, where, f"use {_without_pickling(options)}")


def parts_of(prefetch: Any, source: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield place, name and value of the parts that are sent with the stages.

    These are the arguments of stages, and sources that are not stages.
    """
    for stage in upstream(source) if is_stage(source) else ():
        for name, part in own_parts(stage):
            yield place(stage), name, part
    if not is_stage(source):
        yield place(prefetch), type(source).__name__, source


def place(stage: Any) -> str:
    """Return the name of `stage`, and the line that made it."""
    return f"{described(stage)}, {place_of(*stage._origin)}"


def reason(error: BaseException) -> str:
    """Return `error` in short form."""
    return cut(summary(error), 200)


class _Discarding:
    def write(self, data: Any) -> None:
        pass


class _StagePickler(PipelinePickler):
    """Pickles a stage without the stages that it reads from."""

    def __init__(self, others: set[int]) -> None:
        super().__init__(_Discarding(), [])
        self._others = others

    def reducer_override(self, obj: Any) -> Any:
        return (int, ()) if id(obj) in self._others else super().reducer_override(obj)


def _refusal(obj: Any) -> Exception | None:
    """Return why `obj`, without the stages that it reads, cannot be sent to workers."""
    others = {id(stage) for stage in upstream(obj) if stage is not obj}
    try:
        _StagePickler(others if is_stage(obj) else set()).dump(obj)
    except Exception as error:  # noqa: BLE001 -- user code may raise anything
        return error
    return None


def _goes_in_parts(obj: Any) -> bool:
    """Return whether the objects that `obj` refers to are sent with it."""
    if isinstance(obj, types.FunctionType):
        return not _should_pickle_by_reference(obj)
    own = ("__reduce__", "__reduce_ex__", "__getstate__")
    return all(getattr(type(obj), name, None) is getattr(object, name, None) for name in own) or (
        isinstance(obj, list | tuple | dict | set | frozenset | types.MethodType | partial)
    )


def own_parts(stage: Any) -> Iterator[tuple[str, Any]]:
    """Yield the arguments of a stage, and its sources that are not stages."""
    sources = sources_of(stage)
    for source in sources:
        if not is_stage(source):
            yield type(source).__name__, source
    try:
        values = stage._args() or ()
    except Exception:  # noqa: BLE001 -- a stage of the user's
        return
    known = {id(source) for source in sources}
    for value in values:
        inner = value.values() if isinstance(value, dict) else value
        container = isinstance(inner, list | tuple) and any(id(part) in known for part in inner)
        if id(value) not in known and not container:
            yield called(value) if callable(value) else type(value).__name__, value


def _without_pickling(options: Options) -> str:
    """Return what to use if something cannot be sent."""
    able = "" if options.is_cluster else ", or start_method='fork'"
    return f"method='thread'{able}"


def _check_part(obj: Any, name: str, where: str, options: Options, found: Findings) -> None:
    error = _refusal(obj)
    if error is None:
        return
    refused = False
    for handle in islice(handles(obj, name, _goes_in_parts), MOST):
        refusal = _refusal(handle.obj)
        if refusal is not None:
            refused = True
            what = f"{handle.kind} ({handle.where}) cannot be sent to worker processes: "
            found.add(what + reason(refusal), where, handle.advice)
    if not refused:
        what = f"{name} cannot be sent to worker processes: {reason(error)}"
        advice = f"make what it needs {OPENED_THERE}, or use {_without_pickling(options)}"
        found.add(what, where, advice)
