"""Objects of the pipeline that neither pickle nor cloudpickle can send as they are."""

import functools
import sys
import typing
import weakref
from collections.abc import Callable
from typing import Any

_alive: list[Any] = []
"""What weak references of the pipeline refer to, in a worker.

In the consumer something else keeps it, which may not be part of the pipeline.
"""

VARIABLES = (typing.TypeVar, typing.ParamSpec, typing.TypeVarTuple, typing.NewType)
"""Classes of what stands for a type, and pickles as a name."""


def with_singles(cls: type, otherwise: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    """Return how to pickle objects of this class, those by name that stand for themselves.

    These are objects of the standard library and of numpy that are variables of the module of
    their class, such as `dataclasses.MISSING`, `os.environ`, and the generators behind the
    functions of `random` and `numpy.random`. A copy would not be what workers have themselves.
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


def odd_reducer(cls: type) -> Callable[[Any], Any] | None:
    """Return how to pickle objects of this class, if it is one of the standard library here."""
    if issubclass(cls, functools.cached_property):
        return _reduce_cached_property
    if cls is getattr(sys.modules.get("random"), "SystemRandom", None):
        return lambda _: (cls, ())  # it has no state
    weak = weakref.ref, weakref.WeakSet, weakref.WeakKeyDictionary, weakref.WeakValueDictionary
    return _reduce_weak if issubclass(cls, weak) else None


def reduce_cached(function: Any) -> Any:
    """Return how to cache the same function anew, if it cannot be imported by its name."""
    module = sys.modules.get(function.__module__)
    if (
        function.__module__ not in {"__main__", "__mp_main__"}
        and getattr(module, function.__qualname__, None) is function
    ):
        return NotImplemented
    parameters = function.cache_parameters()
    arguments = function.__wrapped__, parameters["maxsize"], parameters["typed"]
    return _cached, arguments, vars(function)


def _cached(function: Any, maxsize: int | None, typed: bool) -> Any:  # noqa: FBT001 -- called by pickle
    return functools.lru_cache(maxsize, typed)(function)


def _reduce_cached_property(prop: Any) -> Any:
    """Return how to make a cached property again, with a lock of its own where it has one."""
    state = {name: value for name, value in vars(prop).items() if name != "lock"}
    return _cached_property, (type(prop),), state


def _cached_property(cls: type) -> Any:
    made: Any = object.__new__(cls)
    functools.cached_property.__init__(made, _cached_property)
    return made


def _reduce_weak(obj: Any) -> Any:
    """Return how to make a weak reference, or a collection of such, to the same objects."""
    if isinstance(obj, weakref.ref):
        return _reference, (type(obj), obj())
    if isinstance(obj, weakref.WeakSet):
        return _collection, (type(obj), list(obj))
    return _collection, (type(obj), dict(obj))


def _reference(cls: type, target: Any) -> Any:
    if target is None:
        target = _Dead()
    else:
        _alive.append(target)
    return cls(target)


class _Dead:
    """What a dead reference has referred to."""


def _collection(cls: type, items: Any) -> Any:
    _alive.append(items)
    return cls(items)


def reduce_global(obj: Any) -> Any:
    """Return how to make an object that is found by its name where the pipeline was made."""
    if isinstance(obj, typing.TypeVar):
        options = {"covariant": obj.__covariant__, "contravariant": obj.__contravariant__}
        arguments = obj.__name__, *obj.__constraints__
        return (
            _variable,
            (typing.TypeVar, arguments, options | {"bound": obj.__bound__}),
            _module(obj),
        )
    if isinstance(obj, typing.ParamSpec | typing.TypeVarTuple):
        return _variable, (type(obj), (obj.__name__,), {}), _module(obj)
    if isinstance(obj, typing.NewType):
        arguments = obj.__name__, obj.__supertype__
        return _variable, (typing.NewType, arguments, {}), _module(obj)
    return object.__new__, (type(obj),), obj.__getstate__()


def _variable(kind: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    return kind(*arguments, **options)


def _module(variable: Any) -> dict[str, Any]:
    return {"__module__": variable.__module__}
