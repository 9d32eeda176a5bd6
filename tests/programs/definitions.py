"""What a program defines or imports because it uses its name."""

import re
from textwrap import dedent

MODULES = (
    "array", "asyncio", "contextvars", "copy", "datetime", "decimal", "enum", "functools", "gc", "io",
    "ipaddress", "itertools", "logging", "operator", "os", "pathlib", "random", "re", "struct",
    "subprocess", "sys", "tempfile", "threading", "time", "uuid", "warnings",
)

IMPORTS: dict[str, str] = {
    **{name: f"import {name}" for name in MODULES},
    "np": "import numpy as np",
    **{
        name: f"from {module} import {name}"
        for module, names in {
            "abc": "ABC abstractmethod",
            "collections": "ChainMap Counter OrderedDict defaultdict deque namedtuple",
            "concurrent.futures": "ThreadPoolExecutor",
            "dataclasses": "dataclass field",
            "decimal": "Decimal",
            "enum": "Enum Flag IntEnum",
            "fractions": "Fraction",
            "types": "SimpleNamespace MappingProxyType",
            "typing": "Any Generic NamedTuple Protocol TypedDict TypeVar runtime_checkable",
            "zoneinfo": "ZoneInfo",
            "tests.programs.spoiling": "spoil",
        }.items()
        for name in names.split()
    },
}

_SOURCE = '''
def number(x):
    """Return a number that depends on an item and on nothing else."""
    for _ in range(20):
        if isinstance(x, int) and not isinstance(x, bool):
            return int(x % 97)
        if isinstance(x, np.ndarray) and x.dtype.kind in "iu" and x.size:
            return int(x.ravel()[0] % 97)
        if isinstance(x, np.integer):
            return int(x % 97)
        if isinstance(x, (list, tuple)) and len(x):
            x = x[0]
        elif isinstance(x, dict) and x:
            x = next(iter(x.values()))
        elif type(x).__name__ == "Point":
            x = x.x
        else:
            break
    return len(type(x).__name__)

class Tagged(np.ndarray):
    pass

class Named(np.ndarray):
    def __array_finalize__(self, obj):
        self.owner = getattr(obj, "owner", "nobody")
    def __reduce__(self):
        make, arguments, state = super().__reduce__()
        return make, arguments, (state, self.owner)
    def __setstate__(self, state):
        super().__setstate__(state[0])
        self.owner = state[1]
    @classmethod
    def made(cls, i):
        made = np.full(5, i).view(cls)
        made.owner = f"owner {i}"
        return made

def read_only(value):
    value.flags.writeable = False
    return value

def seek(file, position):
    file.seek(position)
    return file

def deep(value, depth):
    for _ in range(depth):
        value = [value]
    return value

def twice(value):
    return [value, {"again": value}]

def cyclic(value):
    value.append(value)
    return value

def cyclic_dict(value):
    value["self"] = value
    return value

def cyclic_point(i):
    point = Point(i)
    point.friend = [point]
    return point

class Point:
    def __init__(self, x):
        self.x = x
    def doubled(self):
        return Point(2 * self.x)

class Slotted:
    __slots__ = ("a", "b")
    def __init__(self, a):
        self.a = a

class Both(Slotted):
    def __init__(self, a):
        super().__init__(a)
        self.c = [a]

class Child(Point):
    kind = "child"

@dataclass
class Sample:
    x: int
    of: list = field(default_factory=list)

@dataclass(frozen=True, order=True)
class Frozen:
    x: int
    name: str

@dataclass(slots=True)
class SlottedData:
    x: int

class Pair(NamedTuple):
    a: int
    b: str = "b"
    def total(self):
        return self.a

Triple = namedtuple("Triple", "x y z")

class Row(TypedDict):
    a: int

class Color(Enum):
    RED = 1
    GREEN = 2
    BLUE = 3

class Mode(str, Enum):
    READ = "r"
    WRITE = "w"

class Level(IntEnum):
    LOW = 1
    HIGH = 2

class Access(Flag):
    R = 4
    W = 2

class Name(str):
    pass

class Id(int):
    pass

class Stack(list):
    pass

class Config(dict):
    pass

T = TypeVar("T")

class Box(Generic[T]):
    def __init__(self, content):
        self.content = content

class Shape(ABC):
    def __init__(self, side):
        self.side = side
    @abstractmethod
    def area(self): ...

class Square(Shape):
    def area(self):
        return self.side ** 2

@runtime_checkable
class Quacks(Protocol):
    def quack(self): ...

class Duck(Quacks):
    def quack(self):
        return "quack"

class Registry(type):
    known = {}
    def __new__(meta, name, bases, namespace):
        meta.known[name] = made = super().__new__(meta, name, bases, namespace)
        return made

class Registered(metaclass=Registry):
    def __init__(self):
        self.known = sorted(Registry.known)

class Only:
    _it = None
    def __new__(cls):
        if cls._it is None:
            cls._it = super().__new__(cls)
        return cls._it

class Positive:
    def __set_name__(self, owner, name):
        self.name = "_" + name
    def __get__(self, obj, owner=None):
        return self if obj is None else getattr(obj, self.name)
    def __set__(self, obj, value):
        setattr(obj, self.name, abs(value))

class Checked:
    x = Positive()
    def __init__(self, x):
        self.x = -x

class Outer:
    class Inner:
        def __init__(self, x):
            self.x = x

class Stateful:
    def __init__(self, x):
        self.x, self.lock = x, None
    def __getstate__(self):
        return {"x": self.x}
    def __setstate__(self, state):
        self.x, self.lock = state["x"], None

class Reduced:
    def __init__(self, x):
        self.x = x
    def __reduce__(self):
        return Reduced, (self.x,)

class Newed:
    def __new__(cls, x, name):
        made = super().__new__(cls)
        made.x, made.name = x, name
        return made
    def __getnewargs__(self):
        return self.x, self.name

class Agreeable:
    def __init__(self, x):
        self.x = x
    def __eq__(self, other):
        return True
    def __hash__(self):
        return 7

class Elastic:
    def __init__(self, x):
        self.x = x
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return f"any {name}"

class Scale:
    def __init__(self, x):
        self.x = x
    def __call__(self, value):
        return self.x * value

class Lazy:
    def __init__(self, x):
        self.x = x
    @functools.cached_property
    def double(self):
        return 2 * self.x

def touched(lazy):
    lazy.double
    return lazy

def helper(*args):
    return args

def shouting(function):
    @functools.wraps(function)
    def shout(*args):
        return function(*args)
    return shout

@shouting
def wrapped_helper(*args):
    return args

def noted(error):
    error.add_note("a note")
    error.extra = [1]
    return error

def caused(error, cause):
    error.__cause__ = cause
    return error

class Failed(Exception):
    def __init__(self, code, text):
        super().__init__(f"{text}: {code}")
        self.code = code

class KeywordOnly(Exception):
    def __init__(self, *, code):
        super().__init__(f"code {code}")
        self.code = code

class SlottedError(Exception):
    __slots__ = ("code",)
    def __init__(self, code):
        super().__init__("slotted")
        self.code = code

class LockError(Exception):
    def __init__(self, code):
        super().__init__("holds a lock", code)
        self.lock = threading.Lock()

class Textless(Exception):
    def __str__(self):
        raise ValueError("no text")

class Falsy(Exception):
    def __bool__(self):
        return False

class Equal(Exception):
    def __eq__(self, other):
        return True
    __hash__ = Exception.__hash__

class Grouped(ExceptionGroup):
    def derive(self, members):
        return Grouped(self.message, members)

class Ending(BaseException):
    pass

class IndexLike(IndexError):
    pass

def local_class():
    class Local:
        def __init__(self, x):
            self.x = x
    return Local

class Dataset:
    def __init__(self, n):
        self.n = n
    def __len__(self):
        return self.n
    def __getitem__(self, i):
        return range(self.n)[i]
    def __getitems__(self, indices):
        return [self[i] for i in indices]

class Again:
    def __init__(self, n):
        self.n = n
    def __iter__(self):
        return iter(range(self.n))

class Rows:
    def __init__(self, n):
        self.n = n
    def __len__(self):
        return self.n
    def __getitem__(self, i):
        return {"a": range(self.n)[i], "b": [i]}

def pair(x, y):
    return [x, y]

def first(x, *rest):
    return x

def whole(x):
    return list(x)
'''


def _defined() -> dict[str, str]:
    blocks = re.split(r"\n\n(?=\S)", dedent(_SOURCE).strip())
    found = {}
    for block in blocks:
        match = re.search(r"^(?:class|def) (\w+)|^(\w+) = ", block, re.M)
        assert match, block
        found[match[1] or match[2]] = block
    return found


DEFINED = _defined()
"""Source text of classes and functions, by their names, in an order in which they can stand."""

_WORD = re.compile(r"(?<![\w.'\"])[A-Za-z_]\w*")


def around(text: str) -> tuple[list[str], list[str]]:
    """Return the imports and the definitions that `text` needs."""
    names, left = set[str](), [text]
    while left:
        new = set(_WORD.findall(left.pop())) - names
        names |= new
        left += [DEFINED[name] for name in new if name in DEFINED]
    imports = sorted({line for name, line in IMPORTS.items() if name in names})
    return imports, [block for name, block in DEFINED.items() if name in names]
