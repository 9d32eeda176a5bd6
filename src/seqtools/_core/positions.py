"""Conversion of the indices and slices of users, and errors for those that do not exist."""

import operator
from typing import Any, NoReturn

from seqtools._core.display.short import short
from seqtools._core.error_path import Step
from seqtools._core.errors import EvaluationError
from seqtools._core.indices import ENDLESS

_KEYS = "indices must be integers, slices, or lists or arrays of integers"


def as_int(key: Any, what: str) -> int:
    """Return `key` as an `int`; raise `TypeError` if it is no integer, but should be `what`."""
    try:
        return int(operator.index(key))  # a bool is its own index
    except TypeError:
        message = f"{what}, got {short(key)}"
        if isinstance(key, tuple):
            message += ": use a list, because numpy takes a tuple for an index of each axis"
        raise TypeError(message) from None


def position(stage: Any, key: Any) -> int:
    """Return `key` as an index from 0; raise `IndexError` if `stage` has no such item."""
    n = stage._length()
    i = given = as_int(key, _KEYS)
    if i < 0 and n is not None:
        i += n
    if i < 0 or (n is not None and i >= n):
        raise IndexError(_outside(stage, given))
    if n is None:
        check_reachable(i, i)
    return i


def check_reachable(i: int, key: Any) -> None:
    """Raise `IndexError` if `i` of a sequence without length, given in `key`, is too large."""
    if i >= ENDLESS:
        message = f"positions must be below 2**63 - 1, got {short(key)}"
        raise IndexError(message)


def positions(stage: Any, key: slice) -> range:
    """Return the indices that `key` selects.

    Raises:
        IndexError: If `stage` has no length, from which to count negative indices; or there can be
            no such positions.
        ValueError: If the step is 0, or negative and `stage` has no length.
    """
    n = stage._length()
    if n is not None:
        return range(n)[key]
    start, stop, step = (
        None if k is None else as_int(k, "slice indices must be integers or None")
        for k in (key.start, key.stop, key.step)
    )
    if step == 0:
        message = "slice step cannot be zero"
        raise ValueError(message)
    if min(start or 0, stop or 0) < 0:
        message = f"{stage._describe()} has no length, so no negative indices, got {key}"
        raise IndexError(message)
    if step is not None and step < 0:
        message = f"{stage._describe()} has no length, so no negative steps, got {key}"
        raise ValueError(message)
    check_reachable(max(start or 0, (stop or 0) - 1, (step or 1) - 1), key)
    return range(start or 0, ENDLESS if stop is None else stop, step or 1)


def ended(stage: Any, key: Any, i: int) -> NoReturn:
    """Raise an error because a source has ended before item `i`, which was requested as `key`.

    It is an `IndexError` if `stage` has no length, so that it may end, else an `EvaluationError`.
    """
    if stage._length() is None:
        raise IndexError(_outside(stage, key)) from None
    ended_early(stage, i)


def ended_early(stage: Any, i: int) -> NoReturn:
    """Raise `EvaluationError` because a source of `stage` has ended before item `i`."""
    message = (
        f"{stage._describe()} should have {stage._length()} items, but a source without "
        f"known length ended before item {i}: give that source its size"
    )
    raise EvaluationError(message, (Step(stage._describe(), i, *stage._origin),)) from None


def _outside(stage: Any, key: Any) -> str:
    n = stage._length()
    if n is not None:
        return f"index {key} is out of range for {stage._describe()} of length {n}"
    if key < 0:
        return f"{stage._describe()} has no length, so no negative indices, got {key}"
    return f"index {key} is past the end of {stage._describe()}"
