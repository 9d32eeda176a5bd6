"""Classes that are sent by value are made again as they are, without calling code of users.

What made a class has been done already: its metaclass, `__init_subclass__` and `__set_name__`
have registered it, changed it, or set attributes, and all of that is state which travels. To
call them again would register the class twice, or fail, because nobody knows with which keywords
a class was made. So a class is made bare, with its slots and nothing else. Then its methods are
set; only then its other attributes and the variables of its methods, among which may be
instances of it.
"""

import abc
import copyreg
import ctypes
import enum
import operator
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from seqtools.engines.wire.functions import Call, Functions
from seqtools.engines.wire.instances import (
    MADE_BY_PYTHON,
    attributes_of,
    builtin_base,
    in_python,
    is_default,
    set_attributes_of,
)

_EARLY = ("_align_", "_anonymous_", "_fields_", "_layout_", "_length_", "_pack_", "_type_")
"""Attributes of a class of ctypes that give it its layout."""
_C_TYPES = (ctypes.Structure, ctypes.Union, ctypes.Array, ctypes._SimpleCData)  # noqa: SLF001 -- it has no other name
_patching = threading.Lock()


class Classes:
    """How to pickle the classes that one pickler meets."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._places: dict[int, list[type]] = {}
        self._begun: set[type] = set()

    def reduce(self, cls: type) -> tuple[Any, ...]:
        """Return how to make `cls` again, as `pickle` asks."""
        # is empty here; where it is loaded, it holds the class, which is loaded more than once
        # if it refers to itself
        place = self._places.setdefault(id(cls), [])
        kind = None if type(cls) is _kind(cls.__bases__) else type(cls)
        bare = place, kind, cls.__name__, cls.__bases__, _layout(cls)
        self._begun.add(cls)
        attributes = _attributes(cls)
        methods = {name: value for name, value in attributes.items() if _is_method(value)}
        others = {name: value for name, value in attributes.items() if name not in methods}
        steps = (
            self._functions.without_variables(),
            Call(lambda: (_set_attributes, (cls, methods))),
            self._functions.variables(),
            Call(lambda: (_set_attributes, (cls, others))),
            Call(lambda: self._ended(cls)),
        )
        return _bare_class, bare, steps, None, None, _register

    def _ended(self, cls: type) -> tuple[Any, ...]:
        self._begun.discard(cls)
        return tuple, (_registered(cls),)

    def reduce_instance(self, obj: Any) -> Any:
        """Return how to make an instance of a class that has a way of its own to make them.

        It does not come into play for an instance that is part of the state of its class or
        metaclass, as a singleton is, because that state is not there by then.
        """
        cls = type(obj)
        if self._begun.isdisjoint((cls, type(cls))) or not makes_its_own(cls):
            return NotImplemented
        base = builtin_base(cls)
        arguments = base.__getnewargs__(obj) if hasattr(base, "__getnewargs__") else ()
        return base.__new__, (cls, *arguments), obj.__getstate__()


def makes_its_own(cls: type) -> bool:
    """Return whether a class has a way of its own to make instances."""
    return not (is_default(cls, "__new__") and is_default(type(cls), "__call__"))


def _layout(cls: type) -> dict[str, Any]:
    """Return what a class must have when it is made."""
    attributes = vars(cls)
    names = [name for name in _EARLY if name in attributes] if issubclass(cls, _C_TYPES) else []
    layout = {name: attributes[name] for name in ("__module__", *names) if name in attributes}
    layout["__qualname__"] = cls.__qualname__
    if "__slots__" in attributes:
        # as they are, whatever `__slots__` is: it may be used up
        slots = [name for name, value in attributes.items() if _is_slot(cls, value)]
        layout["__slots__"] = tuple(slots)
    elif isinstance(attributes.get("__dict__"), property):
        layout["__dict__"] = attributes["__dict__"]
    return layout


def _is_slot(cls: type, value: Any) -> bool:
    return (
        isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType)
        and value.__objclass__ is cls
    )


def _is_method(value: Any) -> bool:
    if isinstance(value, property):
        parts = value.fget, value.fset, value.fdel
        return type(value) is property and all(
            isinstance(part, types.FunctionType | None) for part in parts
        )
    function = value.__func__ if type(value) in {classmethod, staticmethod} else value
    return isinstance(function, types.FunctionType)


def _attributes(cls: type) -> dict[str, Any]:
    """Return the attributes to be set on a class that was made bare."""
    left_out = {*_layout(cls), "_abc_impl", "__annotate_func__", "__annotations_cache__"}
    left_out -= {"__slots__"}
    return {
        name: value
        for name, value in vars(cls).items()
        if name not in left_out
        and not _is_slot(cls, value)
        and type(value).__name__ != "CField"  # as the fields say
        and not (name == "__slots__" and isinstance(value, Iterator))
    }


def _registered(cls: type) -> tuple[list[type], Any]:
    """Return the classes that count as derived from `cls`, and how its instances are pickled."""
    others: list[type] = []
    if isinstance(cls, abc.ABCMeta):
        found = (ref() for ref in abc._get_dump(cls)[0])  # type: ignore[attr-defined]  # noqa: SLF001
        others = [other for other in found if other is not None]
    return others, copyreg.dispatch_table.get(cls)


def _kind(bases: tuple[type, ...]) -> type:
    """Return the metaclass of what derives from `bases`, unless another one is asked for."""
    kinds = [type(base) for base in bases]
    return next(kind for kind in kinds if all(issubclass(kind, other) for other in kinds))


def classes_by_value() -> list[type]:
    """Return the classes of this process that cannot be imported by their names.

    A process that is forked has them too, and refers to them by their places in this list.
    """
    found: dict[type, None] = {}
    left: list[type] = [object]
    while left:
        derived: list[type] = type.__subclasses__(left.pop())
        derived = [cls for cls in derived if cls not in found]
        found.update(dict.fromkeys(derived))
        left += derived
    return [cls for cls in found if cls.__flags__ & MADE_BY_PYTHON and not found_by_name(cls)]


def found_by_name(obj: Any, name: str | None = None) -> bool:
    """Return whether `obj` can be imported."""
    module: Any = getattr(obj, "__module__", None)
    if module in {"__main__", "__mp_main__"}:
        return False
    try:
        return operator.attrgetter(name or obj.__qualname__)(sys.modules[module]) is obj
    except (AttributeError, KeyError, TypeError):
        return False


# Where they are loaded


def _bare_class(
    place: list[type],
    kind: type | None,
    name: str,
    bases: tuple[type, ...],
    layout: dict[str, Any],
) -> type:
    if not place:
        kind = kind or _kind(bases)
        with _quiet(bases):
            cls = _builtin(kind, "__new__")(kind, name, bases, layout)
        if issubclass(kind, abc.ABCMeta):
            abc._abc_init(cls)  # type: ignore[attr-defined]  # noqa: SLF001
        place.append(cls)
    return place[0]


def _builtin(cls: type, name: str) -> Any:
    """Return the method of the nearest class that is not written in Python."""
    found = (vars(base)[name] for base in cls.__mro__ if name in vars(base))
    return next(each for each in found if not in_python(each))


@contextmanager
def _quiet(bases: tuple[type, ...]) -> Iterator[None]:
    """Have no `__init_subclass__` of `bases` called."""
    hooks = {
        cls: vars(cls)["__init_subclass__"]
        for base in bases
        for cls in base.__mro__
        if in_python(vars(cls).get("__init_subclass__"))
    }
    with _patching:
        try:
            for cls in hooks:
                type.__setattr__(cls, "__init_subclass__", classmethod(_do_nothing))
            yield
        finally:
            for cls, hook in hooks.items():
                type.__setattr__(cls, "__init_subclass__", hook)


def _do_nothing(*_: Any, **__: Any) -> None:
    pass


def _set_attributes(cls: Any, attributes: dict[str, Any]) -> None:
    set_attribute = _builtin(type(cls), "__setattr__")
    for name, value in attributes.items():
        set_attribute(cls, name, value)


def _register(cls: Any, steps: tuple[Any, ...]) -> None:
    others, reduce = steps[-1]
    for other in others:
        abc.ABCMeta.register(cls, other)
    if reduce is not None:
        copyreg.pickle(cls, reduce)


# Members of enumerations


def reduce_member(member: enum.Enum) -> tuple[Any, ...]:
    """Return how to make a member of an enumeration that is sent by value.

    It is part of its class, so it cannot be looked up there.
    """
    cls: Any = type(member)
    owner = builtin_base(cls._member_type_)
    arguments: tuple[Any, ...] = ()
    if hasattr(owner, "__getnewargs__"):
        arguments = owner.__getnewargs__(member)
    elif owner is not object:
        arguments = owner.__reduce_ex__(member, 4)[1]
    state = attributes_of(member)
    return owner.__new__, (cls, *arguments), state, None, None, set_attributes_of
