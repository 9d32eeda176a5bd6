"""The messages between the consumer and a worker, byte by byte.

Task, to the worker: a header, then unless it is a range one integer an index. Result,
from the worker: a header, and the place of the pickle and of each buffer. A place is in a
slot, or if its offset is 0 in the message itself: those follow, in the same order, each
on a multiple of 64 bytes from the end of the header.
"""

import mmap
import os
import select
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from seqtools.engines import faults
from seqtools.engines.slots import Place

TASK = struct.Struct("<IqqqB??qqq")  # block, indices, mode, timed, watched; what comes next
# Indices are a start, stop and step;
# where the step is 0, a list of so many as the start says follows.
RESULT = struct.Struct("<IIIBdIQ")  # block, done before, count, kind, seconds, places, length
_PLACE = struct.Struct("<QQI")  # length, offset, slot

VALUES, FAILURE, END, READY, UNABLE, STAGE = range(6)  # kinds of results

LONGEST_LIST = 400
"""Indices in a list, so that a task is written in one piece: less than PIPE_BUF bytes."""

_CHUNK = 1 << 18
_ALIGNMENT = 64
_LARGE = 1 << 16


def task(  # noqa: PLR0913 -- what a task consists of
    block: int,
    indices: Sequence[int],
    mode: int,
    ahead: Sequence[int] = (),
    *,
    timed: bool = False,
    watched: bool = False,
) -> bytes:
    """Return the message that asks for `indices`, and tells of those that come next.

    Both are ranges, or lists of `LONGEST_LIST` and 64 indices at most.
    """
    lists = [part for part in (indices, ahead) if not isinstance(part, range)]
    head = TASK.pack(block, *_place(indices), mode, timed, watched, *_place(ahead))
    return head + b"".join(struct.pack(f"<{len(part)}q", *part) for part in lists)


def _place(indices: Sequence[int]) -> tuple[int, int, int]:
    if isinstance(indices, range):
        return indices.start, indices.stop, indices.step
    return len(indices), 0, 0


class Task(NamedTuple):
    """What a worker is asked for."""

    block: int
    indices: Sequence[int]
    mode: int
    timed: bool
    """Whether it is to be known which item is being evaluated."""
    watched: bool
    """Whether it is to be told which stage is."""
    ahead: Sequence[int]
    """What comes next, in order of need, for whichever worker."""


class TaskReader:
    """Reads tasks in a worker, waiting for them."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._buffer = b""
        self.while_idle: tuple[float, Callable[[], None]] | None = None
        """What to call once after so many seconds without a task."""

    def read(self) -> Task | None:
        """Return the next task, `None` when there is nobody to ask any more."""
        if faults.armed:
            faults.reach("idle")
        head = self.take(TASK.size)
        if head is None:
            return None
        block, start, stop, step, mode, timed, watched, *ahead = TASK.unpack(head)
        indices = self._indices(start, stop, step)
        return Task(block, indices, mode, timed, watched, self._indices(*ahead))

    def _indices(self, start: int, stop: int, step: int) -> Sequence[int]:
        if step:
            return range(start, stop, step)
        # written in one piece with its head, so it is there
        return struct.unpack(f"<{start}q", self.take(8 * start) or b"")

    def take(self, n: int) -> bytes | None:
        """Return the next `n` bytes, waiting for them; `None` at the end."""
        while len(self._buffer) < n:
            more = self._more()
            if not more:
                return None
            self._buffer += more
        taken, self._buffer = self._buffer[:n], self._buffer[n:]
        return taken

    def _more(self) -> bytes:
        """Wait for something to be read, and return it; nothing at the end."""
        if self.while_idle is not None:
            seconds, call = self.while_idle
            if not select.select([self._fd], [], [], seconds)[0]:
                call()
        return os.read(self._fd, 1 << 16)


def write_result(fd: int, head: tuple[Any, ...], *parts: Any) -> None:
    """Write a result, waiting until all of it is taken.

    Args:
        fd: The pipe.
        head: Of `RESULT`, block to seconds.
        parts: The pickle, and the buffers: bytes, or their places.
    """
    table = []
    pieces: list[bytes | memoryview] = []
    at = _PLACE.size * len(parts)
    for part in parts:
        if isinstance(part, Place):
            table.append(_PLACE.pack(*part))
            continue
        data = memoryview(part).cast("B")
        table.append(_PLACE.pack(data.nbytes, 0, 0))
        padding = -at % _ALIGNMENT
        pieces += [bytes(padding), data]
        at += padding + data.nbytes
    message = [RESULT.pack(*head, len(parts), at), *table, *pieces]
    if faults.armed:
        _write_in_steps(fd, message[0], b"".join(message[1:]))
        return
    if at < _LARGE:
        _write_all(fd, b"".join(message))
        return
    for piece in message:
        _write_all(fd, piece)


def _write_in_steps(fd: int, head: Any, rest: bytes) -> None:
    faults.reach("sending")
    _write_all(fd, head)
    faults.reach("header-sent")
    half = len(rest) // 2
    _write_all(fd, rest[:half])
    faults.reach("half-sent")
    _write_all(fd, rest[half:])
    faults.reach("sent")


def _write_all(fd: int, data: Any) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class Result(NamedTuple):
    """What a worker answers."""

    block: int
    done: int
    """Number of items of the block that were answered before."""
    count: int  # type: ignore[assignment]  # a tuple has a method of this name
    kind: int
    seconds: float
    """Time spent on these items."""
    parts: list[memoryview | Place]
    """The pickle, and the buffers."""
    missing: int = 0
    """Bytes of the message, if there was no memory for them: there are no parts then."""


class Source(Protocol):
    """Where results are read from."""

    def read(self, n: int, /) -> bytes:
        """Return up to `n` bytes, none at the end; BlockingIOError if none are there yet."""

    def readinto(self, view: memoryview, /) -> int:
        """Read into `view`, and return how much; as `read`."""


class ResultReader:
    """Puts results together from whatever has arrived of them; never waits."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._buffer = bytearray()
        self._large: Any = None  # a message too large to be read in chunks
        self._filled = 0
        self._head: tuple[Any, ...] = ()
        self._unwanted = 0  # bytes still to come of a message for which there is no memory

    def read(self) -> tuple[list[Result], bool]:
        """Return the results that are complete, and whether the worker can send more."""
        results: list[Result] = []
        while True:
            try:
                more = self._read_once()
            except BlockingIOError:
                return results, True
            if not more:
                return results, False
            self._parse(results)

    def _read_once(self) -> int:
        if self._large is not None:
            with memoryview(self._large) as view:
                n = self._source.readinto(view[self._filled :])
            self._filled += n
            return n
        if self._unwanted:
            n = len(self._source.read(min(self._unwanted, _CHUNK)))
            self._unwanted -= n
            return n
        data = self._source.read(_CHUNK)
        self._buffer += data
        return len(data)

    def _parse(self, results: list[Result]) -> None:
        if self._large is not None:
            if self._filled < len(self._large):
                return
            results.append(_result(self._head, memoryview(self._large)))
            self._large = None
            return
        at = 0
        while len(self._buffer) - at >= RESULT.size:
            head = RESULT.unpack_from(self._buffer, at)
            begin, length = at + RESULT.size, head[-1]
            body = self._buffer[begin : begin + length]
            at = begin + len(body)
            if len(body) < length < _LARGE:
                at = begin - RESULT.size
                break
            message: Any = body
            if len(body) < length or head[5] > 1:
                try:
                    message = mmap.mmap(-1, length)  # aligned, as parts of it become arrays
                except (OSError, MemoryError):  # its items fail, and what follows is read as ever
                    self._unwanted = length - len(body)
                    results.append(_missing(head))
                    continue
                message[: len(body)] = body
            if len(body) < length:
                self._head, self._filled, self._large = head, len(body), message
                break
            results.append(_result(head, memoryview(message)))
        del self._buffer[:at]


def _missing(head: tuple[Any, ...]) -> Result:
    block, done, count, kind, seconds, _, length = head
    return Result(block, done, count, kind, seconds, [], length)


def _result(head: tuple[Any, ...], view: memoryview) -> Result:
    block, done, count, kind, seconds, places, _ = head
    at = _PLACE.size * places
    parts: list[memoryview | Place] = []
    for place in map(Place._make, _PLACE.iter_unpack(view[:at])):
        if place.offset:
            parts.append(place)
            continue
        at += -at % _ALIGNMENT
        parts.append(view[at : at + place.nbytes])
        at += place.nbytes
    return Result(block, done, count, kind, seconds, parts)
