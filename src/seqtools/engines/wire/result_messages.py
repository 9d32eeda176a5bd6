"""Results, the messages from a worker to the consumer, byte by byte.

A result is a header, then the places of the pickle and of each buffer. A place is in a slot or, if
its offset is 0, in the message itself. The parts in the message follow in the same order, each at a
multiple of 64 bytes from the end of the header. At the end comes `MAGIC` again; other bytes there
show that something else wrote in between. Tasks are in `task_messages`.
"""

import mmap
import os
import pickle
import struct
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from seqtools._core.errors import WorkerStartError
from seqtools.engines import fault_injection
from seqtools.engines.wire.arena import SlotPlace
from seqtools.engines.wire.exceptions import loaded
from seqtools.engines.wire.headers import MAGIC, DamagedMessage, Header

RESULT = Header("IIIBdIQ")  # block, done before, count, kind, seconds, places, length
_PLACE = struct.Struct("<QQI")  # length, offset, slot

VALUES, FAILURE, END, READY, UNABLE, STAGE, PRINTED, REST, NOTE, ENDING = range(10)
"""Kinds of results. With `REST`, a worker returns the items of a task that it has not begun. `NOTE`
is a piece of a log record or a warning; its first fields are its number and the number of pieces.
The first field of `ENDING` is what the worker begins at its end.
"""

ENDED, IN_END_HOOK, IN_EXIT_FUNCTIONS = range(3)
"""What a worker begins at its end: nothing more, the end hook, or functions registered for it."""

_CHUNK = 1 << 16
"""Bytes to read at once. Python allocates all of them, even if fewer come."""
_ALIGNMENT = 64
_LARGE = 1 << 16
_MOST_READ = 1 << 22
"""Bytes to read from one worker before others have their turn, even if it prints without end.
Arbitrary, and more than a pipe holds."""


def length(part: Any) -> int:
    """Return the number of bytes of a part of a result."""
    return part[0] if isinstance(part, SlotPlace) else memoryview(part).nbytes


def write_result(fd: int, head: tuple[Any, ...], *parts: Any) -> None:
    """Write a result, and wait until the pipe has taken all of it.

    Args:
        fd: The pipe.
        head: The fields of `RESULT` from block to seconds.
        parts: The pickle and the buffers, as bytes or as their places.
    """
    table = []
    pieces: list[bytes | memoryview] = []
    at = _PLACE.size * len(parts)
    for part in parts:
        if isinstance(part, SlotPlace):
            table.append(_PLACE.pack(*part))
            continue
        data = memoryview(part).cast("B")
        table.append(_PLACE.pack(data.nbytes, 0, 0))
        padding = -at % _ALIGNMENT
        pieces += [bytes(padding), data]
        at += padding + data.nbytes
    begin = RESULT.pack(*head, len(parts), at + len(MAGIC))
    message = [begin, *table, *pieces, MAGIC]
    if fault_injection.armed and head[2]:  # it contains items
        _write_in_steps(fd, message[0], b"".join(message[1:]))
        return
    if at < _LARGE:
        _write_all(fd, b"".join(message))
        return
    for piece in message:
        _write_all(fd, piece)


def _write_in_steps(fd: int, head: Any, rest: bytes) -> None:
    fault_injection.reach("sending")
    _write_all(fd, head)
    fault_injection.reach("header-sent")
    half = len(rest) // 2
    _write_all(fd, rest[:half])
    fault_injection.reach("half-sent")
    _write_all(fd, rest[half:])
    fault_injection.reach("sent")


def _write_all(fd: int, data: Any) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def refusal(data: Any, advice: Callable[[str], str] | None = None) -> WorkerStartError:
    """Return the error of a worker, or a template, that cannot work.

    Args:
        data: Pickled, the message, the traceback, the name of a missing module, and the exception
            as `exceptions.pickled` returns it, nothing if it cannot be sent.
        advice: Returns what to say first about a missing module.
    """
    message, trace, missing, sent = pickle.loads(data)
    if missing and advice is not None:
        message = f"{advice(missing)} ({message})"
    error = WorkerStartError(message)
    error.add_note(trace)
    if sent:
        error.__cause__ = loaded(sent, pickle.loads)
    return error


class Result(NamedTuple):
    """A result, in the consumer."""

    block: int
    done: int
    """The number of items of the block that were delivered before."""
    count: int  # type: ignore[assignment]  # a tuple has a method of this name
    kind: int
    seconds: float
    """Time that the worker needed for these items."""
    parts: list[memoryview | SlotPlace]
    """The pickle and the buffers."""
    missing: int = 0
    """The length of a message for which there was no memory, so that it has no parts."""


class Source(Protocol):
    """Something that results are read from."""

    def read(self, n: int, /) -> bytes:
        """Return up to `n` bytes; none at the end.

        Raises:
            BlockingIOError: If there is nothing to read yet.
        """

    def readinto(self, view: memoryview, /) -> int:
        """Read into `view`, and return the number of bytes; as `read`."""


class ResultReader:
    """Assembles results from the bytes that have arrived; never waits."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._buffer = bytearray()
        self._large: tuple[_Opening, Any] | None = None  # a message too large for chunks
        self._filled = 0
        self._skipped = 0  # bytes still to come of a message for which there is no memory
        self.damage: str | None = None
        """What is wrong with the received bytes; then nothing is read any more."""

    def read(self) -> tuple[list[Result], bool]:
        """Return the complete results, and whether the worker can send more."""
        results: list[Result] = []
        left = _MOST_READ
        try:
            while left > 0:
                n, most = (0, 0) if self.damage is not None else self._read_once()
                if not n:
                    return results, False
                left -= n
                self._parse(results)
                if n < most:
                    break  # nothing more has arrived
        except BlockingIOError:
            pass
        except DamagedMessage as damage:
            self.damage = str(damage)
            return results, False
        return results, True

    def _read_once(self) -> tuple[int, int]:
        """Read, and return the number of bytes, and the number that was asked for."""
        if self._large is not None:
            most = len(self._large[1]) - self._filled
            with memoryview(self._large[1]) as view:
                n = self._source.readinto(view[self._filled :])
            self._filled += n
            return n, most
        if self._skipped:
            most = min(self._skipped, _CHUNK)
            n = len(self._source.read(most))
            self._skipped -= n
            return n, most
        data = self._source.read(_CHUNK)
        self._buffer += data
        return len(data), _CHUNK

    def _parse(self, results: list[Result]) -> None:
        if self._large is not None:
            if self._filled == len(self._large[1]):
                results.append(_result(*self._large))
                self._large = None
            return
        buffer, at = self._buffer, 0
        while at < len(buffer) and (opening := _opening(buffer, at)) is not None:
            begin, length = at + RESULT.size, opening.length
            body = buffer[begin : begin + length]
            missing = length - len(body)
            if missing and length < _LARGE:
                break
            at = begin + len(body)
            message: Any = body
            if missing or opening.inside > 1:
                try:
                    message = mmap.mmap(-1, length)  # aligned, as parts of it become arrays
                except (OSError, OverflowError, MemoryError, ValueError):
                    # Its items fail; messages after it are read as usual.
                    self._skipped = missing
                    block, done, count, kind, seconds = opening.head
                    results.append(Result(block, done, count, kind, seconds, [], length))
                    continue
                message[: len(body)] = body
            if missing:
                self._large, self._filled = (opening, message), len(body)
                break
            results.append(_result(opening, message))
        del buffer[:at]


class _Opening(NamedTuple):
    """The header of a result, and the places of its parts."""

    head: list[Any]
    parts: list[Any]
    """Places in slots, and slices of the bytes after the header."""
    inside: int
    """The number of slices. If there is more than one, some become arrays."""
    length: int
    """Bytes that follow the header."""


def _opening(data: bytearray, at: int) -> _Opening | None:
    """Return the beginning of the result that begins `at`, `None` if it has not arrived yet."""
    if len(data) - at < RESULT.size:
        return None
    *head, places, length = RESULT.unpack(data, at)
    begin, filled = at + RESULT.size, _PLACE.size * places
    if len(data) - begin < filled:
        return None
    parts: list[Any] = []
    inside = 0
    for place in _PLACE.iter_unpack(data[begin : begin + filled]):
        if place[1]:
            parts.append(SlotPlace._make(place))
            continue
        filled += -filled % _ALIGNMENT
        parts.append(slice(filled, filled + place[0]))
        filled += place[0]
        inside += 1
    if filled + len(MAGIC) != length:  # before memory is allocated for it
        raise DamagedMessage(f"a message of {length} bytes has parts of {filled}")
    return _Opening(head, parts, inside, length)


def _result(opening: _Opening, message: Any) -> Result:
    """Return the result, given the bytes after its header."""
    if message[-len(MAGIC) :] != MAGIC:
        raise DamagedMessage("a message has no end where it has to be")
    view = memoryview(message)
    parts = [part if type(part) is SlotPlace else view[part] for part in opening.parts]
    block, done, count, kind, seconds = opening.head
    return Result(block, done, count, kind, seconds, parts)
