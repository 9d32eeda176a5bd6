"""Generic and abstract classes, and classes with metaclasses and descriptors.

Run as a program, and in a function: see `tests/values/test_kinds.py`.
"""

# mypy: ignore-errors

import abc
import collections
import collections.abc
import functools
import sys
import typing

ROWS = {}


class Base:
    """Compares by its attributes."""

    def __init__(self, x=3):
        self.x = x

    def __eq__(self, other):
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self):
        return hash(self.x)


T = typing.TypeVar("T")

# Generic, protocols, abstract classes


class Box(typing.Generic[T]):
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return type(other) is type(self) and self.x == other.x

    __hash__ = None

    def get(self) -> T:
        return self.x


class IntBox(Box[int]):
    pass


@typing.runtime_checkable
class Sized_(typing.Protocol):
    def size(self) -> int: ...


class Thing(Base):
    def size(self):
        return 3


class ThingByName(Base, Sized_):
    def size(self):
        return 3


class Abstract(abc.ABC):
    @property
    @abc.abstractmethod
    def area(self): ...

    @abc.abstractmethod
    def name(self): ...


class Concrete(Base, Abstract):
    area = 3

    def name(self):
        return "concrete"


class Registered(Base):
    pass


Abstract.register(Registered)


class Seq(collections.abc.Sequence):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]

    def __eq__(self, other):
        return type(other) is type(self) and self.items == other.items

    __hash__ = None


class Matrix(Base):
    def __class_getitem__(cls, item):
        return f"{cls.__name__} of {item}"


ROWS["Generic"] = lambda: (Box(3), Box[int](3), IntBox(3), Box(3).get())
ROWS["Generic alias"] = lambda: (Box[int], Box[T], list[Box[int]], typing.Optional[Box], Box | None)
ROWS["TypeVar"] = lambda: T
ROWS["Protocol"] = lambda: (
    Thing(),
    isinstance(Thing(), Sized_),
    isinstance(3, Sized_),
    ThingByName(),
)
ROWS["ABC"] = lambda: (Concrete(), isinstance(Concrete(), Abstract), Concrete().name())
ROWS["ABC registered"] = lambda: (Registered(), isinstance(Registered(), Abstract))
ROWS["ABC refuses"] = lambda: abstract_refused()
ROWS["Sequence"] = lambda: (Seq([1, 2]), 2 in Seq([1, 2]))
ROWS["class_getitem"] = lambda: (Matrix(), Matrix[3])


def abstract_refused():
    try:
        Abstract()
    except TypeError as error:
        return str(error)


# Metaclasses, registries, __init_subclass__


class Meta(type):
    registry = {}

    def __new__(mcs, name, bases, namespace, **options):
        cls = super().__new__(mcs, name, bases, namespace)
        if name in mcs.registry:
            raise TypeError(f"there is a class {name} already")
        mcs.registry[name] = cls
        return cls

    def __init__(cls, name, bases, namespace, **options):
        super().__init__(name, bases, namespace)
        cls.made = len(type(cls).registry)

    def __call__(cls, *args):
        obj = super().__call__(*args)
        obj.called = True
        return obj


class Plugin(Base, metaclass=Meta):
    pass


class OtherPlugin(Plugin, option=3):
    pass


class Prepared(type):
    @classmethod
    def __prepare__(mcs, name, bases, **options):
        return collections.OrderedDict(prepared=name)

    def __new__(mcs, name, bases, namespace, *, tag):
        cls = super().__new__(mcs, name, bases, dict(namespace))
        cls.tag = tag
        return cls

    def __init__(cls, name, bases, namespace, *, tag):
        super().__init__(name, bases, namespace)


class Tagged(Base, metaclass=Prepared, tag="t"):
    pass


class Formats:
    known = {}

    def __init_subclass__(cls, ext, **options):
        super().__init_subclass__(**options)
        if ext in Formats.known:
            raise ValueError(f"two classes for {ext}")
        Formats.known[ext] = cls
        cls.ext = ext


class Png(Formats, Base, ext="png"):
    pass


class Jpg(Png, ext="jpg"):
    pass


class Needs:
    def __init_subclass__(cls):
        if not hasattr(cls, "needed"):
            raise TypeError("a class needs something")
        cls.seen = [cls.needed]


class Has(Needs, Base):
    needed = 3


ROWS["metaclass"] = lambda: (Plugin(), OtherPlugin(), Plugin().called, Plugin.made)
ROWS["metaclass registry"] = lambda: (sorted(Meta.registry), Meta.registry["Plugin"] is Plugin)
ROWS["metaclass prepare"] = lambda: (Tagged(), Tagged.tag, Tagged.prepared)
ROWS["init_subclass"] = lambda: (Png(), Jpg(), Jpg.ext, Has(), Has.seen)
ROWS["init_subclass registry"] = lambda: (Formats.known["png"] is Png, list(Formats.known))


# Descriptors and what is computed


class Typed:
    def __set_name__(self, owner, name):
        self.name = "_" + name
        owner.typed = [*getattr(owner, "typed", []), name]

    def __get__(self, obj, owner=None):
        return self if obj is None else getattr(obj, self.name)

    def __set__(self, obj, value):
        if not isinstance(value, int):
            raise TypeError(f"no int: {value}")
        setattr(obj, self.name, value)


class Described(Base):
    x = Typed()
    y = Typed()

    def __init__(self):
        self.x, self.y = 3, 4


class Computed(Base):
    calls = 0

    @property
    def double(self):
        return 2 * self.x

    @double.setter
    def double(self, value):
        self.x = value // 2

    @functools.cached_property
    def triple(self):
        return 3 * self.x

    @functools.lru_cache
    def kept(self, y):
        return self.x + y

    @functools.singledispatchmethod
    def show(self, arg):
        return "any"

    @show.register
    def _(self, arg: int):
        return "int"

    method = functools.partialmethod(lambda self, y: self.x * y, 4)

    @staticmethod
    def static():
        return 1

    @classmethod
    def made(cls):
        return cls(9)

    class Inner(Base):
        class Deep(Base):
            pass


def computed():
    c = Computed()
    c.double = 8
    return c, c.triple, c.kept(2), c.show(3), c.show("x"), c.method(), c.static(), c.made()


ROWS["descriptor"] = lambda: (Described(), Described().x, Described.typed)
ROWS["computed"] = computed
ROWS["nested"] = lambda: (Computed.Inner(), Computed.Inner.Deep())


class Shape(Base):
    pass


class Square(Shape):
    pass


class SmallSquare(Square):
    pass


sys.kept = SmallSquare  # by what does not travel

ROWS["subclasses"] = lambda: [len(cls.__subclasses__()) for cls in (Shape, *Shape.__subclasses__())]
