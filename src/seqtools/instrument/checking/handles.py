"""Finds handles in functions and sources: objects that are invalid in another process."""

import functools
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from seqtools._core.display.short import called
from seqtools._core.walk import is_stage
from seqtools.engines.wire.functions import global_names
from seqtools.engines.wire.handle_kinds import kind_of
from seqtools.instrument.user_code import is_users

_MOST_OBJECTS = 2000
"""Most objects to search. Arbitrary: this takes some milliseconds."""
MOST = 5
"""Most handles to report of one function or source. Arbitrary."""
_DEEPEST = 6
"""Most levels of objects in objects to search. Arbitrary."""
_FIRST = 8
"""Items of a container to search. Arbitrary."""

_ATOMS = (
    *(str, bytes, bytearray, int, float, complex, type(None), range, type, types.ModuleType),
    threading.local,  # what is in there belongs to this thread, and is not sent
)


class Handle(NamedTuple):
    """An object that only works in this process."""

    obj: Any
    kind: str
    where: str
    advice: str


def handles(obj: object, name: str, searched: Callable[[Any], bool]) -> Iterator[Handle]:
    """Yield the handles in closures, defaults, attributes and containers of `obj`.

    Args:
        obj: A function, a source or an argument.
        name: Its name in messages.
        searched: Returns whether to search the parts of a function or an object.
    """
    seen: set[int] = set()
    left = [(obj, name, 0)]
    while left and len(seen) < _MOST_OBJECTS:
        each, where, depth = left.pop()
        if id(each) in seen or isinstance(each, _ATOMS):
            continue
        seen.add(id(each))
        kind = kind_of(each)
        if kind is not None:
            yield Handle(each, kind[0], where, kind[1])
        elif depth < _DEEPEST and searched(each):
            named = [(part, f"{label} of {where}", depth + 1) for label, part in _parts_of(each)]
            left.extend(reversed(named))


def _parts_of(obj: Any) -> list[tuple[str, Any]]:
    """Return the objects that `obj` refers to, with names; none if reading them fails."""
    try:
        return list(_parts(obj))
    except Exception:  # noqa: BLE001 -- user code may raise anything
        return []


def _parts(obj: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(obj, types.FunctionType):
        yield from _of_function(obj)
    elif isinstance(obj, types.MethodType):
        yield "the function", obj.__func__
        yield "the object", obj.__self__
    elif isinstance(obj, types.BuiltinMethodType):
        yield "the object", obj.__self__
    elif isinstance(obj, functools.partial):
        yield "the function", obj.func
        yield from ((f"argument {k}", value) for k, value in enumerate(obj.args))
        yield from ((f"argument {key}", value) for key, value in obj.keywords.items())
    elif isinstance(obj, Mapping):
        yield from ((f"[{key!r:.40}]", value) for key, value in islice(obj.items(), _FIRST))
    elif isinstance(obj, list | tuple | set | frozenset):
        yield from ((f"item {k}", value) for k, value in enumerate(islice(obj, _FIRST)))
    elif not is_stage(obj) and not hasattr(type(obj), "shape"):
        names = [*getattr(obj, "__dict__", ()), *_slots(type(obj))]
        yield from ((f"attribute {n}", getattr(obj, n)) for n in names if hasattr(obj, n))
        yield from _methods(type(obj))


def _methods(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the methods that the user wrote."""
    for cls in kind.__mro__[:-1]:
        if is_users_class(cls):
            for name, value in vars(cls).items():
                function = getattr(value, "__func__", value)  # of a static method
                if isinstance(function, types.FunctionType):
                    yield f"method {name}", function


def _slots(kind: type) -> list[str]:
    given = [cls.__dict__.get("__slots__", ()) for cls in kind.__mro__]
    return [name for slots in given for name in ([slots] if isinstance(slots, str) else slots)]


def _of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield f"variable {name}", cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    arguments = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    for name, value in zip(arguments[len(arguments) - len(defaults) :], defaults, strict=False):
        yield f"default {name}", value
    for name, value in (function.__kwdefaults__ or {}).items():
        yield f"default {name}", value
    for name in dict.fromkeys(global_names(code)):
        value = function.__globals__.get(name, function)
        if value is not function and (is_users_function(value) or not _is_imported(value)):
            yield f"global {name}", value


def _is_imported(value: Any) -> bool:
    """Return whether workers import `value` from a module."""
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    return (
        module is not None
        and getattr(module, called(value), None) is value
        and (module.__name__ != "__main__")
    )


def is_users_function(function: Any) -> bool:
    """Return whether the user wrote `function`: not Python, nor an installed package."""
    if not isinstance(function, types.FunctionType):
        return False
    return is_users(function.__code__.co_filename)


def is_users_class(cls: type) -> bool:
    """Return whether the user wrote `cls`."""
    if cls.__module__ == "__main__":
        return True
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return file is not None and is_users(file)
