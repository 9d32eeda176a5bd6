"""Turns the answers of workers into outcomes of items."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from seqtools._core import recording
from seqtools._core.errors import Failure, summary
from seqtools.engines import fault_injection
from seqtools.engines.base import END, Part
from seqtools.engines.dispatch.affinity import Task
from seqtools.engines.wire import exceptions, result_messages, values

Loads: TypeAlias = Callable[..., Any]


class UnusableError(Exception):
    """An answer about several items cannot be loaded: each of them must be evaluated again."""


def parts_of(  # noqa: PLR0913, PLR0917 -- an answer
    items: Task,
    loads: Loads,
    kind: int,
    seconds: float,
    parts: Sequence[Any],
    missing: int = 0,
) -> list[Part]:
    """Return the outcomes of an answer, each failed one in a part of its own.

    Args:
        items: The items that were answered.
        loads: Unpickles a value, given its pickle and its buffers; see `ResultLoader`.
        kind: `VALUES`, `FAILURE` or `END`, of `result_messages`.
        seconds: The time to evaluate them.
        parts: The pickle and the buffers.
        missing: The length of an answer for which there was no memory.

    Raises:
        UnusableError: If it is an answer about several items that cannot be loaded.
    """
    try:
        outcomes, failed = _outcomes(items.indices, loads, kind, parts, missing)
    except Exception as error:  # memory, or code of users in an error of theirs
        if len(items.indices) > 1:
            raise UnusableError from error
        outcomes, failed = [_unloadable(items.indices[0], error)], [0]
    found = []
    for begin, end in _pieces(len(outcomes), failed):
        piece = outcomes[begin:end] if failed else outcomes
        took = seconds * (end - begin) / len(outcomes)
        offset = items.offset + begin
        found.append(Part(items.job, offset, piece, took, failed=begin in failed))
    return found


def _outcomes(
    indices: Sequence[int], loads: Loads, kind: int, parts: Sequence[Any], missing: int
) -> tuple[list[Any], list[int]]:
    """Return the outcomes of items, and the places of those that failed or are the end."""
    if kind == result_messages.END:
        return [END], [0]
    if missing:
        raise MemoryError(f"no memory for a value of {missing >> 20:,} MB")
    began = time.perf_counter_ns() if recording.active else 0
    failed: list[int] = []
    if kind == result_messages.FAILURE:
        sent, path, trace = loads(parts[0])
        outcomes = [Failure(exceptions.loaded(sent, loads), path, trace)]
        failed.append(0)
    else:

        def unloadable(place: int, error: Exception) -> Failure:
            failed.append(place)
            return _unloadable(indices[place], error)

        outcomes = values.loaded(parts, loads, unloadable)
    if began:
        recording.note(recording.LOAD, len(indices), sum(map(len, parts)), began)
    if fault_injection.armed:
        fault_injection.reach("consumer-loaded")
    return outcomes, failed


def _unloadable(index: int, error: Exception) -> Failure:
    """Return the failure of an item whose value cannot be loaded."""
    message = f"item {index} cannot be loaded from a worker process: {summary(error)}"
    failed = (MemoryError if isinstance(error, MemoryError) else TypeError)(message)
    failed.__cause__ = error
    return Failure(failed)


def _pieces(n: int, failed: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield begin and end of pieces of `n` outcomes, such that each failed one is alone."""
    begin = 0
    for place in sorted(failed):
        if begin < place:
            yield begin, place
        yield place, place + 1
        begin = place + 1
    if begin < n:
        yield begin, n
