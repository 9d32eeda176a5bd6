"""Classes of programs, of which their functions return instances: source text."""

SOURCE = """
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
"""
