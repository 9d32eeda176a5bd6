"""Measures how fast items are read."""

import threading
import time
from typing import Any, TypeVar

from seqtools._core.checks import check_source
from seqtools._core.sources import Source
from seqtools.instrument.observer import Observer

T = TypeVar("T")


class _Clock:
    """The number of reads, and times in seconds."""

    __slots__ = ("first", "last", "lock", "reads", "spent")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        self.reads = 0
        self.spent = 0.0
        self.first = self.last = float("nan")

    def check(self, name: str) -> None:
        """Raise `RuntimeError` if there is nothing to measure for the method `name`."""
        if not self.reads:
            message = f"{name}() needs an item that was read, got none: read items of it first"
            raise RuntimeError(message)

    def add(self, began: float, ended: float) -> None:
        with self.lock:
            if not self.reads:
                self.first = began
            self.reads += 1
            self.spent += ended - began
            self.last = ended


class Throughput(Observer[T]):
    """Passes items on and measures the time of reads."""

    __slots__ = ("_state",)

    _name = "monitor_throughput"

    def __init__(self, sequence: Source[T]) -> None:
        super().__init__(sequence)
        self._state = _Clock()

    def _get(self, i: int) -> T:
        began = time.perf_counter()
        value: T = self._read(i)
        self._state.add(began, time.perf_counter())
        return value

    def throughput(self) -> float:
        """Return items read per second, from the first read to the last.

        It is nan if no time has passed.

        Raises:
            RuntimeError: If no item was read, since the last `reset`.
        """
        clock = self._state
        with clock.lock:
            clock.check("throughput")
            elapsed = clock.last - clock.first
            return clock.reads / elapsed if elapsed else float("nan")

    def read_delay(self) -> float:
        """Return the mean time to read an item, in seconds.

        Raises:
            RuntimeError: If no item was read, since the last `reset`.
        """
        clock = self._state
        with clock.lock:
            clock.check("read_delay")
            return clock.spent / clock.reads

    def reset(self) -> None:
        """Forget the reads so far."""
        with self._state.lock:
            self._state.reset()

    def _rebuild(self, *sources: Any) -> "Throughput[T]":
        copy = Throughput[T](sources[0])
        copy._state = self._state
        return copy

    def _args(self) -> tuple[Any, ...]:
        return (self._sequence,)


def monitor_throughput(sequence: Source[T]) -> Throughput[T]:
    """Return `sequence` with a measurement of the speed at which it is read.

    Items are passed on unchanged. Reads in worker processes are not measured: apply
    this function to a `prefetch` to measure what the consumer gets.

    Args:
        sequence: The sequence to read items from.

    Raises:
        TypeError: If `sequence` is not a sequence.

    Example:
        >>> monitor = monitor_throughput([1, 2, 3])
        >>> list(monitor), monitor.throughput() > monitor.read_delay()
        ([1, 2, 3], True)
    """
    check_source(sequence)
    return Throughput(sequence)
