"""What happened when in a pipeline, written down by each thread and process that reads it.

Every thread writes into a file of its own, which is mapped: a record costs no system call, is
there as soon as it is written, and survives whoever wrote it, however that ended. Times are
of `time.perf_counter`, which is one clock for all processes of a machine.

Few steps are made for each item: behind the work of an item, the caches of the processor hold none
of this code any more, and it takes several times as long as in a loop of its own.
"""

import json
import mmap
import os
import struct
import threading
from collections.abc import Callable, Iterator
from time import perf_counter, perf_counter_ns, thread_time_ns
from typing import NamedTuple, TypeVar

from seqtools._core.at_fork import renew_in_children

A = TypeVar("A")
R = TypeVar("R")

_RECORD = struct.Struct("@qiiqdd")
"""Processor time, which is 0 if it was not asked for and else 1 ns more; then as `Record`, but in
seconds: floats are compared and packed in half the steps of such large integers. The end of what
is written is never 0, and comes last, at one go: in native order ("@"), floats are not written
byte by byte."""
_SHORT = struct.Struct("@iiqdd")  # what is written if processor time was not asked for
_PROCESSOR = struct.Struct("=q")
SIZE = _RECORD.size
pack = _SHORT.pack_into
"""Write a record at `Recorder.at`."""
_CHUNK = 1 << 13
"""Records for which room is made at once. Files are mapped in multiples of 64 kB, which this is."""
_MOST_CHUNKS = 128
"""Room in one file: a million records, 42 MB. Arbitrary."""
_HEADER = 8
"""Records whose place the header takes."""
_NS = 1e-9
_FIRST_PAUSE, _PAUSE, _GROWTH = 0.0004, 0.004, 1.06
"""Seconds without processor times behind each time that they were asked for, at first and at last,
and how these grow. It is a system call, which takes 0.6 µs in a loop: but behind 100 µs of other
work, a read cost 8 µs more for which they were asked, which is 0.2 % of the longest pause. It is
reached within 0.1 s and 40 samples, so that short profiles have some too."""
_EACH = 0.0004
"""Seconds that the pause is longer for each read that was sampled, which costs 1 µs."""

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


class Recorder:
    """Writes for one thread."""

    __slots__ = ("_chunks", "_path", "_pause", "at", "due", "last", "left", "sampling", "view")

    def __init__(self, path: str) -> None:
        self._path = path
        self._chunks = 0
        self._pause = _FIRST_PAUSE
        self.view: mmap.mmap | bytearray
        self.at = self.last = 0  # where the next record goes, and the end of the view
        self.due = 0.0  # from when on processor times are asked for; at once within a sample
        self.sampling = 0  # how often they were, for what is being read now
        self.left: tuple[float, int] | None = None
        """When the consumer was given an item, and the processor time then, if that is known."""
        self.extend()
        if self.last > SIZE:
            name = threading.current_thread().name[:100]
            # what the thread itself knows may be of the process that this one was forked from
            ident = threading.get_native_id()
            data = json.dumps({"pid": os.getpid(), "thread": name, "ident": ident}).encode()
            self.view[: len(data)] = data
            self.at += _HEADER * SIZE

    def note(  # noqa: PLR0913, PLR0917 -- a record
        self, what: int, many: int, which: int, begin: float, end: float, took: int = -1
    ) -> None:
        """Write a record; `took` is processor time in nanoseconds, -1 if it is not known."""
        at = self.at
        if took >= 0:
            _PROCESSOR.pack_into(self.view, at - _PROCESSOR.size, took + 1)
        pack(self.view, at, what, many, which, begin, end)
        self.at = at = at + SIZE
        if at > self.last:
            self.extend()

    def timed(self, what: int, many: int, which: int, act: Callable[[A], R], argument: A) -> R:
        """Return `act(argument)`, and write how long that took.

        Processor times are asked for now and then, and then also of all that happens within.
        """
        began = perf_counter()
        if began < self.due:
            try:
                return act(argument)
            finally:
                self.note(what, many, which, began, perf_counter())
        outermost = not self.sampling
        self.sampling += 1
        self.due = 0.0
        since = thread_time_ns()
        try:
            return act(argument)
        finally:
            took, ended = thread_time_ns() - since, perf_counter()
            self.note(what, many, which, began, ended, took)
            if outermost:
                self.rest(ended)

    def rest(self, since: float, times: int = 1) -> None:
        """Ask for no processor times for a while, as they were asked for so many `times`."""
        self.due = since + times * self._pause + self.sampling * _EACH
        self.sampling = 0
        self._pause = min(self._pause * _GROWTH, _PAUSE)

    def extend(self) -> None:
        """Make room; without it, nothing more is kept of what is written."""
        self.view = bytearray(SIZE)  # where the same record is written over and over
        self.at, self.last = _PROCESSOR.size, SIZE
        if self._chunks == _MOST_CHUNKS:
            return
        size = _CHUNK * SIZE
        try:
            # zeros are written, as a mapped file must not run out of disk later
            with open(self._path, "ab") as file:
                file.write(bytes(size))
            with open(self._path, "r+b") as file:
                self.view = mmap.mmap(file.fileno(), size, offset=self._chunks * size)
        except (OSError, ValueError):
            self._chunks = _MOST_CHUNKS  # it is not tried again
            return
        self.last = size
        self._chunks += 1


class RecordFolder:
    """A folder with a file for each thread; what is pickled of it is the path."""

    __slots__ = ("__weakref__", "folder", "local")

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """See `seqtools._core.at_fork`."""
        self.local = threading.local()  # `recorder`, of threads that have one

    def recorder(self) -> Recorder:
        """Return what this thread writes with."""
        try:
            return self.local.recorder  # type: ignore[no-any-return]
        except AttributeError:
            name = f"{os.getpid()}-{threading.get_native_id()}-{perf_counter_ns()}.records"
            recorder = self.local.recorder = Recorder(os.path.join(self.folder, name))
            return recorder

    def __reduce__(self) -> tuple[object, ...]:
        return opened, (self.folder,)


active: tuple[RecordFolder, ...] = ()
"""Where engines write what they do; empty unless somebody measures."""


def opened(folder: str) -> RecordFolder:
    """Return the records in `folder`, the same object whenever this process asks for it."""
    global active  # noqa: PLW0603 -- one for each process
    for records in active:
        if records.folder == folder:
            return records
    records = RecordFolder(folder)
    active = (*active, records)
    return records


def close(records: RecordFolder) -> None:
    """Have engines of this process write nothing more into `records`, and close its files."""
    global active  # noqa: PLW0603
    active = tuple(other for other in active if other is not records)
    records.renew()  # who writes just now has the file until that is done


def note(what: int, many: int, which: int, began: int) -> None:
    """Write into all of `active` what began at `began`, in nanoseconds, and ends now."""
    now = perf_counter()
    for records in active:
        records.recorder().note(what, many, which, began * _NS, now)


class RecordFile:
    """Records of one thread, read while they are written."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._at = _HEADER * SIZE
        self.pid = self.ident = 0
        self.thread = ""

    def read(self) -> Iterator[Record]:
        """Yield what was written since the last call."""
        with open(self._path, "rb") as file:
            if not self.pid:
                head = file.read(_HEADER * SIZE).rstrip(b"\0")
                if not head.endswith(b"}"):
                    return  # it has not begun
                told = json.loads(head)
                self.pid, self.thread, self.ident = told["pid"], told["thread"], told["ident"]
            file.seek(self._at)
            data = file.read()
        whole = len(data) // SIZE * SIZE
        for took, what, many, which, begin, end in _RECORD.iter_unpack(data[:whole]):
            if not end:
                return  # not written yet
            self._at += SIZE
            yield Record(what, many, which, round(begin / _NS), round(end / _NS), took - 1)

    @property
    def full(self) -> bool:
        """Whether there was no room for more."""
        return self._at >= _MOST_CHUNKS * _CHUNK * SIZE
