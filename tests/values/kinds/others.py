"""Functions with state, classes made in other ways, and those of libraries.

Run as a program, and in a function: see `tests/values/test_kinds.py`.
"""

# mypy: ignore-errors

import array
import collections
import datetime
import decimal
import enum
import fractions
import functools
import re
import typing
import uuid
import weakref

import numpy as np

ROWS = {}


class Base:
    """Compares by its attributes."""

    def __init__(self, x=3):
        self.x = x

    def __eq__(self, other):
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self):
        return hash(self.x)


class Color(enum.Enum):
    RED = 1


class Point(typing.NamedTuple):
    x: int
    y: float = 1.0


class Thing(Base):
    @classmethod
    def made(cls):
        return cls()

    def shown(self):
        return repr(self.x)


# Functions


@functools.singledispatch
def dispatch(x):
    return "any"


@dispatch.register
def _(x: int):
    return "int"


@dispatch.register(Base)
def _(x):
    return "base"


@functools.cache
def cached(x):
    return [x]


def decorator(f):
    @functools.wraps(f)
    def wrapped(*args):
        return f(*args) + 1

    return wrapped


@decorator
def wrapped(x):
    """Doc."""
    return x


def add(x, y=1, *, z=Point(1)):
    return x + y + z.x


ROWS["singledispatch"] = lambda: (dispatch("a"), dispatch(3), dispatch(Thing()))
ROWS["singledispatch itself"] = lambda: dispatch
ROWS["cached"] = lambda: (cached(3), cached)
ROWS["wraps"] = lambda: (wrapped(3), wrapped, wrapped.__doc__, wrapped.__name__)
ROWS["partial"] = lambda: functools.partial(add, 1, z=Point(2))
ROWS["function"] = lambda: (add, add(1))
ROWS["method"] = lambda: (Thing.made, Thing().shown, Thing.shown)
ROWS["cmp_to_key"] = lambda: sorted([3, 1, 2], key=functools.cmp_to_key(lambda a, b: b - a))


@functools.total_ordering
class Ordered(Base):
    def __lt__(self, other):
        return self.x < other.x


ROWS["total_ordering"] = lambda: (Ordered(3), Ordered(1) <= Ordered(2))


# Made in other ways

Dynamic = type("Dynamic", (Base,), {"hello": lambda self: self.x})
OddName = type("Not the name", (Base,), {})


class Again(Base):
    version = 1


OldAgain = Again


class Again(Base):
    version = 2


class Cyclic(Base):
    pass


def cyclic():
    return Cyclic(cyclic.depth)


cyclic.depth, Cyclic.make = 2, staticmethod(cyclic)


class Node:
    def __init__(self, parent=None):
        self.parent, self.children = parent, []
        if parent:
            parent.children.append(self)

    @property
    def top(self):
        return self if self.parent is None else self.parent.top


class Weak(Base):
    alive = weakref.WeakSet()

    def __init__(self):
        super().__init__()
        Weak.alive.add(self)


class Pixels(np.ndarray):
    pass


class Unit(np.ndarray):
    def __new__(cls, data, unit=None):
        self = np.asarray(data).view(cls)
        self.unit = unit
        return self

    def __array_finalize__(self, obj):
        self.unit = getattr(obj, "unit", None)

    def __reduce__(self):
        make, args, state = super().__reduce__()
        return make, args, (*state, self.unit)

    def __setstate__(self, state):
        super().__setstate__(state[:-1])
        self.unit = state[-1]


RECORD = np.dtype([("x", "i4"), ("y", "f8", (2,))], align=True)


class Module:
    """As those of torch: what is set goes elsewhere."""

    def __init__(self):
        self.__dict__["_parameters"] = {}
        self.weight = np.ones(3)

    def __setattr__(self, name, value):
        self.__dict__["_parameters"][name] = value

    def __getattr__(self, name):
        if "_parameters" in self.__dict__ and name in self.__dict__["_parameters"]:
            return self.__dict__["_parameters"][name]
        raise AttributeError(name)

    def __call__(self, x):
        return self.weight * x


def tree():
    root = Node()
    leaf = Node(Node(root))
    return leaf, leaf.top is root, leaf.top.children[0].children[0] is leaf


ROWS["dynamic"] = lambda: (Dynamic(3), Dynamic(3).hello(), OddName(3))
ROWS["redefined"] = lambda: (Again(3), OldAgain(3), Again.version, OldAgain.version)
ROWS["cyclic"] = lambda: (Cyclic.make(), cyclic())
ROWS["tree"] = tree
ROWS["weak"] = lambda: (Weak(), len(Weak.alive) > 0)
ROWS["array"] = lambda: array.array("d", [1, 2])
ROWS["ndarray derived"] = lambda: np.arange(6.0).reshape(2, 3).T.view(Pixels)
ROWS["ndarray with unit"] = lambda: (Unit([1, 2], "m"), Unit([1, 2], "m").unit)
ROWS["structured"] = lambda: np.zeros(3, RECORD)
ROWS["record"] = lambda: (np.zeros(3, RECORD).view(np.recarray), np.ones(2, RECORD)[0], RECORD)
ROWS["objects"] = lambda: np.array([Point(1), Color.RED, None], dtype=object)
ROWS["module"] = lambda: (Module().weight, Module()(2))
ROWS["module itself"] = lambda: Module()
ROWS["library"] = lambda: (
    decimal.Decimal("1.1"),
    fractions.Fraction(1, 3),
    uuid.UUID(int=3),
    re.compile("a+"),
    datetime.timedelta(1),
    datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
    range(3),
    slice(1, 2),
    frozenset([Color.RED]),
    collections.Counter("aab"),
    collections.deque([1], 3),
    1j,
    ...,
    collections.OrderedDict(a=1),
    NotImplemented,
    type(None),
    int,
    len,
    "a".upper,
)
