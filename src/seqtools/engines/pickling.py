"""Pickling a pipeline, and saying what of it cannot be pickled."""

import functools
import io
import pickle
import sys
import types
from collections.abc import Iterator
from typing import Any

import cloudpickle

from seqtools.engines.functions import Functions
from seqtools.engines.memmaps import reduce_memmap
from seqtools.engines.reducing import reducer
from seqtools.errors import WorkerStartError


class PipelinePickler(cloudpickle.Pickler):  # type: ignore[misc] # cloudpickle has no types
    """Pickles a pipeline, and notes what goes by value."""

    def __init__(self, file: Any, buffers: list[pickle.PickleBuffer]) -> None:
        main = sys.modules.get("__mp_main__")
        if main is not None:  # the script, in a child that multiprocessing has spawned
            cloudpickle.register_pickle_by_value(main)
        super().__init__(file, protocol=5, buffer_callback=buffers.append)
        self.by_value: list[Any] = []
        self._functions = Functions()

    def reducer_override(self, obj: Any) -> Any:
        """Return how to pickle `obj`, as `pickle` asks."""
        reduced = reduce_memmap(obj)
        if reduced is not None:
            return reduced
        reduce = reducer(type(obj))
        if reduce is not None:
            return reduce(obj)
        if isinstance(obj, functools._lru_cache_wrapper):  # noqa: SLF001 -- it has no other name
            return _reduce_cached(obj)
        reduced = super().reducer_override(obj)
        by_reference = reduced is NotImplemented or isinstance(reduced, str)
        if by_reference or not isinstance(obj, type | types.FunctionType):
            return reduced
        self.by_value.append(obj)
        if isinstance(obj, type):
            return _with_slots(obj, reduced)
        return self._functions.shared(obj, reduced)


def _reduce_cached(function: Any) -> Any:
    """Return how to cache the same function anew, if it cannot be imported by its name."""
    module = sys.modules.get(function.__module__)
    if (
        function.__module__ not in {"__main__", "__mp_main__"}
        and getattr(module, function.__qualname__, None) is function
    ):
        return NotImplemented
    parameters = function.cache_parameters()
    return _cached, (function.__wrapped__, parameters["maxsize"], parameters["typed"])


def _cached(function: Any, maxsize: int | None, typed: bool) -> Any:  # noqa: FBT001 -- called by pickle
    return functools.lru_cache(maxsize, typed)(function)


def _with_slots(obj: Any, reduced: Any) -> Any:
    """Return what cloudpickle makes of `obj`, with the slots of a class, which it leaves out.

    Its instances would have a `__dict__` in the worker, and could not be loaded here.
    """
    if isinstance(reduced, tuple) and isinstance(obj, type) and "__slots__" in obj.__dict__:
        make, arguments, *rest = reduced
        if len(arguments) > 3 and isinstance(arguments[3], dict):  # noqa: PLR2004 -- the namespace
            namespace = arguments[3] | {"__slots__": obj.__slots__}  # type: ignore[attr-defined]
            return make, (*arguments[:3], namespace, *arguments[4:]), *rest
    return reduced


def unpicklable(sequence: Any, hook: Any, error: Exception) -> WorkerStartError:
    """Return the error that names what cannot be pickled, and what to do."""
    advice = "or use method='thread', or start_method='fork'"
    if not _picklable(hook):
        message = f"start_hook cannot be sent to worker processes: {error}"
        return WorkerStartError(message)
    culprit = next((s for s in stages(sequence) if not _picklable(s)), None)
    if culprit is None or not hasattr(culprit, "_origin"):
        kind = type(sequence if culprit is None else culprit).__name__
        message = (
            f"a source of type {kind} cannot be sent to worker processes: {error}; {advice[3:]}"
        )
        return WorkerStartError(message)
    file, line = culprit._origin
    message = (
        f"{culprit._describe()}, made at {file}:{line}, cannot be sent to worker processes: "
        f"{type(error).__name__}: {error}; make what it needs inside of the function, {advice}"
    )
    return WorkerStartError(message)


def stages(sequence: Any) -> Iterator[Any]:
    """Yield the stages and sources of a pipeline once, sources before what reads them."""
    seen: set[int] = set()
    left = [(sequence, False)]
    while left:
        stage, ready = left.pop()
        if ready:
            yield stage
        elif id(stage) not in seen:
            seen.add(id(stage))
            left.append((stage, True))
            sources = stage._sources() if hasattr(stage, "_sources") else ()
            left.extend((source, False) for source in reversed(sources))


def _picklable(obj: Any) -> bool:
    try:
        PipelinePickler(io.BytesIO(), []).dump(obj)
    except Exception:  # noqa: BLE001 -- code of users may raise anything
        return False
    return True
