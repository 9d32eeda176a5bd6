"""Instances of classes whose `__new__` or `__init__` does not take again what pickle gives it.

pickle calls the class with what its builtin base knows: an exception with its `args`, a number, a
string or a tuple with its value. A class that wants more, or makes something else of that, fails,
or makes another value, and nobody is told. Here such an instance is made by its builtin base.
"""

import enum
import operator
import sys
import types
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_VALUES = (int, float, complex, str, bytes, tuple)
# As exceptions have them, whatever a class of the user makes of these names.
_args = vars(BaseException)["args"]
_message = vars(BaseExceptionGroup)["message"]
_members = vars(BaseExceptionGroup)["exceptions"]


def instance_reducer(cls: type) -> Callable[[Any], Any] | None:
    """Return how to pickle instances of exactly this class, `None` if `pickle` does it well."""
    if issubclass(cls, enum.Enum):
        # lookup by value compares values, which may be equal to none but themselves
        return _reduce_member if _module(cls, "__reduce_ex__") == "enum" else None
    if cls in _kinds_of_ctypes():
        return _reduce_c_type
    if not is_default(cls, "__reduce__", "__reduce_ex__", "__getnewargs_ex__"):
        return None
    if issubclass(cls, BaseException):
        own = any(name in vars(base) for base in _python_bases(cls) for name in _MADE)
        return _reduce_exception if own else None
    if issubclass(cls, _VALUES) and _owner(cls, "__new__") not in {
        None,
        _owner(cls, "__getnewargs__"),
    }:
        return _reduce_value if in_python(vars(_owner(cls, "__new__"))["__new__"]) else None
    return None


MADE_BY_PYTHON = 1 << 9
"""The flag of classes that a statement `class` has made, or could have: `Py_TPFLAGS_HEAPTYPE`."""
_MADE = ("__init__", "__new__", "__slots__")


def in_python(method: Any) -> bool:
    """Return whether what a class has under the name of a method is written in Python."""
    return isinstance(method, types.FunctionType | staticmethod | classmethod)


def builtin_base(cls: type) -> Any:
    """Return the nearest base that is made by a `__new__` that is not written in Python."""
    return next(
        base
        for base in cls.__mro__
        if "__new__" in vars(base) and not in_python(vars(base)["__new__"])
    )


def _owner(cls: type, name: str) -> Any:
    return next((base for base in cls.__mro__ if name in vars(base)), None)


def is_default(cls: type, *names: str) -> bool:
    """Return whether none of the methods `names` is written in Python."""
    owners = ((_owner(cls, name), name) for name in names)
    return not any(owner and in_python(vars(owner)[name]) for owner, name in owners)


def _module(cls: type, name: str) -> Any:
    return getattr(vars(_owner(cls, name))[name], "__module__", None)


def _python_bases(cls: type) -> list[type]:
    return list(cls.__mro__[: cls.__mro__.index(_builtin_exception(cls))])


def _builtin_exception(cls: type) -> Any:
    """Return the nearest base that no statement `class` has made, nor could have."""
    return next(base for base in cls.__mro__ if not base.__flags__ & MADE_BY_PYTHON)


def attributes_of(obj: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes of `obj`: those of its dictionary, and those of its slots."""
    state = object.__getstate__(obj)  # type: ignore[attr-defined, unused-ignore]
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    return attributes or {}, slots or {}


def set_attributes_of(obj: Any, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Set what `attributes_of` has returned, whatever the class says of setting them."""
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


# Classes of ctypes


def _kinds_of_ctypes() -> tuple[type, ...]:
    ctypes = sys.modules.get("ctypes")
    return () if ctypes is None else (type(ctypes.Array), type(ctypes.c_int))


def _reduce_c_type(cls: Any) -> Any:
    """Return how to make a class that was made of another: an array, or one of swapped bytes."""
    if "_length_" in vars(cls) and cls is cls._type_ * cls._length_:
        return operator.mul, (cls._type_, cls._length_)
    native = getattr(cls, _NATIVE, cls)
    if native is not cls and getattr(native, _SWAPPED, None) is cls:
        return getattr, (native, _SWAPPED)
    return NotImplemented


_SWAPPED, _NATIVE = "__ctype_be__", "__ctype_le__"
if sys.byteorder == "big":
    _SWAPPED, _NATIVE = _NATIVE, _SWAPPED


# Numbers, strings and tuples


def _reduce_value(value: Any) -> Any:
    base = builtin_base(type(value))
    arguments = type(value), base, base.__getnewargs__(value)
    return _value, arguments, attributes_of(value), None, None, set_attributes_of


def _value(cls: Any, base: Any, value: tuple[Any, ...]) -> Any:
    with suppress(Exception):  # it may have one instance for each value
        made = cls.__new__(cls, *value)
        if type(made) is cls and base.__getnewargs__(made) == value:
            return made
    return base.__new__(cls, *value)


# Exceptions


def _reduce_exception(error: Any) -> Any:
    base = _builtin_exception(type(error))
    arguments = base.__reduce__(error)[1]
    if isinstance(error, BaseExceptionGroup):
        arguments = _message.__get__(error), list(_members.__get__(error))
    state = _args.__get__(error), attributes_of(error)
    return _exception, (type(error), base, arguments), state, None, None, _set_exception


def _exception(cls: Any, base: Any, arguments: tuple[Any, ...]) -> Any:
    made = base.__new__(cls, *arguments)
    with suppress(TypeError):  # of some, the base takes no others than those that it knows
        base.__init__(made, *arguments)
    return made


def _set_exception(error: Any, state: Any) -> None:
    args, attributes = state
    _args.__set__(error, args)
    set_attributes_of(error, attributes)
