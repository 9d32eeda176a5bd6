"""Objects of the pipeline that neither pickle nor cloudpickle can send as they are.

A lock that an object of the standard library has for itself is made anew. Weak references refer to
the copies of what they refer to here, which exist in a worker as long as the worker.
"""

import functools
import gc
import logging
import pickle
import sys
import threading
import types
import typing
import weakref
from collections.abc import Callable
from typing import Any

import cloudpickle

from seqtools.engines.wire.classes import found_by_name
from seqtools.engines.wire.functions import Call
from seqtools.engines.wire.instances import is_default
from seqtools.engines.wire.log_levels import made_logger
from seqtools.engines.wire.own_values import reduce_local, reduce_variable

_kept: list[Any] = []
"""What weak references refer to, in a worker. Nothing else may refer to it there."""

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
    names = [f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__]
    if names[0] in _REDUCERS:
        return _REDUCERS[names[0]]
    found = next((_OF_DERIVED[name] for name in names if name in _OF_DERIVED), None)
    if found is None or found in {_reduce_weak_collection, _reduce_logger}:
        return found
    return found if is_default(cls, "__reduce__", "__reduce_ex__", "__getstate__") else None


def reduce_lru_cache(function: Any) -> Any:
    """Return how to cache the same function anew, if it cannot be imported by its name."""
    if found_by_name(function):
        return NotImplemented
    parameters = function.cache_parameters()
    arguments = function.__wrapped__, parameters["maxsize"], parameters["typed"]
    return _lru_cache, arguments, vars(function)


def _lru_cache(function: Any, maxsize: int | None, typed: bool) -> Any:  # noqa: FBT001 -- called by pickle
    return functools.lru_cache(maxsize, typed)(function)


def _with_new_lock(name: str) -> Callable[[Any], Any]:
    """Return how to pickle objects whose attribute `name` is a lock that only they use."""

    def reduce(obj: Any) -> Any:
        make, arguments, state, *rest = obj.__reduce_ex__(5)
        attributes, *slots = state if isinstance(state, tuple) else (state,)
        if name in attributes:
            attributes = {**attributes, name: Call(lambda: (threading.RLock, ()))}
        return make, arguments, (attributes, *slots) if slots else attributes, *rest

    return reduce


def _reduce_weak_collection(obj: Any) -> Any:
    items: Any = list(obj) if isinstance(obj, weakref.WeakSet) else dict(obj)
    return _weak_collection, (type(obj), items)


def _weak_collection(cls: type, items: Any) -> Any:
    _kept.append(items)
    return cls(items)


def _reduce_weak_reference(reference: Any) -> Any:
    return _weak_reference, (type(reference), reference())


def _reduce_weak_proxy(proxy: Any) -> Any:
    try:
        obj = proxy.__reduce_ex__.__self__
    except ReferenceError:
        obj = None
    return _weak_reference, (weakref.proxy, obj)


def _weak_reference(make: Callable[[Any], Any], obj: Any) -> Any:
    if obj is None:
        return make(_Gone().method if make is weakref.WeakMethod else _Gone())
    _kept.append(obj)
    return make(obj)


class _Gone:
    """What a dead reference refers to."""

    def method(self) -> None:
        """Stand for the method of a dead `WeakMethod`."""


def _reduce_scanner(scanner: Any) -> Any:
    hooks = "object_hook", "object_pairs_hook", "parse_float", "parse_int", "parse_constant"
    return _scanner, ({name: getattr(scanner, name) for name in ("strict", *hooks)},)


def _scanner(options: dict[str, Any]) -> Any:
    from json import scanner

    make: Any = scanner.make_scanner
    return make(types.SimpleNamespace(**options))


def _reduce_key(key: Any) -> Any:
    """Return how to make what `functools.cmp_to_key` has returned."""
    _, *referents = gc.get_referents(key)  # its class, the function, and an item if it is a key
    return (functools.cmp_to_key, tuple(referents)) if len(referents) == 1 else NotImplemented


def _reduce_logger(logger: Any) -> Any:
    """Return how to make a logger of a class of its own, which pickles as a name otherwise."""
    cls: Any = type(logger)
    as_usual = cls.__reduce__ is logging.Logger.__reduce__ and is_default(cls, "__reduce_ex__")
    if cls in {logging.Logger, logging.RootLogger} or not as_usual:
        return NotImplemented
    known: Any = logging.root.manager.loggerDict
    if known.get(logger.name) is not logger:
        return NotImplemented  # then `pickle` refuses it
    return made_logger, (cls, logger.name)


def _refuse_library(library: Any) -> Any:
    message = f"cannot pickle a library that ctypes has loaded, {library._name!r}"
    raise pickle.PicklingError(message)


_REDUCERS: dict[str, Callable[[Any], Any]] = {
    "random.SystemRandom": lambda generator: (type(generator), ()),  # it has no state
    "weakref.ReferenceType": _reduce_weak_reference,
    "weakref.WeakMethod": _reduce_weak_reference,
    "weakref.ProxyType": _reduce_weak_proxy,
    "weakref.CallableProxyType": _reduce_weak_proxy,
    "_contextvars.ContextVar": reduce_variable,
    "_struct.Struct": lambda struct: (type(struct), (struct.format,)),
    "_json.Scanner": _reduce_scanner,
    "functools.KeyWrapper": _reduce_key,
}
"""How to pickle objects of exactly a class, by its name: most programs do not import its module."""

_OF_DERIVED: dict[str, Callable[[Any], Any]] = {
    "weakref.WeakSet": _reduce_weak_collection,
    "weakref.WeakKeyDictionary": _reduce_weak_collection,
    "weakref.WeakValueDictionary": _reduce_weak_collection,
    "_thread._local": reduce_local,
    "functools.cached_property": _with_new_lock("lock"),  # of Python 3.11
    "logging.Handler": _with_new_lock("lock"),
    "logging.Logger": _reduce_logger,
    "http.cookiejar.CookieJar": _with_new_lock("_cookies_lock"),
    "ctypes.CDLL": _refuse_library,
}
"""The same for a class and those derived from it."""


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
