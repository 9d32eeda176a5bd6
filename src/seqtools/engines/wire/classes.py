"""Classes that are sent by value are made again without calling code of the user.

When a class was made here, its metaclass, `__init_subclass__` and `__set_name__` have registered
it, changed it, or set attributes, and the results are sent as attributes. To call them again would
register the class twice, or fail, because nobody knows the keywords of the class statement. So a
worker makes a bare class, which has only its slots. Then it sets the methods; only then the other
attributes and the variables of the methods, which may be instances of the class.
"""

import abc
import copyreg
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

_NOT_SENT = {"_abc_impl", "__annotate_func__", "__annotations_cache__"}
"""Attributes that Python makes for each class."""
_patching = threading.Lock()


class Classes:
    """How to pickle the classes that one pickler meets."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._places: dict[int, list[type]] = {}
        self._incomplete: set[type] = set()

    def reduce(self, cls: type) -> tuple[Any, ...]:
        """Return how to make `cls` again, as `pickle` asks."""
        # The list is empty here. Where it is loaded, it holds the class, because a class that
        # refers to itself is loaded more than once.
        place = self._places.setdefault(id(cls), [])
        metaclass = None if type(cls) is _metaclass(cls.__bases__) else type(cls)
        bare = place, metaclass, cls.__name__, cls.__bases__, _layout(cls)
        self._incomplete.add(cls)
        attributes = _attributes(cls)
        methods = {name: value for name, value in attributes.items() if _is_method(value)}
        others = {name: value for name, value in attributes.items() if name not in methods}
        steps = (
            self._functions.without_variables(),
            Call(lambda: (_set_attributes, (cls, methods))),
            self._functions.variables(),
            Call(lambda: (_set_attributes, (cls, others))),
            Call(lambda: self._completed(cls)),
        )
        return _bare_class, bare, steps, None, None, _register

    def _completed(self, cls: type) -> tuple[Any, ...]:
        self._incomplete.discard(cls)
        return tuple, (_registered(cls),)

    def reduce_instance(self, obj: Any) -> Any:
        """Return how to make an instance of a class or metaclass with its own way to make them.

        It is not called for an instance that is pickled with its class, such as a singleton,
        because it may need attributes that the class does not have yet.
        """
        cls = type(obj)
        if self._incomplete.isdisjoint((cls, type(cls))) or not makes_its_own(cls):
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
    layout = {"__module__": attributes.get("__module__"), "__qualname__": cls.__qualname__}
    if "__slots__" in attributes:
        slots = [name for name, value in attributes.items() if _is_slot(cls, value)]
        layout["__slots__"] = tuple(slots)
    if "__class__" in attributes:  # set later, it would be the metaclass
        layout["__class__"] = attributes["__class__"]
    return layout


def _is_slot(cls: type, value: Any) -> bool:
    return (
        isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType)
        and value.__objclass__ is cls
    )


def _is_method(value: Any) -> bool:
    if type(value) is property:
        parts = value.fget, value.fset, value.fdel
        return all(isinstance(part, types.FunctionType | None) for part in parts)
    function = value.__func__ if type(value) in {classmethod, staticmethod} else value
    return isinstance(function, types.FunctionType)


def _attributes(cls: type) -> dict[str, Any]:
    """Return the attributes to be set on a class that was made bare."""
    left_out = {"__module__", "__qualname__", "__class__", *_NOT_SENT}
    return {
        name: value
        for name, value in vars(cls).items()
        if name not in left_out and not _is_slot(cls, value)
    }


def _registered(cls: type) -> tuple[list[type], Any]:
    """Return the classes that count as derived from `cls`, and how its instances are pickled."""
    others: list[type] = []
    if isinstance(cls, abc.ABCMeta):
        found = (ref() for ref in abc._get_dump(cls)[0])  # type: ignore[attr-defined]  # noqa: SLF001
        others = [other for other in found if other is not None]
    return others, copyreg.dispatch_table.get(cls)


def _metaclass(bases: tuple[type, ...]) -> type:
    """Return the metaclass of a class that derives from `bases` and names none."""
    found = [type(base) for base in bases]
    return next(each for each in found if all(issubclass(each, other) for other in found))


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
    except (AttributeError, KeyError, TypeError, Warning):  # deprecated, where this is an error
        return False


# Functions that are called where a class is loaded


def _bare_class(
    place: list[type],
    metaclass: type | None,
    name: str,
    bases: tuple[type, ...],
    layout: dict[str, Any],
) -> type:
    if not place:
        metaclass = metaclass or _metaclass(bases)
        with _without_init_subclass(bases):
            cls = _builtin(metaclass, "__new__")(metaclass, name, bases, layout)
        if issubclass(metaclass, abc.ABCMeta):
            abc._abc_init(cls)  # type: ignore[attr-defined]  # noqa: SLF001
        place.append(cls)
    return place[0]


def _builtin(cls: type, name: str) -> Any:
    """Return the method of the nearest class that is not written in Python."""
    found = (vars(base)[name] for base in cls.__mro__ if name in vars(base))
    return next(each for each in found if not in_python(each))


@contextmanager
def _without_init_subclass(bases: tuple[type, ...]) -> Iterator[None]:
    """Replace each `__init_subclass__` of `bases` by one that does nothing."""
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


def reduce_member(member: enum.Enum) -> tuple[Any, ...]:
    """Return how to make a member of an enumeration that is sent by value.

    A member is part of its class, so it cannot be looked up there.
    """
    cls: Any = type(member)
    base = builtin_base(cls._member_type_)
    arguments: tuple[Any, ...] = ()
    if hasattr(base, "__getnewargs__"):
        arguments = base.__getnewargs__(member)
    elif base is not object:
        arguments = base.__reduce_ex__(member, 4)[1]
    state = attributes_of(member)
    return base.__new__, (cls, *arguments), state, None, None, set_attributes_of
