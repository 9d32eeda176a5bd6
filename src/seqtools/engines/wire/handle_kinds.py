"""Kinds of handles: objects that are invalid in another process."""

OPENED_THERE = (
    "inside the function or, once for each worker, in a function with @seqtools.per_worker"
)
"""Where to open, or make, what cannot be sent to workers: for messages."""

_HERE = f"open it {OPENED_THERE}"
_KEEP = f"keep its path, and open it {OPENED_THERE}"
_OWN = "leave it out, or create it inside the function: each worker process would have its own"
NEW_LOCK = (
    "hold it in an object whose __getstate__ leaves it out and whose __setstate__ makes a new one, "
    "which only threads of the same process share"
)
"""What to do about a lock, and what is made of locks: for messages. One for each worker, or one
made in the function, would exclude no other thread."""

_ITEM = "let the function take one for each item, as its argument rng: smap(f, …, rng=0)"

RANDOM = "a random generator"
_HANDLES: list[tuple[str, str, list[str]]] = [
    ("an open file", _HERE, ["_io.FileIO", "_io.BufferedReader", "_io.BufferedWriter"]),
    ("an open file", _HERE, ["_io.BufferedRandom", "_io.TextIOWrapper", "gzip.GzipFile"]),
    ("an open file", _HERE, ["tempfile._TemporaryFileWrapper"]),
    ("an open archive", _KEEP, ["zipfile.ZipFile", "numpy.NpzFile"]),
    ("an open tar archive", _KEEP, ["tarfile.TarFile"]),
    ("an open HDF5 file", _KEEP, ["h5py.HLObject", "h5py.File"]),
    ("a dataset of an open HDF5 file", _KEEP, ["h5py.Dataset"]),
    ("an open LMDB database", _KEEP, ["lmdb.Environment"]),
    ("a memory map", _KEEP, ["mmap.mmap"]),
    ("a connection to SQLite", _HERE, ["sqlite3.Connection"]),
    ("a cursor of SQLite", _HERE, ["sqlite3.Cursor"]),
    ("a connection to MySQL", _HERE, ["pymysql.Connection"]),
    ("a generator", _OWN, ["builtins.generator"]),
    ("a socket", _HERE, ["socket.socket", "_socket.socket"]),
    ("a running program", _HERE, ["subprocess.Popen"]),
    ("a lock", NEW_LOCK, ["_thread.lock", "_thread.RLock"]),
    ("a condition", NEW_LOCK, ["threading.Condition"]),
    ("an event", NEW_LOCK, ["threading.Event"]),
    ("a semaphore", NEW_LOCK, ["threading.Semaphore"]),
    ("a barrier", NEW_LOCK, ["threading.Barrier"]),
    ("a thread", _OWN, ["threading.Thread"]),
    ("a queue", NEW_LOCK, ["queue.Queue", "_queue.SimpleQueue"]),
    ("an executor", _OWN, ["concurrent.Executor"]),
    (RANDOM, _ITEM, ["random.Random", "numpy.Generator", "numpy.RandomState"]),
    (RANDOM, _ITEM, ["numpy.BitGenerator", "torch.Generator"]),
]
"""Kinds of handles, advice, and their classes by package and name; subclasses count too."""

_KINDS = {name: (kind, advice) for kind, advice, names in _HANDLES for name in names}


def kind_of(obj: object) -> tuple[str, str] | None:
    """Return the kind of handle and advice, or `None` if `obj` is not a handle."""
    classes = type(obj).__mro__[:-1]
    names = (f"{cls.__module__.partition('.')[0]}.{cls.__name__}" for cls in classes)
    return next((_KINDS[name] for name in names if name in _KINDS), None)


def is_opened(obj: object) -> bool:
    """Return whether `obj` is something open, such as a file, that threads and forks cannot share.

    They could share its position in a file, or the library refuses that.
    """
    kind = kind_of(obj)
    return kind is not None and kind[1] in {_HERE, _KEEP}


def is_lock(obj: object) -> bool:
    """Return whether `obj` is a lock, or something by which threads wait for each other."""
    kind = kind_of(obj)
    return kind is not None and kind[1] == NEW_LOCK
