"""Objects of the pipeline that neither pickle nor cloudpickle can send as they are."""

import functools
import sys
import typing
import weakref
from collections.abc import Callable
from typing import Any

import cloudpickle

_kept: list[Any] = []
"""The items of weak collections, in a worker. Nothing else may refer to them there."""

VARIABLES = (typing.TypeVar, typing.ParamSpec, typing.TypeVarTuple, typing.NewType)
"""Classes of objects that stand for types, and are pickled by their names."""


def with_singletons(
    cls: type, otherwise: Callable[[Any], Any] | None
) -> Callable[[Any], Any] | None:
    """Return how to pickle objects of this class; those of an imported module by their names.

    These are objects of the standard library and of numpy that are variables of the module of
    their class, such as `dataclasses.MISSING`, `os.environ`, and the generators that the functions
    of `random` and `numpy.random` use. A worker has its own, which a copy would not be.
    """
    package = cls.__module__.partition(".")[0] if isinstance(cls.__module__, str) else ""
    if package != "numpy" and (package not in sys.stdlib_module_names or package == "builtins"):
        return otherwise
    module = sys.modules.get(cls.__module__)
    variables = getattr(module, "__dict__", {})  # a class may name a module that is not there
    names = {id(obj): name for name, obj in variables.items() if type(obj) is cls}
    if not names or issubclass(cls, type):
        return otherwise

    def reduce(obj: Any) -> Any:
        name = names.get(id(obj))
        if name is not None:
            return name
        return NotImplemented if otherwise is None else otherwise(obj)

    return reduce


def standard_library_reducer(cls: type) -> Callable[[Any], Any] | None:
    """Return how to pickle objects of this class of the standard library, `None` as usual."""
    if issubclass(cls, functools.cached_property):
        return _reduce_cached_property
    if cls is getattr(sys.modules.get("random"), "SystemRandom", None):
        return lambda _: (cls, ())  # it has no state
    weak = weakref.WeakSet, weakref.WeakKeyDictionary, weakref.WeakValueDictionary
    return _reduce_weak_collection if issubclass(cls, weak) else None


def reduce_lru_cache(function: Any) -> Any:
    """Return how to cache the same function anew, if it cannot be imported by its name."""
    module = sys.modules.get(function.__module__)
    if (
        function.__module__ not in {"__main__", "__mp_main__"}
        and getattr(module, function.__qualname__, None) is function
    ):
        return NotImplemented
    parameters = function.cache_parameters()
    arguments = function.__wrapped__, parameters["maxsize"], parameters["typed"]
    return _lru_cache, arguments, vars(function)


def _lru_cache(function: Any, maxsize: int | None, typed: bool) -> Any:  # noqa: FBT001 -- called by pickle
    return functools.lru_cache(maxsize, typed)(function)


def _reduce_cached_property(prop: Any) -> Any:
    """Return how to make a cached property again, without its lock, which Python 3.11 has."""
    state = {name: value for name, value in vars(prop).items() if name != "lock"}
    return type(prop), (_cached_property,), state


def _cached_property(_: Any) -> None:
    """Stand for the function of a cached property until its state is set."""


def _reduce_weak_collection(obj: Any) -> Any:
    items: Any = list(obj) if isinstance(obj, weakref.WeakSet) else dict(obj)
    return _weak_collection, (type(obj), items)


def _weak_collection(cls: type, items: Any) -> Any:
    _kept.append(items)
    return cls(items)


def reduce_global(obj: Any) -> Any:
    """Return how to make an object that pickles as a name which a worker does not have."""
    if isinstance(obj, typing.TypeVar):
        return cloudpickle.Pickler.dispatch_table[typing.TypeVar](obj)
    if isinstance(obj, typing.NewType):
        return typing.NewType, (obj.__name__, obj.__supertype__), _module_of(obj)
    if isinstance(obj, VARIABLES):
        return type(obj), (obj.__name__,), _module_of(obj)
    return object.__new__, (type(obj),), obj.__getstate__()


def _module_of(variable: Any) -> dict[str, Any]:
    return {"__module__": variable.__module__}
