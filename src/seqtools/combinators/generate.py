"""Sequences that read from nothing: numbers, and one value many times."""

from math import ceil
from typing import Any, TypeVar

from seqtools._core.checks import check_count
from seqtools._core.sequence import LazySequence

T = TypeVar("T")


class Arange(LazySequence[Any]):
    """Evenly spaced numbers."""

    __slots__ = ("_start", "_step", "_stop")

    def __init__(self, start: Any, stop: Any, step: Any) -> None:
        self._start, self._stop, self._step = start, stop, step

    def _size(self) -> int:
        if all(isinstance(v, int) for v in self._args()):
            return len(range(*self._args()))
        steps: float = (self._stop - self._start) / self._step
        return max(0, ceil(steps))

    def _get(self, i: int) -> Any:
        return self._start + i * self._step

    def _args(self) -> tuple[Any, ...]:
        return self._start, self._stop, self._step


def arange(start: float, stop: float | None = None, step: float | None = None) -> LazySequence[Any]:
    """Return the numbers from `start` up to but not including `stop`, `step` apart.

    Item `i` is `start + i * step`, as in `range`, but fractions are allowed.

    Args:
        start: First number. If it is the only argument, it is the stop, and the first number is 0.
        stop: The end, which is not included.
        step: Difference between neighbours, 1 by default; may be negative.

    Raises:
        ValueError: If `step` is 0.

    Example:
        >>> list(arange(3)), list(arange(5, 1, -2)), arange(0, 1, 0.25)[-1]
        ([0, 1, 2], [5, 3], 0.75)
    """
    if stop is None:
        start, stop = 0, start
    if step == 0:
        message = "step must not be 0"
        raise ValueError(message)
    # a numpy integer would overflow where an int goes on
    ints = [
        v.__index__() if hasattr(v, "__index__") else v
        for v in (start, stop, 1 if step is None else step)
    ]
    return Arange(*ints)


class Repeat(LazySequence[T]):
    """One value many times."""

    __slots__ = ("_times", "_value")

    def __init__(self, value: T, times: int | None) -> None:
        self._value = value
        self._times = times

    def _size(self) -> int | None:
        return self._times

    def _get(self, i: int) -> T:
        del i
        return self._value

    def _set(self, i: int, value: T) -> None:
        del i
        self._value = value

    def _args(self) -> tuple[Any, ...]:
        return self._value, self._times


def repeat(value: T, times: int | None = None) -> LazySequence[T]:
    """Return `value` repeated, `times` times or without end.

    There is one value: assigning to an item changes all of them.

    Args:
        value: The item.
        times: Length of the result. With `None` it has no length.

    Raises:
        ValueError: If `times` is negative.

    Example:
        >>> list(repeat("a", 3))
        ['a', 'a', 'a']
        >>> from seqtools import smap
        >>> list(smap(pow, [1, 2, 3], repeat(2)))
        [1, 4, 9]
    """
    return Repeat(value, None if times is None else check_count(times, 0, "times"))
