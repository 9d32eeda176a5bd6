"""Bytes that come in: messages are understood as they were sent, or not at all."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from seqtools.engines.wire import arena, result_messages, task_messages
from seqtools.engines.wire.arena import Arena, SlotPlace
from seqtools.engines.wire.arena_reader import ArenaReader, LeasedBytes
from seqtools.engines.wire.headers import DamagedMessage, ending
from tests.faults.pieces import EDITS, Pieces, damaged, mapped

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
            (
                result_messages.BEGINS | result_messages.ENDS,
                0,
                0,
                result_messages.PRINTED,
                0.0,
                [b"a line\n"],
            ),
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


def shape(message: Message) -> Message:
    """Return a message without the bytes of its values, on which there is no checksum."""
    *head, parts = message
    return (*head, [p if isinstance(p, SlotPlace) else len(p) for p in parts])


# Results


@given(some.lists(_MESSAGES, max_size=4), some.lists(some.integers(1, 5000), max_size=20))
def test_results_arrive_as_they_were_sent_however_they_are_cut(
    messages: list[Message], lengths: list[int]
) -> None:
    assert arrived(Pieces(sent(messages), lengths)) == (messages, None)


@given(some.lists(_MESSAGES, min_size=1, max_size=4), EDITS, some.lists(some.integers(1, 999)))
def test_damaged_results_are_found_out(
    messages: list[Message], edits: list[tuple[float, str, bytes]], lengths: list[int]
) -> None:
    data = sent(messages)
    broken = damaged(data, edits)
    with mapped() as sizes:
        found, damage = arrived(Pieces(broken, lengths))
    shapes = [shape(message) for message in messages]
    assert all(shape(message) in shapes for message in found)
    assert max(sizes, default=0) < len(data)
    if damage is None and found == messages:  # what follows may be the begin of another
        assert len(broken) < len(data) + result_messages.RESULT.size


@given(some.binary(max_size=1000) | some.integers(1, 1000).map(bytes))
def test_noise_is_no_result(noise: bytes) -> None:
    with mapped() as sizes:
        found, damage = arrived(Pieces(noise))
    assert (found, sizes) == ([], [])
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
    begin = len(data) - 4 - int(where * size)
    found, damage = arrived(Pieces(data[:begin] + noise + data[begin:]))
    assert found == []
    assert damage == "a message has no end where it has to be"


_HUGE = 1 << 62
_IMPOSSIBLE = {
    "kind": (1, 0, 1, 9, 0.0, 1, 124),
    "no values": (1, 0, 0, result_messages.VALUES, 0.0, 1, 124),
    "values without a place": (1, 0, 1, result_messages.VALUES, 0.0, 0, 4),
    "two failures": (1, 0, 2, result_messages.FAILURE, 0.0, 1, 124),
    "a place of the end": (1, 0, 1, result_messages.END, 0.0, 1, 124),
    "items of a worker that is ready": (1, 0, 1, result_messages.READY, 0.0, 0, 4),
    "items that are printed": (1, 0, 1, result_messages.PRINTED, 0.0, 1, 124),
    "nothing that is printed": (3, 0, 0, result_messages.PRINTED, 0.0, 0, 4),
    "time that is no number": (1, 0, 1, result_messages.VALUES, float("nan"), 1, 124),
    "time without end": (1, 0, 1, result_messages.VALUES, float("inf"), 1, 124),
    "time that goes back": (1, 0, 1, result_messages.VALUES, -1.0, 1, 124),
    "shorter than its places": (1, 0, 1, result_messages.VALUES, 0.0, 50, 1003),
    "more places than there can be": (1, 0, 1, result_messages.VALUES, 0.0, 0xFFFFFFFF, 1 << 20),
    "longer than its parts": (1, 0, 1, result_messages.VALUES, 0.0, 1, 125),
    "much longer than its parts": (1, 0, 1, result_messages.VALUES, 0.0, 1, _HUGE),
    "shorter than its parts": (1, 0, 1, result_messages.VALUES, 0.0, 1, 123),
}


@pytest.mark.parametrize("head", _IMPOSSIBLE.values(), ids=_IMPOSSIBLE)
def test_a_head_that_cannot_be_right_is_found_out_before_anything_is_allocated(
    head: tuple[Any, ...],
) -> None:
    begun = result_messages.RESULT.pack(*head) + result_messages._PLACE.pack(56, 0, 0)
    with mapped() as sizes:
        found, damage = arrived(Pieces(begun + bytes(56) + ending(begun)))
    assert (found, sizes) == ([], [])
    assert damage is not None


def test_a_message_for_which_there_is_no_memory_has_no_parts() -> None:
    head = result_messages.RESULT.pack(1, 0, 1, result_messages.VALUES, 0.0, 1, _HUGE)
    place = result_messages._PLACE.pack(
        _HUGE - 24 - 44, 0, 0
    )  # from the next multiple of 64 bytes on
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


@given(some.lists(_TASKS, min_size=1, max_size=4), EDITS)
def test_damaged_tasks_are_found_out(
    tasks: list[tuple[Any, ...]], edits: list[tuple[float, str, bytes]]
) -> None:
    data = asked(tasks)
    broken = damaged(data, edits)
    found, damage = understood(Pieces(broken))
    assert all(task in tasks for task in found)
    if len(broken) > len(data):
        assert damage


@given(some.binary(min_size=1, max_size=500) | some.integers(1, 500).map(bytes))
def test_noise_is_no_task(noise: bytes) -> None:
    assert understood(Pieces(noise)) == ([], True)


@pytest.mark.parametrize(
    "fields",
    [
        (1, 0, 5, 1, 2, False, False, 0, 0, 0),
        (1, task_messages.LONGEST_LIST + 1, 0, 0, 0, False, False, 0, 0, 0),
        (1, -1, 0, 0, 0, False, False, 0, 0, 0),
        (1, 0, 5, 1, 0, False, False, 1 << 60, 0, 0),
    ],
)
def test_a_task_that_cannot_be_is_found_out_at_once(fields: tuple[Any, ...]) -> None:
    class Never(Pieces):
        def read(self, n: int, /) -> bytes:
            data = super().read(n)
            assert data, "it waits for more"
            return data

    assert understood(Never(task_messages.TASK.pack(*fields))) == ([], True)


# Places in the memory of a worker


@pytest.fixture(scope="module")
def memory() -> Iterator[tuple[ArenaReader, Arena]]:
    made = arena.create(1)
    assert made is not None
    worker = Arena.at(os.dup(made[0]))
    assert worker is not None
    yield ArenaReader(*made, LeasedBytes(1 << 20)), worker
    os.close(made[0])


@settings(max_examples=300)
@given(
    some.integers(0, 1 << 21) | some.integers(0, (1 << 64) - 1),
    some.sampled_from([1, 1 << 12, 1 << 20, 1 << 21]) | some.integers(1, (1 << 64) - 1),
    some.integers(0, 3) | some.integers(0, 0xFFFFFFFF),
)
def test_a_place_where_nothing_was_put_is_found_out(
    memory: tuple[ArenaReader, Arena], nbytes: int, offset: int, slot: int
) -> None:
    leases, worker = memory
    place = worker.put(memoryview(b"x" * 5000))
    assert place is not None
    with mapped() as sizes:
        try:
            leased = leases.lease(SlotPlace(nbytes, offset, slot))
        except DamagedMessage:
            pass
        else:
            assert (slot, leased.nbytes) == (place.slot, nbytes)
            del leased
    assert max(sizes, default=0) <= len(leases._memory)
    worker._memory[place.slot] = 0


@pytest.mark.parametrize(
    ("nbytes", "offset", "slot"),
    [
        (99, arena.PAGE, 0),
        (99, arena.FLAGS + 1, 0),
        (99, arena.FLAGS, arena.FLAGS + 5),
        (99, arena.FLAGS, arena.MOST_SLOTS),
        (1 << 63, arena.FLAGS, 0),
    ],
    ids=["among flags", "between pages", "flag in a value", "flag in the progress", "too long"],
)
def test_a_place_outside_of_the_memory_is_found_out(nbytes: int, offset: int, slot: int) -> None:
    made = arena.create(1)
    assert made is not None
    worker = Arena.at(os.dup(made[0]))
    assert worker is not None
    place = worker.put(memoryview(b"\1" * 5000))
    assert place == SlotPlace(5000, arena.FLAGS, 0)
    worker.progress.tell(0x01010101, 0)
    with pytest.raises(DamagedMessage, match="outside of the memory"):
        ArenaReader(*made, LeasedBytes(0)).lease(SlotPlace(nbytes, offset, slot))
    os.close(made[0])


def test_a_value_is_not_lent_twice(memory: tuple[ArenaReader, Arena]) -> None:
    leases, worker = memory
    place = worker.put(memoryview(b"x" * 5000))
    assert place is not None
    view = leases.lease(place)
    with pytest.raises(DamagedMessage, match="where none was put"):
        leases.lease(place)
    assert bytes(view) == b"x" * 5000
    del view
    with pytest.raises(DamagedMessage, match="where none was put"):
        leases.lease(place)
