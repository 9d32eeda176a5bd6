"""Records of what each thread and process of a pipeline did, and when.

Each thread writes into its own mapped file: a record costs no system call, can be read at once, and
outlives its thread and its process. Times come from `time.perf_counter`, which is one clock for all
processes of a machine. Where the folder is not there, as on another machine, records are kept in
memory until they are sent: see `distant_records`.

The code for each item is short, because after the work of an item it is in no cache of the
processor, and runs several times slower than in a loop.
"""

import json
import mmap
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, perf_counter_ns, process_time, thread_time_ns
from typing import Any, NamedTuple, TypeVar

from seqtools._core.at_fork import renew_in_children

A = TypeVar("A")
R = TypeVar("R")

_RECORD = struct.Struct("@qiiqdd")
"""The processor time plus 1 ns, or 0 if it was not measured; then as `Record`, but in seconds:
floats are compared and packed in half the time. The end is never 0, and is written last and in one
step: in native order ("@"), floats are not written byte by byte."""
_SHORT = struct.Struct("@iiqdd")  # without the processor time
_PROCESSOR = struct.Struct("=q")
SIZE = _RECORD.size
pack = _SHORT.pack_into
"""Write a record at `Recorder.at`."""
_CHUNK = 1 << 13
"""Records by which a file grows. Files are mapped in multiples of 64 kB, as this is."""
_MOST_CHUNKS = 128
"""Largest file: a million records, 42 MB. Arbitrary."""
_HEADER = 8
"""Size of the header in records."""
_CLOCK = struct.Struct("@dd")
"""At the end of the header: the seconds that the clock of another machine is ahead of that of the
consumer's, and by how many seconds that may be wrong. They may change; each is written in one
step."""
CLOCK_AT = _HEADER * SIZE - _CLOCK.size
_LONGEST_NAME = 100
"""Most characters of a name in the header. Arbitrary."""
_NS = 1e-9
_PAUSE = 0.004
"""Seconds between two measurements of processor time. The system call takes 0.6 µs in a loop, but
8 µs after 100 µs of other work, which is 0.2 % of this."""
_EACH = 0.0004
"""Seconds added to the pause for each measured read, which costs 1 µs."""

SEND, LOAD, WAIT, USE, OVER, FILL, LATE, CORES = range(-1, -9, -1)
"""Kinds of records besides the numbers of stages: a worker sends `many` values in `which` bytes;
the consumer receives them; it waits for an item; it uses the item, if the processor time is known;
it finds the end; the window has `many` items ready, of at most `which`; a thread waited for the
lock of the interpreter; while the consumer did `many`, a kind itself, the processor time of its
whole process was this."""


class Record(NamedTuple):
    """An action of a thread."""

    what: int
    """The number of a stage, or one of the kinds above."""
    many: int
    """The number of items."""
    which: int
    """The index of the first item."""
    begin: int
    """Time in nanoseconds."""
    end: int
    processor: int
    """Processor time in nanoseconds, -1 if it was not measured."""


class Recorder:
    """Writes the records of one thread."""

    __slots__ = (
        "_chunks",
        "_path",
        "at",
        "due",
        "due_of_items",
        "last",
        "left",
        "sampling",
        "view",
    )

    def __init__(self, path: str) -> None:
        self._path = path
        self._chunks = 0
        self.view: mmap.mmap | bytearray
        self.at = self.last = 0  # the position of the next record, and of the last one in the view
        self.due = 0.0  # the time of the next measurement of processor time; 0 during one
        # The same for what the consumer reads: it begins an item when a stage has just ended its
        # own, and then `due` would be late for every item.
        self.due_of_items = 0.0
        self.sampling = 0  # the number of measurements for the current read
        self.left: tuple[float, int, int] | None = None
        """When the consumer received an item, and the processor time of the thread and of the
        process then, if it was measured."""
        self.extend()
        if self.last > SIZE:
            self.head()

    def head(self) -> None:
        """Write the header."""
        data = header(thread_fields())
        self.view[: len(data)] = data
        self.at += len(data)

    def note(  # noqa: PLR0913, PLR0917 -- a record
        self, what: int, many: int, which: int, begin: float, end: float, took: int = -1
    ) -> None:
        """Write a record; `took` is the processor time in nanoseconds, -1 if it is unknown."""
        at = self.at
        if took >= 0:
            _PROCESSOR.pack_into(self.view, at - _PROCESSOR.size, took + 1)
        pack(self.view, at, what, many, which, begin, end)
        self.at = at = at + SIZE
        if at > self.last:
            self.extend()

    def timed(self, what: int, many: int, which: int, act: Callable[[A], R], argument: A) -> R:
        """Return `act(argument)`, and record it.

        Processor times are measured now and then, and then also of all actions within this one.
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
        """Measure no processor time for a while, because it was measured so many `times`."""
        self.due = since + times * _PAUSE + self.sampling * _EACH
        self.sampling = 0

    def extend(self) -> None:
        """Enlarge the file; if that fails, all further records are lost."""
        self.lose()
        if self._chunks == _MOST_CHUNKS:
            return
        size = _CHUNK * SIZE
        try:
            # written zeros, because a mapped file must not run out of disk space later
            with open(self._path, "ab") as file:
                file.write(bytes(size))
            with open(self._path, "r+b") as file:
                self.view = mmap.mmap(file.fileno(), size, offset=self._chunks * size)
        except (OSError, ValueError):
            self._chunks = _MOST_CHUNKS  # it is not tried again
            return
        self.last = size
        self._chunks += 1

    def lose(self) -> None:
        """Have each record overwrite the last one."""
        self.view = bytearray(SIZE)
        self.at, self.last = _PROCESSOR.size, SIZE


def thread_fields() -> dict[str, Any]:
    """Return what the header says of this thread."""
    # not `Thread.native_id`: in a forked child it can be that of the parent
    ident = threading.get_native_id()
    name = threading.current_thread().name
    return {"pid": os.getpid(), "ident": ident, "thread": name, "spent": round(process_time(), 3)}


def header(fields: dict[str, Any], ahead: float = 0.0, within: float = 0.0) -> bytes:
    """Return the header of a file; `RecordFile` says what the arguments mean."""
    longest, size = _LONGEST_NAME, CLOCK_AT
    data = bytes(size + 1)
    while len(data) > size:
        short = {k: v[:longest] if isinstance(v, str) else v for k, v in fields.items()}
        data = json.dumps(short).encode()  # in some scripts, six bytes for a character
        longest //= 2
    return data.ljust(size, b"\0") + _CLOCK.pack(ahead, within)


class SentRecords(NamedTuple):
    """Records of a thread, on their way to the folder."""

    folder: str
    fields: dict[str, Any]
    """The header of the file. As a whole, it also tells the threads of a machine apart."""
    before: int
    """How many bytes were sent before these."""
    data: bytes


class RecordFolder:
    """A folder with a file for each thread; it is pickled as its path."""

    __slots__ = ("__weakref__", "folder", "local", "users")

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.users = 1
        """How many times `close` must be called."""
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """See `seqtools._core.at_fork`."""
        self.local = threading.local()  # `recorder`, of threads that have one

    def recorder(self) -> Recorder:
        """Return the recorder of this thread."""
        try:
            return self.local.recorder  # type: ignore[no-any-return]
        except AttributeError:
            recorder = self.local.recorder = self.new_recorder()
            return recorder

    def new_recorder(self) -> Recorder:
        """Return a recorder for this thread."""
        name = f"{os.getpid()}-{threading.get_native_id()}-{perf_counter_ns()}.records"
        return Recorder(os.path.join(self.folder, name))

    def take(self) -> list[SentRecords]:
        """Return the records that must be sent to the folder."""
        return []

    def __reduce__(self) -> tuple[object, ...]:
        return opened, (self.folder,)


active: tuple[RecordFolder, ...] = ()
"""The folders into which engines write; empty unless there is a profile."""


class _Lock:
    """Held to change `active`."""

    def __init__(self) -> None:
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """See `seqtools._core.at_fork`."""
        self.held = threading.Lock()


class _Loading(threading.local):
    """What a thread has opened of what it is loading: see `opening`."""

    found: list[RecordFolder] | None = None
    make: Callable[[str], RecordFolder] = RecordFolder


_lock, _loading = _Lock(), _Loading()


def opened(folder: str) -> RecordFolder:
    """Return the object for `folder`, always the same one in this process until it is closed."""
    global active  # noqa: PLW0603 -- one for each process
    found = _loading.found
    with _lock.held:
        for records in active:
            if records.folder == folder:
                records.users += found is not None
                break
        else:
            records = RecordFolder(folder) if found is None else _loading.make(folder)
            active = (*active, records)
    if found is not None:
        found.append(records)
    return records


@contextmanager
def opening(make: Callable[[str], RecordFolder]) -> Iterator[list[RecordFolder]]:
    """Return a list of what `opened` returns in this thread meanwhile, all of which must be closed.

    Args:
        make: Makes the object for a folder.
    """
    before = _loading.found, _loading.make
    found = _loading.found = list[RecordFolder]()
    _loading.make = make
    try:
        yield found
    except BaseException:
        close(*found)
        raise
    finally:
        _loading.found, _loading.make = before


def close(*folders: RecordFolder) -> None:
    """Stop writing into these folders in this process, and close their files, for the last user."""
    global active  # noqa: PLW0603
    for records in folders:
        with _lock.held:
            records.users -= 1
            if records.users > 0:
                continue
            active = tuple(other for other in active if other is not records)
        records.renew()  # a thread that is writing keeps the file until then


def note(what: int, many: int, which: int, began: int) -> None:
    """Record in all `active` folders an action from `began`, in nanoseconds, until now."""
    now = perf_counter()
    for records in active:
        records.recorder().note(what, many, which, began * _NS, now)
