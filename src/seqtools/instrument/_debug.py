"""Calls a function for items when they are read."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from seqtools._core.checks import check_count, check_function, check_source
from seqtools._core.display.short import short
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source
from seqtools.instrument.observer import Observer

T = TypeVar("T")


class _Calls:
    """Counts calls, and limits their number and rate."""

    __slots__ = ("began", "last", "lock", "made")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.made = 0
        self.began = self.last = float("-inf")

    def allow(self, most: float, rate: float | None) -> bool:
        """Return whether a call may be made now, and count it.

        The first call is at once. Without the last condition, a second would have one call more
        than `rate`: the one with which it begins, and the one with which it ends.
        """
        with self.lock:
            if self.made >= most:
                return False
            if rate is not None:
                now = time.monotonic()
                if now < self.last + 1 / rate:
                    return False
                if self.made >= rate >= 1 and self.made + 1 > rate * (now - self.began):
                    return False
                if not self.made:
                    self.began = now
                self.last = now
            self.made += 1
            return True


class Debug(Observer[T]):
    """Passes items on and calls a function with them."""

    __slots__ = ("_func", "_max_calls", "_max_rate", "_state")

    def __init__(
        self,
        sequence: Source[T],
        func: Callable[[int, T], object],
        max_calls: int | None,
        max_rate: float | None,
    ) -> None:
        super().__init__(sequence)
        self._func, self._max_calls, self._max_rate = func, max_calls, max_rate
        self._state = _Calls()

    def _get(self, i: int) -> T:
        value: T = self._read(i)
        most = float("inf") if self._max_calls is None else self._max_calls
        if self._state.allow(most, self._max_rate):
            self._func(i, value)
        return value

    def _rebuild(self, *sources: Any) -> "Debug[T]":
        copy = Debug[T](sources[0], self._func, self._max_calls, self._max_rate)
        copy._state = self._state
        return copy

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self._func, self._max_calls, self._max_rate


def debug(
    sequence: Source[T],
    func: Callable[[int, T], object],
    max_calls: int | None = None,
    max_rate: float | None = None,
) -> LazySequence[T]:
    """Return `sequence`, with `func` called for items when they are read.

    Items are passed on unchanged. `func` is called where the item is read, which can be a
    worker. Each worker process counts its own calls; this process shows what `func` prints
    there, in whole lines and before it returns the item.

    Args:
        sequence: The sequence to read items from.
        func: Called with the index of an item and its value.
        max_calls: Most calls, or `None` for no limit.
        max_rate: Most calls per second, or `None` for no limit; other items are passed on
            without a call. The first call is at once, and counts: 10 allows 10 calls in the first
            second, not 11.

    Raises:
        ValueError: If `max_calls` is negative, or `max_rate` is not positive.
        TypeError: If `sequence` is not a sequence, `func` cannot be called, or `max_rate` is no
            number.

    Example:
        >>> shown = debug([10, 20, 30], lambda i, value: print("read", i, value), max_calls=2)
        >>> list(shown)
        read 0 10
        read 1 20
        [10, 20, 30]
    """
    check_source(sequence)
    check_function(func, "func")
    calls = None if max_calls is None else check_count(max_calls, 0, "max_calls")
    if max_rate is not None and not hasattr(max_rate, "__float__"):
        message = f"max_rate must be a number or None, got {short(max_rate)}"
        raise TypeError(message)
    if max_rate is not None and not max_rate > 0:
        message = f"max_rate must be positive, got {max_rate}"
        raise ValueError(message)
    return Debug(sequence, func, calls, max_rate)
