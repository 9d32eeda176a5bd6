"""Instances of classes whose `__new__` or `__init__` takes other arguments than pickle has.

pickle calls the class with what its builtin base knows: for an exception its `args`, for a number,
a string or a tuple its value. If the class needs other arguments, that fails; if it changes them,
the result is another value, silently. Here, the builtin base makes the instance.
"""

import enum
import types
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_VALUES = (int, float, complex, str, bytes, tuple)
# As exceptions have them, whatever a class of the user makes of these names.
_args = vars(BaseException)["args"]
_message = vars(BaseExceptionGroup)["message"]
_members = vars(BaseExceptionGroup)["exceptions"]

MADE_BY_PYTHON = 1 << 9
"""The flag of classes that a class statement makes, or could make: `Py_TPFLAGS_HEAPTYPE`."""
_CONSTRUCTION = ("__init__", "__new__", "__slots__")


def instance_reducer(cls: type) -> Callable[[Any], Any] | None:
    """Return how to pickle instances of exactly this class, `None` if `pickle` does it well."""
    if issubclass(cls, enum.Enum):
        # Python looks members up by their values, which need not be equal to their copies.
        usual = getattr(cls.__reduce_ex__, "__module__", None) == "enum"
        return _reduce_member if usual else None
    if not is_default(cls, "__reduce__", "__reduce_ex__", "__getnewargs_ex__"):
        return None
    if issubclass(cls, BaseException):
        own = any(name in vars(base) for base in _python_bases(cls) for name in _CONSTRUCTION)
        return _reduce_exception if own else None
    if issubclass(cls, _VALUES) and not is_default(cls, "__new__"):
        knows_arguments = _owner(cls, "__new__") is _owner(cls, "__getnewargs__")
        return None if knows_arguments else _reduce_value
    return None


def in_python(method: Any) -> bool:
    """Return whether an attribute of a class is a method that is written in Python."""
    return isinstance(method, types.FunctionType | staticmethod | classmethod)


def builtin_base(cls: type) -> Any:
    """Return the nearest base with a `__new__` that is not written in Python."""
    return next(
        base
        for base in cls.__mro__
        if "__new__" in vars(base) and not in_python(vars(base)["__new__"])
    )


def is_default(cls: type, *names: str) -> bool:
    """Return whether none of the methods `names` is written in Python."""
    owners = ((_owner(cls, name), name) for name in names)
    return not any(owner and in_python(vars(owner)[name]) for owner, name in owners)


def _owner(cls: type, name: str) -> Any:
    return next((base for base in cls.__mro__ if name in vars(base)), None)


def _python_bases(cls: type) -> list[type]:
    return list(cls.__mro__[: cls.__mro__.index(_builtin_exception(cls))])


def _builtin_exception(cls: type) -> Any:
    return next(base for base in cls.__mro__ if not base.__flags__ & MADE_BY_PYTHON)


def attributes_of(obj: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes of `obj`: those of its dictionary, and those of its slots."""
    state = object.__getstate__(obj)  # type: ignore[attr-defined, unused-ignore]
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    return attributes or {}, slots or {}


def set_attributes_of(obj: Any, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Set what `attributes_of` has returned, even if the class forbids to set attributes."""
    attributes, slots = state
    if attributes:
        vars(obj).update(attributes)
    for name, value in slots.items():
        object.__setattr__(obj, name, value)


# Members of enumerations


def _reduce_member(member: Any) -> Any:
    name = member._name_
    if type(member)._member_map_.get(name) is not member:  # several flags at once
        return NotImplemented
    return _member, (type(member), name)


def _member(cls: Any, name: str) -> Any:
    return cls._member_map_[name]


# Numbers, strings and tuples


def _reduce_value(value: Any) -> Any:
    base = builtin_base(type(value))
    arguments = type(value), *base.__getnewargs__(value)
    return base.__new__, arguments, attributes_of(value), None, None, set_attributes_of


# Exceptions


def _reduce_exception(error: Any) -> Any:
    base = _builtin_exception(type(error))
    arguments = base.__reduce__(error)[1]
    if isinstance(error, BaseExceptionGroup):
        arguments = _message.__get__(error), list(_members.__get__(error))
    state = _args.__get__(error), attributes_of(error)
    return _exception, (type(error), base, arguments), state, None, None, _set_exception


def _exception(cls: Any, base: Any, arguments: tuple[Any, ...]) -> Any:
    error = base.__new__(cls, *arguments)
    with suppress(TypeError):  # some bases take no arguments but those that they know
        base.__init__(error, *arguments)
    return error


def _set_exception(error: Any, state: Any) -> None:
    args, attributes = state
    _args.__set__(error, args)
    set_attributes_of(error, attributes)
