"""Timing of what contestants deliver, with every value checked."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

SECONDS = 1.0  # long beside a scheduler's noise, and short enough for two hundred contestants


class WrongValueError(AssertionError):
    """A contestant has delivered another value than it should have."""


def whole(source: Iterable[Any], expected: list[Any]) -> float:
    """Return the seconds from the start of the iteration, workers included, to its end.

    Args:
        source: What is read; whatever was done to make it is not timed.
        expected: What must come out, in this order.
    """
    begin = time.perf_counter()
    result = list(source)
    seconds = time.perf_counter() - begin
    if result != expected:
        message = f"got {len(result)} items that differ from the {len(expected)} expected"
        raise WrongValueError(message)
    return seconds


def rate(  # noqa: PLR0913 -- all of them by name
    source: Iterable[Any],
    *,
    full: Callable[[int, Any], bool],
    quick: Callable[[int, Any], bool],
    warmup: int,
    total: int,
    seconds: float = SECONDS,
) -> float:
    """Return the items per second of a reader who drops each item and reads the next.

    The clock starts after `warmup` items or `seconds`, so starting workers is not timed, and
    stops at the end or after `seconds`, so that slow contestants do not need minutes.

    Args:
        source: What is read.
        full: Whether item `i` is right, looked at thoroughly; for the first three items,
            before the clock starts.
        quick: The same at a glance; for each item, so it must cost nearly nothing.
        warmup: Items before the clock starts; at least three.
        total: Items in `source`.
        seconds: Time after which the clock starts, and again, after which it stops.
    """
    items = iter(source)
    for i, item in enumerate(itertools.islice(items, 3)):
        _check(full(i, item), i)
    del item
    start, _ = _read(items, 3, warmup - 3, quick, seconds)
    stop, elapsed = _read(items, start, total, quick, seconds)
    if elapsed < seconds and stop != total:
        message = f"there must be {total} items, got {stop}"
        raise WrongValueError(message)
    return (stop - start) / elapsed


def _read(
    items: Iterator[Any], start: int, most: int, quick: Callable[[int, Any], bool], seconds: float
) -> tuple[int, float]:
    """Return the index after the last item that was read, and how long it took."""
    clock = time.perf_counter
    begin = clock()
    deadline = begin + seconds
    i = start - 1
    for i, item in enumerate(itertools.islice(items, most), start):
        if not quick(i, item):
            _check(right=False, i=i)
        if clock() > deadline:
            break
    return i + 1, clock() - begin


def rate_of_small(
    source: Iterable[Any],
    expected: Callable[[range], list[Any]],
    *,
    warmup: int,
    total: int,
    step: int = 1000,
) -> float:
    """Return the items per second of a reader who keeps all items, which must be small.

    Iteration costs nothing here, and everything is checked once the clock has stopped; it
    starts and stops as in `rate`.

    Args:
        source: What is read.
        expected: The right items for a range of indices.
        warmup: Items before the clock starts.
        total: Items in `source`.
        step: Items between two looks at the clock; fewer of them where some take seconds.
    """
    items = iter(source)
    before, _ = _keep(items, warmup, step)
    after, elapsed = _keep(items, total, step)
    got = before + after
    if got != expected(range(len(got))) or (elapsed < SECONDS and len(got) != total):
        message = f"the {len(got)} items of {total} that were read are not the right ones"
        raise WrongValueError(message)
    return len(after) / elapsed


def _keep(items: Iterator[Any], most: int, step: int) -> tuple[list[Any], float]:
    """Return the items that were read, and how long it took."""
    got: list[Any] = []
    begin = time.perf_counter()
    while time.perf_counter() - begin < SECONDS:
        chunk = list(itertools.islice(items, min(step, most - len(got))))
        got += chunk
        if len(chunk) < step:
            break
    return got, time.perf_counter() - begin


def busy(seconds: float) -> None:
    """Take so much processor time, and hold the lock of the interpreter."""
    begin = time.thread_time()
    while time.thread_time() - begin < seconds:
        pass


def _check(right: object, i: int) -> None:
    if not right:
        message = f"item {i} is not what it should be"
        raise WrongValueError(message)
