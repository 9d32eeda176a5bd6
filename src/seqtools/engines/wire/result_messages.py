"""Results, the messages from a worker to the consumer, byte by byte.

A result is a header, and the place of the pickle and of each buffer. A place is in a slot, or
if its offset is 0 in the message itself: those follow, in the same order, each on a multiple
of 64 bytes from the end of the header. Then `MAGIC` stands again, which is where it has to be
only if nobody else wrote in between. Tasks are in `task_messages`.
"""

import mmap
import os
import pickle
import struct
from typing import Any, NamedTuple, Protocol

from seqtools._core.errors import WorkerStartError
from seqtools.engines import fault_injection
from seqtools.engines.wire.arena import SlotPlace
from seqtools.engines.wire.headers import MAGIC, DamagedMessage, Header

RESULT = Header("IIIBdIQ")  # block, done before, count, kind, seconds, places, length
_PLACE = struct.Struct("<QQI")  # length, offset, slot

VALUES, FAILURE, END, READY, UNABLE, STAGE, PRINTED, REST = range(8)
"""Kinds of results. With the last one, a worker returns what is left of a task."""

_CHUNK = 1 << 16
"""Bytes to read at once: of more, most is in vain, as memory is taken for all of them."""
_ALIGNMENT = 64
_LARGE = 1 << 16
_STRETCH = 1 << 22
"""Bytes to read at a stretch: a worker that prints for ever must not keep who reads from others.
Arbitrary, and more than a pipe holds."""


def length(part: Any) -> int:
    """Return the bytes of a part of a result, wherever they are."""
    return part[0] if isinstance(part, SlotPlace) else memoryview(part).nbytes


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
    if fault_injection.armed and head[2]:  # it answers for items
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


def refusal(data: Any) -> WorkerStartError:
    """Return the error by which a worker, or a template, says that it cannot work.

    Args:
        data: What is wrong, and the traceback, pickled.
    """
    told, story = pickle.loads(data)
    refused = WorkerStartError(told)
    refused.add_note(story)
    return refused


class Result(NamedTuple):
    """What a worker answers."""

    block: int
    done: int
    """Number of items of the block that were answered before."""
    count: int  # type: ignore[assignment]  # a tuple has a method of this name
    kind: int
    seconds: float
    """Time spent on these items."""
    parts: list[memoryview | SlotPlace]
    """The pickle, and the buffers."""
    missing: int = 0
    """Bytes of the message, if there was no memory for them: there are no parts then."""


class Source(Protocol):
    """Where results are read from."""

    def read(self, n: int, /) -> bytes:
        """Return `n` bytes, or as many as there are by now; none at the end.

        Raises:
            BlockingIOError: If none are there yet.
        """

    def readinto(self, view: memoryview, /) -> int:
        """Read into `view`, and return how much; as `read`."""


class ResultReader:
    """Puts results together from whatever has arrived of them; never waits."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._buffer = bytearray()
        self._large: tuple[_Opening, Any] | None = None  # a message too large for chunks
        self._filled = 0
        self._unwanted = 0  # bytes still to come of a message for which there is no memory
        self.damage: str | None = None
        """What is wrong with what was sent; nothing is read from then on."""

    def read(self) -> tuple[list[Result], bool]:
        """Return the results that are complete, and whether the worker can send more."""
        results: list[Result] = []
        left = _STRETCH
        try:
            while left > 0:
                n, most = (0, 0) if self.damage is not None else self._read_once()
                if not n:
                    return results, False
                left -= n
                self._parse(results)
                if n < most:
                    break  # there is nothing more yet
        except BlockingIOError:
            pass
        except DamagedMessage as damage:
            self.damage = str(damage)
            return results, False
        return results, True

    def _read_once(self) -> tuple[int, int]:
        """Read, and return how many bytes, and how many these could have been."""
        if self._large is not None:
            most = len(self._large[1]) - self._filled
            with memoryview(self._large[1]) as view:
                n = self._source.readinto(view[self._filled :])
            self._filled += n
            return n, most
        if self._unwanted:
            most = min(self._unwanted, _CHUNK)
            n = len(self._source.read(most))
            self._unwanted -= n
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
                    # its items fail, and what follows is read as ever
                    self._unwanted = missing
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
    """The header of a result and the places of its parts, by which all the rest is known."""

    head: list[Any]
    parts: list[Any]
    """Places, and slices of what follows the header."""
    inside: int
    """Number of the slices: if there are more than one, some become arrays."""
    length: int
    """Bytes that follow the header."""


def _opening(data: bytearray, at: int) -> _Opening | None:
    """Return how the result begins that begins `at`, `None` if that has not arrived yet."""
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
    if filled + len(MAGIC) != length:  # before memory is taken for it
        raise DamagedMessage(f"a message of {length} bytes has parts of {filled}")
    return _Opening(head, parts, inside, length)


def _result(opening: _Opening, message: Any) -> Result:
    """Return the result, from all that follows its header."""
    if message[-len(MAGIC) :] != MAGIC:
        raise DamagedMessage("a message has no end where it has to be")
    view = memoryview(message)
    parts = [part if type(part) is SlotPlace else view[part] for part in opening.parts]
    block, done, count, kind, seconds = opening.head
    return Result(block, done, count, kind, seconds, parts)
