"""Dataclasses and tuples with names.

Run as a program, and in a function: see `tests/values/test_kinds.py`.
"""

# mypy: ignore-errors

import collections
import dataclasses
import typing

ROWS = {}


def instance(cls):
    """Have a row of an instance of a class."""
    ROWS[cls.__name__] = lambda: cls(3)
    return cls


# Dataclasses


@instance
@dataclasses.dataclass
class Data:
    x: int
    y: list = dataclasses.field(default_factory=list)
    z: typing.ClassVar[int] = 4


@instance
@dataclasses.dataclass(frozen=True)
class Frozen:
    x: int


@instance
@dataclasses.dataclass(slots=True)
class DataSlots:
    x: int
    y: int = 4


@instance
@dataclasses.dataclass(slots=True, frozen=True)
class FrozenSlots:
    x: int
    y: tuple = ()


@instance
@dataclasses.dataclass(slots=True, weakref_slot=True, order=True)
class WeakSlots:
    x: int


@dataclasses.dataclass(kw_only=True)
class KwOnly:
    x: int
    y: int = 1


ROWS["KwOnly"] = lambda: KwOnly(x=3)


@instance
@dataclasses.dataclass
class Init:
    x: int
    seed: dataclasses.InitVar[int] = 2
    total: int = dataclasses.field(init=False, repr=False)

    def __post_init__(self, seed):
        self.total = self.x + seed


@dataclasses.dataclass(slots=True)
class ChildSlots(DataSlots):
    w: int = 5

    def total(self):
        return self.x + self.w


ROWS["ChildSlots"] = lambda: (ChildSlots(3), ChildSlots(3).total())
ROWS["replaced"] = lambda: dataclasses.replace(FrozenSlots(3), x=4)
ROWS["fields"] = lambda: [f.name for f in dataclasses.fields(Init(3))]
ROWS["asdict"] = lambda: dataclasses.asdict(ChildSlots(3))
ROWS["match"] = lambda: ChildSlots.__match_args__
Made = dataclasses.make_dataclass("Made", [("x", int), ("y", int, 3)])
ROWS["Made"] = lambda: Made(3)


# Tuples and dictionaries


class Point(typing.NamedTuple):
    x: int
    y: float = 1.0

    def norm(self):
        return self.x + self.y

    @property
    def first(self):
        return self[0]

    @classmethod
    def origin(cls):
        return cls(0, 0)


T = typing.TypeVar("T")


class Pair(typing.NamedTuple, typing.Generic[T]):
    left: T
    right: T


class SubPoint(Point):
    """One with a dictionary."""

    def norm(self):
        return super().norm() + 1


class SlottedSubPoint(Point):
    __slots__ = ()

    def __new__(cls, x):
        return super().__new__(cls, x, 2 * x)


Plain = collections.namedtuple("Plain", "x y", defaults=[4])
Functional = typing.NamedTuple("Functional", [("x", int)])


class Movie(typing.TypedDict, total=False):
    name: str
    year: int


ROWS["NamedTuple"] = lambda: (Point(3), Point(3).norm(), Point(3).first, Point.origin())
ROWS["NamedTuple replaced"] = lambda: (Point(3)._replace(y=2), Point(3)._asdict(), Point._fields)
ROWS["NamedTuple generic"] = lambda: (Pair(1, 2), Pair[int](1, 2))
ROWS["NamedTuple derived"] = lambda: (SubPoint(3), SubPoint(3).norm(), SlottedSubPoint(3))
ROWS["namedtuple"] = lambda: (Plain(3), Plain._make([1, 2]), Plain._field_defaults)
ROWS["Functional"] = lambda: Functional(3)
ROWS["TypedDict"] = lambda: (Movie(name="x", year=3), Movie)
ROWS["typing.get_type_hints"] = lambda: (typing.get_type_hints(Point), typing.get_type_hints(Movie))
