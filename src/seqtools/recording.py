"""What happened when in a pipeline, written down by each thread and process that reads it.

Every thread writes into a file of its own, which is mapped: a record costs no system call, is
there as soon as it is written, and survives whoever wrote it, however that ended. Times are
of `time.perf_counter_ns`, which is one clock for all processes of a machine.
"""

import json
import mmap
import os
import struct
import threading
from collections.abc import Callable, Iterator
from time import perf_counter_ns, thread_time_ns
from typing import NamedTuple, TypeVar

from seqtools.forks import renew_in_children

A = TypeVar("A")
R = TypeVar("R")

_RECORD = struct.Struct("=iiqqqq")  # as `Record`; processor time comes last, as it is never 0
_CHUNK = 1 << 13
"""Records for which room is made at once. Files are mapped in multiples of 64 kB, which this is."""
_MOST_CHUNKS = 128
"""Room in one file: a million records, 42 MB. Arbitrary."""
_HEADER = 8
"""Records whose place the header takes."""
PAUSE = 400_000
"""Nanoseconds without processor times for each time that they were asked for. That takes up to
a microsecond, as it is a system call: so it costs 0.25 % at most."""

SEND, LOAD, WAIT, USE, OVER, FILL, LATE = range(-1, -8, -1)
"""What there is besides the numbers of stages: a worker hands `many` values over, in `which` bytes;
who reads takes them; the consumer waits for an item, and uses it, which is written if its
processor time is known; there was none, at the end; the window has `many` items ready, of `which`
at most; a thread waited for the interpreter's lock."""


class Record(NamedTuple):
    """Something that a thread did."""

    what: int
    """Number of a stage, or one of the above."""
    many: int
    """Number of items."""
    which: int
    """Index of the first of them."""
    begin: int
    """When, in nanoseconds."""
    end: int
    processor: int
    """Time of the processor, in nanoseconds; -1 if it was not asked for."""


class Pen:
    """Writes for one thread."""

    __slots__ = ("_at", "_chunks", "_path", "_view", "due", "left", "sampling")

    def __init__(self, path: str) -> None:
        self._path = path
        self._chunks = 0
        self._at = 0
        self._view: mmap.mmap | None = None
        self.due = 0  # from when on processor times may be asked for again
        self.sampling = 0  # how often they were, for what is being read now
        self.left: tuple[int, int] | None = None
        """When the consumer was given an item, and the processor time then, if that is known."""
        self._extend()
        view: mmap.mmap | None = self._view
        if view is not None:
            name = threading.current_thread().name[:100]
            # what the thread itself knows may be of the process that this one was forked from
            ident = threading.get_native_id()
            data = json.dumps({"pid": os.getpid(), "thread": name, "ident": ident}).encode()
            view[: len(data)] = data
            self._at = _HEADER * _RECORD.size

    def note(self, what: int, many: int, which: int, begin: int, end: int, took: int = -1) -> None:  # noqa: PLR0913, PLR0917 -- a record
        """Write a record; `took` is processor time, -1 if it is not known."""
        view, at = self._view, self._at
        if view is None:
            return
        _RECORD.pack_into(view, at, what, many, which, begin, end, took + (took >= 0))
        self._at = at = at + _RECORD.size
        if at == len(view):
            self._extend()

    def timed(self, what: int, many: int, which: int, act: Callable[[A], R], argument: A) -> R:
        """Return `act(argument)`, and write how long that took.

        Processor times are asked for now and then, and then also of all that happens within.
        """
        began = perf_counter_ns()
        if began < self.due and not self.sampling:
            try:
                return act(argument)
            finally:
                self.note(what, many, which, began, perf_counter_ns())
        outermost = not self.sampling
        self.sampling += 1
        since = thread_time_ns()
        try:
            return act(argument)
        finally:
            took, ended = thread_time_ns() - since, perf_counter_ns()
            self.note(what, many, which, began, ended, took)
            if outermost:
                self.due = ended + self.sampling * PAUSE
                self.sampling = 0

    def _extend(self) -> None:
        """Make room; without it nothing more is written."""
        self._view, self._at = None, 0
        if self._chunks == _MOST_CHUNKS:
            return
        size = _CHUNK * _RECORD.size
        try:
            # zeros are written, as a mapped file must not run out of disk later
            with open(self._path, "ab") as file:
                file.write(bytes(size))
            with open(self._path, "r+b") as file:
                at = self._chunks * size
                self._view = mmap.mmap(file.fileno(), size, offset=at)
        except (OSError, ValueError):
            return
        self._chunks += 1


class Book:
    """A folder with a file for each thread; what is pickled of it is the path."""

    __slots__ = ("__weakref__", "_local", "folder")

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """See `seqtools.forks`."""
        self._local = threading.local()

    def pen(self) -> Pen:
        """Return what this thread writes with."""
        try:
            return self._local.pen  # type: ignore[no-any-return]
        except AttributeError:
            name = f"{os.getpid()}-{threading.get_native_id()}-{perf_counter_ns()}.records"
            pen = self._local.pen = Pen(os.path.join(self.folder, name))
            return pen

    def __reduce__(self) -> tuple[object, ...]:
        return opened, (self.folder,)


active: tuple[Book, ...] = ()
"""Where engines write what they do; empty unless somebody measures."""


def opened(folder: str) -> Book:
    """Return the book in `folder`, the same one whenever it is asked for in this process."""
    global active  # noqa: PLW0603 -- one for each process
    for book in active:
        if book.folder == folder:
            return book
    book = Book(folder)
    active = (*active, book)
    return book


def close(book: Book) -> None:
    """Have engines of this process write nothing more into `book`, and close its files."""
    global active  # noqa: PLW0603
    active = tuple(other for other in active if other is not book)
    book.renew()  # who writes just now has the file until that is done


def note(what: int, many: int, which: int, began: int) -> None:
    """Write into all books what began at `began` and ends now."""
    now = perf_counter_ns()
    for book in active:
        book.pen().note(what, many, which, began, now)


class Page:
    """Records of one thread, read while they are written."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._at = _HEADER * _RECORD.size
        self.pid = self.ident = 0
        self.thread = ""

    def read(self) -> Iterator[Record]:
        """Yield what was written since the last call."""
        with open(self._path, "rb") as file:
            if not self.pid:
                head = file.read(_HEADER * _RECORD.size).rstrip(b"\0")
                if not head.endswith(b"}"):
                    return  # it has not begun
                told = json.loads(head)
                self.pid, self.thread, self.ident = told["pid"], told["thread"], told["ident"]
            file.seek(self._at)
            data = file.read()
        whole = len(data) // _RECORD.size * _RECORD.size
        for *values, took in _RECORD.iter_unpack(data[:whole]):
            if not took:
                return  # not written yet
            self._at += _RECORD.size
            yield Record._make((*values, took - (took > 0)))

    @property
    def full(self) -> bool:
        """Whether there was no room for more."""
        return self._at >= _MOST_CHUNKS * _CHUNK * _RECORD.size
