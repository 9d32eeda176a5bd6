"""Bytes that come in: messages are understood as they were sent, and noise is none."""

import mmap
import tempfile
from collections.abc import Sequence
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from seqtools.engines.wire import result_messages, task_messages
from seqtools.engines.wire.arena import SlotPlace
from seqtools.engines.wire.headers import MAGIC, DamagedMessage


class Pieces:
    """A source, such as a pipe, in which the bytes arrive a piece at a time."""

    def __init__(self, data: bytes, lengths: Sequence[int] = ()) -> None:
        self._data, self._lengths, self._waits = data, [*lengths], False

    def read(self, n: int, /) -> bytes:
        self._waits = not self._waits
        if self._waits and self._lengths:
            raise BlockingIOError
        n = min(n, self._lengths.pop() if self._lengths else n)
        taken, self._data = self._data[:n], self._data[n:]
        return taken

    def readinto(self, view: memoryview, /) -> int:
        taken = self.read(len(view))
        view[: len(taken)] = taken
        return len(taken)


Message = tuple[Any, ...]
"""Block, items before, items, kind, seconds, and the list of parts."""

_BYTES = some.binary(max_size=100) | some.builds(bytes, some.integers(65_000, 70_000))
_PLACES = some.builds(
    SlotPlace, some.integers(0, 1 << 40), some.integers(1, 1 << 40), some.integers(0, 1 << 20)
)
_NUMBERS = some.integers(0, 0xFFFFFFFF)
_SECONDS = some.floats(0, 1e9)
_MESSAGES = some.one_of(
    some.tuples(
        _NUMBERS,
        _NUMBERS,
        some.integers(1, 9),
        some.just(result_messages.VALUES),
        _SECONDS,
        some.lists(_BYTES | _PLACES, min_size=1, max_size=4),
    ),
    some.sampled_from(
        [
            (7, 1, 1, result_messages.FAILURE, 0.5, [b"error"]),
            (7, 1, 1, result_messages.END, 0.0, []),
            (0, 0, 0, result_messages.READY, 0.0, []),
            (0, 0, 0, result_messages.UNABLE, 0.0, [b"reason"]),
            (0, 0, 0, result_messages.PRINTED, 0.0, [b"a line\n"]),
        ]
    ),
)


def sent(messages: Sequence[Message]) -> bytes:
    """Return what a worker writes."""
    with tempfile.TemporaryFile() as file:
        for *head, parts in messages:
            result_messages.write_result(file.fileno(), tuple(head), *parts)
        file.seek(0)
        return file.read()


def arrived(source: Pieces) -> tuple[list[Message], str | None]:
    """Return the messages that are read, and what was wrong with the first that was not."""
    reader, found, more = result_messages.ResultReader(source), list[Message](), True
    while more:
        results, more = reader.read()
        for *head, parts, _ in results:
            found.append((*head, [p if isinstance(p, SlotPlace) else bytes(p) for p in parts]))
    return found, reader.damage


# Results


@given(some.lists(_MESSAGES, max_size=4), some.lists(some.integers(1, 5000), max_size=20))
def test_results_arrive_as_they_were_sent_however_they_are_cut(
    messages: list[Message], lengths: list[int]
) -> None:
    assert arrived(Pieces(sent(messages), lengths)) == (messages, None)


@given(some.binary(max_size=1000) | some.integers(1, 1000).map(bytes))
def test_noise_is_no_result(noise: bytes) -> None:
    with mock.patch.object(mmap, "mmap", side_effect=AssertionError("memory is taken for it")):
        found, damage = arrived(Pieces(noise))
    assert found == []
    assert (damage is None) == (len(noise) < result_messages.RESULT.size)


@given(some.lists(_MESSAGES, min_size=1, max_size=3), some.binary(min_size=50), some.data())
def test_what_comes_before_noise_is_delivered(
    messages: list[Message], noise: bytes, data: some.DataObject
) -> None:
    cut = data.draw(some.lists(some.integers(1, 5000), max_size=20))
    found, damage = arrived(Pieces(sent(messages) + noise + sent(messages), cut))
    assert found == messages
    assert damage is not None


@given(some.binary(min_size=1, max_size=9), some.floats(0, 1), some.integers(1, 70_000))
def test_noise_between_the_bytes_of_a_value_is_found_out(
    noise: bytes, where: float, size: int
) -> None:
    data = sent([(1, 0, 1, result_messages.VALUES, 0.0, [bytes(size), bytes(size)])])
    begin = len(data) - len(MAGIC) - int(where * size)
    found, damage = arrived(Pieces(data[:begin] + noise + data[begin:]))
    assert found == []
    assert damage == "a message has no end where it has to be"


_HUGE = 1 << 62


def test_no_memory_is_taken_for_a_length_that_cannot_be() -> None:
    head = result_messages.RESULT.pack(1, 0, 1, result_messages.VALUES, 0.0, 1, _HUGE)
    with mock.patch.object(mmap, "mmap", side_effect=AssertionError("memory is taken for it")):
        found, damage = arrived(Pieces(head + result_messages._PLACE.pack(56, 0, 0) + bytes(100)))
    assert found == []
    assert damage is not None


def test_a_message_for_which_there_is_no_memory_has_no_parts() -> None:
    head = result_messages.RESULT.pack(1, 0, 1, result_messages.VALUES, 0.0, 1, _HUGE)
    # the part begins at the next multiple of 64 bytes
    place = result_messages._PLACE.pack(_HUGE - 64 - len(MAGIC), 0, 0)
    reader = result_messages.ResultReader(Pieces(head + place + bytes(100)))
    (result,), _ = reader.read()
    assert (result.parts, result.missing, reader.damage) == ([], _HUGE, None)


@given(some.lists(_BYTES, min_size=2, max_size=4), some.lists(some.integers(1, 99_999), max_size=4))
def test_buffers_are_aligned(parts: list[bytes], lengths: list[int]) -> None:
    data = sent([(1, 0, 1, result_messages.VALUES, 0.0, parts)])
    source, results = Pieces(data, lengths), list[result_messages.Result]()
    reader = result_messages.ResultReader(source)
    while not results:
        results, _ = reader.read()
    for part in results[0].parts:
        assert isinstance(part, memoryview)
        address = np.frombuffer(part, np.uint8).__array_interface__["data"][0]
        assert not part or address % 64 == 0


# Tasks

_INT = some.integers(-(1 << 63), (1 << 63) - 1)
_RANGES = some.builds(range, _INT, _INT, _INT.filter(bool))
_TASKS = some.tuples(
    _NUMBERS,
    _RANGES | some.lists(_INT, min_size=1, max_size=task_messages.LONGEST_LIST),
    some.integers(0, 1),
    some.booleans(),
    some.booleans(),
    _RANGES | some.lists(_INT, max_size=64),
)


class Fed(task_messages.TaskReader):
    """A reader of tasks that come a piece at a time."""

    def __init__(self, source: Pieces) -> None:
        super().__init__(-1)
        self._source = source

    def _more(self) -> bytes:
        while True:
            try:
                return self._source.read(1 << 16)
            except BlockingIOError:
                continue


def asked(tasks: Sequence[tuple[Any, ...]]) -> bytes:
    return b"".join(
        task_messages.task(block, indices, mode, ahead, timed=timed, watched=watched)
        for block, indices, mode, timed, watched, ahead in tasks
    )


def understood(source: Pieces) -> tuple[list[tuple[Any, ...]], bool]:
    """Return the tasks that are read, and whether something else came."""
    reader, found = Fed(source), list[tuple[Any, ...]]()
    try:
        while (task := reader.read()) is not None:
            found.append(tuple(list(x) if isinstance(x, tuple) else x for x in task))
    except DamagedMessage:
        return found, True
    return found, False


@given(some.lists(_TASKS, max_size=4), some.lists(some.integers(1, 500), max_size=20))
def test_tasks_arrive_as_they_were_sent_however_they_are_cut(
    tasks: list[tuple[Any, ...]], lengths: list[int]
) -> None:
    assert understood(Pieces(asked(tasks), lengths)) == (tasks, False)


@given(some.binary(min_size=task_messages.TASK.size, max_size=500) | some.just(bytes(500)))
def test_noise_is_no_task(noise: bytes) -> None:
    assert understood(Pieces(noise)) == ([], True)
