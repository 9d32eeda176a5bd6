"""Functions, exceptions, sources and arrays of programs: source text."""

SOURCE = """
def number(x):
    '''Return a number that depends on an item and on nothing else.'''
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

Panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})

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

def assigned(data):
    sequence = seqtools.concatenate([data])
    sequence[1] = 50
    sequence[-1] = [7]
    sequence[2:4] = [["a"], "b"]
    return sequence

def pair(x, y):
    return [x, y]

def first(x, *rest):
    return x

def whole(x):
    return list(x)
"""
