"""Pickling a pipeline, and saying what of it cannot be pickled."""

import enum
import functools
import inspect
import io
import pickle
import sys
import types
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import cloudpickle
from cloudpickle.cloudpickle import _should_pickle_by_reference

from seqtools._core.errors import WorkerStartError
from seqtools._core.walk import upstream
from seqtools.engines.wire.arrays import Reducer, reducer
from seqtools.engines.wire.classes import Classes, found_by_name, makes_its_own, reduce_member
from seqtools.engines.wire.functions import Functions
from seqtools.engines.wire.instances import MADE_BY_PYTHON, is_default
from seqtools.engines.wire.memmaps import reduce_memmap
from seqtools.engines.wire.special_objects import (
    VARIABLES,
    odd_reducer,
    reduce_cached,
    reduce_global,
    with_singles,
)


class PipelinePickler(cloudpickle.Pickler):  # type: ignore[misc] # cloudpickle has no types
    """Pickles a pipeline, and notes what goes by value."""

    def __init__(self, file: Any, buffers: list[pickle.PickleBuffer]) -> None:
        main = sys.modules.get("__mp_main__")
        if main is not None:  # the script, in a child that multiprocessing has spawned
            cloudpickle.register_pickle_by_value(main)
        super().__init__(file, protocol=5, buffer_callback=buffers.append)
        self.by_value: list[Any] = []
        self._functions = Functions()
        self._classes = Classes(self._functions)
        self._reducers: dict[type, Reducer | None] = {}

    def reducer_override(self, obj: Any) -> Any:
        """Return how to pickle `obj`, as `pickle` asks."""
        cls = type(obj)
        try:
            reduce = self._reducers[cls]
        except KeyError:
            reduce = self._reducers[cls] = self._found(cls)
        return NotImplemented if reduce is None else reduce(obj)

    def _found(self, cls: type) -> Reducer | None:
        """Return how to pickle objects of exactly this class, `None` if `pickle` does it well."""
        return with_singles(cls, self._usual(cls))

    def _usual(self, cls: type) -> Reducer | None:  # noqa: PLR0911 -- one for each
        if cls is types.CodeType:
            return self._reduce_code
        if issubclass(cls, io.TextIOWrapper):
            return self._reduce_text_file
        if issubclass(cls, type):
            return self._reduce_class
        if cls is types.FunctionType:
            return self._reduce_function
        if issubclass(cls, types.ModuleType):
            return self._reduce_module
        if cls is functools._lru_cache_wrapper:  # noqa: SLF001 -- it has no other name
            return self._reduce_cached
        if issubclass(cls, enum.Enum) and not _should_pickle_by_reference(cls):
            return reduce_member
        return odd_reducer(cls) or _mapped(cls, reducer(cls)) or self._own(cls)

    def _own(self, cls: type) -> Reducer | None:
        if cls in VARIABLES:
            return self._reduce_named
        if not cls.__flags__ & MADE_BY_PYTHON or cls in self.dispatch_table:
            return None
        if not is_default(cls, "__reduce__", "__reduce_ex__"):
            return self._reduce_named
        if _should_pickle_by_reference(cls) or not makes_its_own(cls):
            return None
        return self._classes.reduce_instance

    def _reduce_code(self, code: types.CodeType) -> Any:
        """Return how to make `code`, with the file that it is from, which tracebacks show."""
        make, arguments, *rest = self.dispatch_table[types.CodeType](code)
        named = [code.co_filename if a == "<dynamic-code>" else a for a in arguments]
        return make, tuple(named), *rest

    def _reduce_text_file(self, file: Any) -> Any:
        """Return how to find a standard stream, and refuse what cloudpickle would read and copy.

        Raises:
            PicklingError: If `file` is another one.
        """
        if any(file is each for each in (sys.stdin, sys.stdout, sys.stderr)):
            return NotImplemented
        message = f"cannot pickle an open file, {file.name!r}: its position would not be shared"
        raise pickle.PicklingError(message)

    def _reduce_class(self, cls: type) -> Any:
        if _should_pickle_by_reference(cls):
            return NotImplemented
        if not cls.__flags__ & MADE_BY_PYTHON:
            return super().reducer_override(cls)
        other = reducer(type(cls))
        if other is not None and (reduced := other(cls)) is not NotImplemented:
            return reduced
        return self._noted(cls, self._classes.reduce(cls))

    def _reduce_function(self, function: types.FunctionType) -> Any:
        reduced = super().reducer_override(function)
        if reduced is NotImplemented:
            return reduced
        return self._noted(function, self._functions.shared(function, reduced))

    def derived(self) -> list[type]:
        """Return classes that the pipeline finds by `__subclasses__` only, if it calls that."""
        functions = (obj for obj in self.by_value if isinstance(obj, types.FunctionType))
        if not any(_has_name(function.__code__, "__subclasses__") for function in functions):
            return []
        found = dict.fromkeys(obj for obj in self.by_value if isinstance(obj, type))
        for cls in (left := list(found)):
            new: list[type] = type.__subclasses__(cls)
            new = [sub for sub in new if sub not in found]
            found.update(dict.fromkeys(new))
            left += new
        return list(found)

    def _reduce_module(self, module: types.ModuleType) -> Any:
        by_name = _should_pickle_by_reference(module)
        return NotImplemented if by_name else self._functions.module(module)

    def _reduce_cached(self, function: Any) -> Any:
        reduced = reduce_cached(function)
        return reduced if reduced is NotImplemented else self._noted(function, reduced)

    def _reduce_named(self, obj: Any) -> Any:
        """Return how to make what says that it is found by its name, which it is not there."""
        reduced = self._classes.reduce_instance(obj)
        if reduced is NotImplemented:
            reduced = obj.__reduce_ex__(5)
        if not isinstance(reduced, str) or found_by_name(obj, reduced):
            return reduced
        return self._noted(obj, reduce_global(obj))

    def _noted(self, obj: Any, reduced: Any) -> Any:
        self.by_value.append(obj)
        return reduced


def _has_name(code: types.CodeType, name: str) -> bool:
    inner = (each for each in code.co_consts if isinstance(each, types.CodeType))
    return name in code.co_names or any(_has_name(each, name) for each in inner)


def _mapped(cls: type, found: Reducer | None) -> Reducer | None:
    """Return how to map arrays of files, and to pickle others as `found` does."""
    ndarray = getattr(sys.modules.get("numpy"), "ndarray", None)
    if ndarray is None or not issubclass(cls, ndarray):
        return found
    return lambda array: reduce_memmap(array) or (NotImplemented if found is None else found(array))


def unpicklable(sequence: Any, hook: Any, error: Exception) -> WorkerStartError:
    """Return the error that names what cannot be pickled, and what to do."""
    advice = "or use method='thread', or start_method='fork'"
    if not _picklable(hook):
        message = f"start_hook cannot be sent to worker processes: {error}{_where(hook)}"
        return WorkerStartError(message)
    culprit = next((s for s in upstream(sequence, plain=True) if not _picklable(s)), None)
    if culprit is None or not hasattr(culprit, "_origin"):
        source = sequence if culprit is None else culprit
        message = (
            f"a source of type {type(source).__name__} cannot be sent to worker processes: "
            f"{error}{_where(source)}; {advice[3:]}"
        )
        return WorkerStartError(message)
    file, line = culprit._origin
    message = (
        f"{culprit._describe()}, made at {file}:{line}, cannot be sent to worker processes: "
        f"{type(error).__name__}: {error}{_where(culprit)}; "
        f"make what it needs inside of the function, {advice}"
    )
    return WorkerStartError(message)


def _where(obj: Any) -> str:
    """Return which attribute of a class or variable of a function cannot be pickled, if known."""
    pickler = PipelinePickler(io.BytesIO(), [])
    with suppress(Exception):
        pickler.dump(obj)
    for each in pickler.by_value:
        with suppress(Exception):  # of a function that is not complete, or a class
            for name, value in _parts_of(each):
                if not _picklable(value):
                    return f" (in {each.__qualname__}: {name})"
    return ""


def _parts_of(obj: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a class or function refers to by a name, except other classes and functions."""
    if isinstance(obj, types.FunctionType):
        variables = inspect.getclosurevars(obj)
        parts = {**variables.globals, **variables.nonlocals}
    else:
        parts = dict(vars(obj))
    others: tuple[Any, ...] = types.FunctionType, type, classmethod, staticmethod, property
    others += types.GetSetDescriptorType, types.MemberDescriptorType
    for name, value in parts.items():
        if not isinstance(value, others) and name != "_abc_impl":
            yield name, value


def _picklable(obj: Any) -> bool:
    try:
        PipelinePickler(io.BytesIO(), []).dump(obj)
    except Exception:  # noqa: BLE001 -- code of users may raise anything
        return False
    return True
