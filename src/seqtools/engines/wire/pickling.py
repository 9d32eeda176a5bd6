"""Pickling a pipeline."""

import enum
import functools
import importlib
import io
import pickle
import sys
import types
from contextlib import suppress
from typing import Any

import cloudpickle
from cloudpickle.cloudpickle import _should_pickle_by_reference

from seqtools._core.source_code import with_file
from seqtools.engines.wire.arrays import Reducer, reducer
from seqtools.engines.wire.classes import Classes, found_by_name, makes_its_own, reduce_member
from seqtools.engines.wire.functions import Functions
from seqtools.engines.wire.instances import MADE_BY_PYTHON, is_default
from seqtools.engines.wire.memmaps import reduce_memmap
from seqtools.engines.wire.special_objects import (
    VARIABLES,
    reduce_global,
    reduce_lru_cache,
    standard_library_reducer,
    with_singletons,
)


class PipelinePickler(cloudpickle.Pickler):  # type: ignore[misc] # cloudpickle has no types
    """Pickles a pipeline, and lists what it sends by value: objects, and the files of code."""

    def __init__(self, file: Any, buffers: list[pickle.PickleBuffer]) -> None:
        main = sys.modules.get("__mp_main__")
        if main is not None:  # the script, in a child that multiprocessing has spawned
            cloudpickle.register_pickle_by_value(main)
        super().__init__(file, protocol=5, buffer_callback=buffers.append)
        self.by_value: list[Any] = []
        self.files: set[str] = set()
        self._functions = Functions()
        self._classes = Classes(self._functions)
        self._reducers: dict[type, Reducer | None] = {}

    def reducer_override(self, obj: Any) -> Any:
        """Return how to pickle `obj`, as `pickle` asks."""
        cls = type(obj)
        try:
            reduce = self._reducers[cls]
        except KeyError:
            reduce = self._reducers[cls] = with_singletons(cls, self._reducer(cls))
        return NotImplemented if reduce is None else reduce(obj)

    def _reducer(self, cls: type) -> Reducer | None:  # noqa: PLR0911 -- one for each kind
        """Return how to pickle objects of exactly this class, `None` if `pickle` does it well."""
        if cls is types.CodeType:
            return self._reduce_code
        if issubclass(cls, io.TextIOWrapper):
            return _refuse_text_file
        if issubclass(cls, type):
            return self._reduce_class
        if cls is types.FunctionType:
            return self._reduce_function
        if issubclass(cls, types.ModuleType):
            return self._reduce_module
        if cls is functools._lru_cache_wrapper:  # noqa: SLF001 -- it has no other name
            return self._reduce_lru_cache
        if issubclass(cls, enum.Enum) and not _should_pickle_by_reference(cls):
            return reduce_member
        found = standard_library_reducer(cls) or _with_mapped_files(cls, reducer(cls))
        return found or self._reducer_of_instances(cls)

    def _reducer_of_instances(self, cls: type) -> Reducer | None:
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
        """Return how to make `code`, with the name of its file, which tracebacks show."""
        self.files.add(code.co_filename)
        return with_file(self.dispatch_table[types.CodeType](code), code)

    def _reduce_class(self, cls: type) -> Any:
        _import_submodule(cls.__module__)
        if _should_pickle_by_reference(cls):
            return NotImplemented
        if not cls.__flags__ & MADE_BY_PYTHON:
            return super().reducer_override(cls)
        return self._listed(cls, self._classes.reduce(cls))

    def _reduce_function(self, function: types.FunctionType) -> Any:
        reduced = super().reducer_override(function)
        if reduced is NotImplemented:
            return reduced
        return self._listed(function, self._functions.shared(function, reduced))

    def _reduce_module(self, module: types.ModuleType) -> Any:
        by_name = _should_pickle_by_reference(module)
        return NotImplemented if by_name else self._functions.module(module)

    def _reduce_lru_cache(self, function: Any) -> Any:
        reduced = reduce_lru_cache(function)
        return reduced if reduced is NotImplemented else self._listed(function, reduced)

    def _reduce_named(self, obj: Any) -> Any:
        """Return how to make an object that may say that it is found by a name."""
        reduced = self._classes.reduce_instance(obj)
        if reduced is NotImplemented:
            reduced = obj.__reduce_ex__(5)
        if not isinstance(reduced, str) or found_by_name(obj, reduced):
            return reduced
        return self._listed(obj, reduce_global(obj))

    def _listed(self, obj: Any, reduced: Any) -> Any:
        self.by_value.append(obj)
        return reduced

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


def _import_submodule(name: object) -> None:
    """Import a module of a package that is imported, where a class says that it is found.

    Packages import some modules when they are first used, as numpy does with `numpy.rec`. The class
    would be copied, and be another one in workers.
    """
    if not isinstance(name, str) or name in sys.modules or "." not in name:
        return
    if name.partition(".")[0] in sys.modules:
        with suppress(Exception):  # code of others may raise anything
            importlib.import_module(name)


def _has_name(code: types.CodeType, name: str) -> bool:
    inner = (each for each in code.co_consts if isinstance(each, types.CodeType))
    return name in code.co_names or any(_has_name(each, name) for each in inner)


def _refuse_text_file(file: Any) -> Any:
    """Have a standard stream found by its name; refuse what cloudpickle would read and copy.

    Raises:
        PicklingError: If `file` is another one.
    """
    if any(file is each for each in (sys.stdin, sys.stdout, sys.stderr)):
        return NotImplemented
    name = getattr(file, "name", file.buffer)
    message = f"cannot pickle an open file, {name!r}: its position would not be shared"
    raise pickle.PicklingError(message)


def _with_mapped_files(cls: type, otherwise: Reducer | None) -> Reducer | None:
    """Return how to map arrays of mapped files, and to pickle others as `otherwise` does."""
    ndarray = getattr(sys.modules.get("numpy"), "ndarray", None)
    if ndarray is None or not issubclass(cls, ndarray):
        return otherwise

    def reduce(array: Any) -> Any:
        mapped = reduce_memmap(array)
        if mapped is not None:
            return mapped
        return NotImplemented if otherwise is None else otherwise(array)

    return reduce
