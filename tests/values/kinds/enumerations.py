"""Enumerations of every kind.

Run as a program, and in a function: see `tests/values/test_kinds.py`.
"""

# mypy: ignore-errors

import dataclasses
import enum

ROWS = {}

# Enumerations


class Color(enum.Enum):
    RED = 1
    CRIMSON = 1
    BLUE = 3

    def shade(self):
        return f"dark {self.name}"

    @classmethod
    def default(cls):
        return cls.BLUE

    @classmethod
    def _missing_(cls, value):
        return cls.RED if value == "any" else None


class Auto(enum.Enum):
    @staticmethod
    def _generate_next_value_(name, start, count, last_values):
        return name.lower()

    ONE = enum.auto()
    TWO = enum.auto()


class Small(enum.IntEnum):
    A = 1
    B = 2


class Word(enum.StrEnum):
    HI = enum.auto()
    YO = "yo!"


class Perm(enum.Flag):
    R = enum.auto()
    W = enum.auto()
    RW = R | W


class IntPerm(enum.IntFlag):
    R = 1
    W = 4


class Mixin:
    def twice(self):
        return self.value * 2


class Mixed(Mixin, float, enum.Enum):
    HALF = 0.5


class Planet(enum.Enum):
    EARTH = (5.97, 6.37)

    def __init__(self, mass, radius):
        self.mass, self.radius = mass, radius


class Coordinate(bytes, enum.Enum):
    def __new__(cls, value, label):
        obj = bytes.__new__(cls, [value])
        obj._value_ = value
        obj.label = label
        return obj

    PX = (0, "P.X")
    PY = (1, "P.Y")


class Kept(enum.Flag, boundary=enum.KEEP):
    A = 1


class Unhashed(enum.Enum):
    A = [1]
    B = {2: 3}


class WithNonMember(enum.Enum):
    A = 1
    table = enum.nonmember({"a": 1})
    f = enum.member(len)


@dataclasses.dataclass
class CreatureMixin:
    size: int


class Beast(CreatureMixin, enum.Enum):
    BEETLE = (3,)


ROWS["enum"] = lambda: (Color.RED, Color.CRIMSON, Color("any"), Color.default(), Color.BLUE.shade())
ROWS["enum auto"] = lambda: (Auto.ONE, Auto("two"))
ROWS["int enum"] = lambda: (Small.B, Small.A < Small.B, Small.B + 1)
ROWS["str enum"] = lambda: (Word.HI, Word("yo!"), Word.YO.upper())
ROWS["flag"] = lambda: (Perm.R, Perm.RW, Perm.R | Perm.W, ~Perm.R, Perm(0))
ROWS["int flag"] = lambda: (IntPerm.R, IntPerm.R | IntPerm.W, IntPerm(8))
ROWS["enum mixed"] = lambda: (Mixed.HALF, Mixed.HALF.twice(), Mixed.HALF + 1)
ROWS["enum with init"] = lambda: (Planet.EARTH, Planet.EARTH.mass)
ROWS["enum with new"] = lambda: (Coordinate.PY, Coordinate(1), Coordinate.PY.label)
ROWS["flag kept"] = lambda: (Kept.A, Kept(5))
ROWS["enum unhashable"] = lambda: (Unhashed.A, Unhashed({2: 3}))
ROWS["enum nonmember"] = lambda: (WithNonMember.A, WithNonMember.table, WithNonMember.f)
ROWS["enum dataclass"] = lambda: (Beast.BEETLE, Beast.BEETLE.size)
