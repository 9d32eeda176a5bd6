"""Exceptions, singletons, and classes with a way of their own to be made or pickled.

Run as a program, and in a function: see `tests/values/test_kinds.py`.
"""

# mypy: ignore-errors

import collections
import copyreg
import dataclasses
import enum
import typing
import weakref

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
    pass


# Exceptions


class Plainly(Exception):
    pass


class Keywords(Exception):
    def __init__(self, message, *, code):
        super().__init__(message)
        self.code = code


class Slots(Exception):
    __slots__ = ("code",)

    def __init__(self, code):
        super().__init__(f"code {code}")
        self.code = code


class Own(ValueError):
    def __init__(self, a, b):
        self.a, self.b = a, b

    def __str__(self):
        return f"{self.a}-{self.b}"


class NoArgs(KeyError):
    def __init__(self):
        super().__init__("fixed")


@dataclasses.dataclass
class DataError(Exception):
    x: int


class Reduced(Exception):
    def __init__(self, a, b):
        super().__init__(a)
        self.b = b

    def __reduce__(self):
        return type(self), (*self.args, self.b)


class Group(ExceptionGroup):
    def __new__(cls, message, members, code=0):
        self = super().__new__(cls, message, members)
        self.code = code
        return self

    def derive(self, members):
        return Group(self.message, members, self.code)


class System(OSError):
    def __init__(self, path):
        super().__init__(2, "nothing there", path)


class Meaning(str, enum.Enum):
    BAD = "bad"


class Syntax(SyntaxError):
    def __init__(self, text, line):
        super().__init__(text, ("file", line, 1, "code"))
        self.extra = line


class Undecodable(UnicodeDecodeError):
    def __init__(self, data):
        super().__init__("utf-8", data, 0, 1, "bad")


class Stop(StopAsyncIteration):
    def __init__(self, *, code):
        super().__init__(code)


ERRORS = {
    "syntax": lambda: Syntax("text", 3),
    "undecodable": lambda: Undecodable(b"a"),
    "stop": lambda: Stop(code=3),
    "of python": lambda: SyntaxError("mine", ("file", 1, 2, "x y")),
    "plainly": lambda: Plainly("a", 1),
    "keywords": lambda: Keywords("m", code=4),
    "slots": lambda: Slots(4),
    "own": lambda: Own(1, 2),
    "noargs": lambda: NoArgs(),
    "dataerror": lambda: DataError(3),
    "reduced": lambda: Reduced("a", 2),
    "group": lambda: Group("g", [Keywords("m", code=4), ValueError(3)], 7),
    "system": lambda: System("file"),
    "of an enum": lambda: Plainly(Meaning.BAD, Color.RED),
    "of a NamedTuple": lambda: Plainly(Point(3)),
}
ROWS.update({f"exception {name}": make for name, make in ERRORS.items()})


# Singletons


class Single:
    _only = None

    def __new__(cls):
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only


class SingleMeta(type):
    _made = {}

    def __call__(cls, *args):
        if cls not in cls._made:
            cls._made[cls] = super().__call__(*args)
        return cls._made[cls]


class Settings(metaclass=SingleMeta):
    def __init__(self):
        self.x = 3


class ReducedSettings(Settings):
    def __reduce__(self):
        return type(self), ()


class Missing:
    def __reduce__(self):
        return "MISSING"

    def __repr__(self):
        return "MISSING"


MISSING = Missing()


class Interned:
    kept = {}

    def __new__(cls, x):
        if x not in cls.kept:
            self = super().__new__(cls)
            self.x = x
            cls.kept[x] = self
        return cls.kept[x]

    def __getnewargs__(self):
        return (self.x,)


ROWS["singleton"] = lambda: Single()
ROWS["singleton by metaclass"] = lambda: Settings().x
ROWS["singleton by metaclass, reduced"] = lambda: ReducedSettings()
ROWS["sentinel"] = lambda: MISSING
ROWS["interned"] = lambda: Interned(3)


# Slots, and ways of being pickled


class WithSlots:
    __slots__ = ("__weakref__", "__x", "y")

    def __init__(self, x):
        self.__x, self.y = x, 2

    def x(self):
        return self.__x

    def __eq__(self, other):
        return type(self) is type(other) and (self.x(), self.y) == (other.x(), other.y)

    __hash__ = None


class MoreSlots(WithSlots):
    __slots__ = "z"

    def __init__(self, x):
        super().__init__(x)
        self.z = weakref.ref(self)() is self


class OpenSlots(WithSlots):
    pass


class DictSlots:
    __slots__ = ("__dict__", "a")

    def __init__(self):
        self.a, self.b = 1, 2


class DocSlots:
    __slots__ = {"a": "documented"}

    def __init__(self):
        self.a = 1


class UnsetSlots:
    __slots__ = ("a", "b")

    def __init__(self):
        self.b = 1


class NewArgs(Base):
    def __new__(cls, x=None, *, key):
        self = super().__new__(cls)
        self.key = key
        return self

    def __init__(self, x, *, key):
        super().__init__(x)

    def __getnewargs_ex__(self):
        return (self.x,), {"key": self.key}


class State(Base):
    def __init__(self):
        super().__init__()
        self.handle = (y for y in "a")

    def __getstate__(self):
        return {"x": self.x}

    def __setstate__(self, state):
        self.__dict__.update(state, handle=None)

    def __eq__(self, other):
        return type(other) is type(self) and self.x == other.x

    __hash__ = None


class ByReduce(Base):
    def __init__(self, x):
        super().__init__(x)

    def __reduce__(self):
        return ByReduce, (self.x,)


class ByCopyreg:
    def __init__(self, x):
        self.x = x
        self.handle = (y for y in "a")


def reduce_by_copyreg(obj):
    return ByCopyreg, (obj.x,)


copyreg.pickle(ByCopyreg, reduce_by_copyreg)


class Int(int):
    pass


class Str(str):
    __slots__ = ()


class Dict(dict):
    def __init__(self, *a):
        super().__init__(*a)
        self.name = "d"


class List(list):
    pass


class Celsius(float):
    def __new__(cls, x, unit):
        self = super().__new__(cls, 2 * x)
        self.unit = unit
        return self


class Scaled(int):
    def __new__(cls, x, by=2):
        return super().__new__(cls, by * x)


class Zeroed(Base):
    """Has an instance of itself that its methods refer to."""

    __slots__ = ()

    def __new__(cls, x=0):
        return super().__new__(cls)

    def __setstate__(self, state):
        self.__dict__.update(state)

    def from_zero(self):
        return self.x - ZERO.x


ZERO = Zeroed.ZERO = Zeroed(0)


class Tuple(tuple):
    def __new__(cls, *items):
        return super().__new__(cls, items)


class Default(collections.defaultdict):
    pass


class User(collections.UserDict):
    pass


ROWS["slots"] = lambda: (WithSlots(3), MoreSlots(3), OpenSlots(3))
ROWS["slots dict"] = lambda: DictSlots()
ROWS["slots documented"] = lambda: DocSlots()
ROWS["slots unset"] = lambda: UnsetSlots()
ROWS["slots refuse"] = lambda: (
    hasattr(WithSlots(3), "__dict__") or hasattr(MoreSlots(3), "__dict__")
)
ROWS["getnewargs_ex"] = lambda: NewArgs(3, key=4)
ROWS["getstate"] = lambda: State()
ROWS["reduce"] = lambda: ByReduce(4)
ROWS["copyreg"] = lambda: ByCopyreg(4)
ROWS["int"] = lambda: Int(4)
ROWS["str"] = lambda: Str("a")
ROWS["dict"] = lambda: Dict({1: 2})
ROWS["float with unit"] = lambda: (Celsius(4, unit="C"), Celsius(4, unit="C").unit)
ROWS["int scaled"] = lambda: Scaled(4)
ROWS["instance in its class"] = lambda: (Zeroed.ZERO, Zeroed(4).from_zero())
ROWS["list"] = lambda: List([1])
ROWS["tuple"] = lambda: Tuple(1, 2)
ROWS["defaultdict"] = lambda: Default(list, {1: [2]})
ROWS["UserDict"] = lambda: User({1: 2})
