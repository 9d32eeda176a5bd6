"""Lengths of items that are known beforehand."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any

from seqtools._core import rows
from seqtools._core.checks import check_count, check_integers, is_bool
from seqtools._core.display.short import short

MOST = (1 << 63) - 1
"""The largest length: that of the longest sequence that Python can have."""


def as_lengths(lengths: Any, advice: str) -> Any:
    """Return `lengths`, a sequence of integers, as an array.

    Args:
        lengths: A list or an array, of which all items are checked.
        advice: What to give instead, for the message of an error.

    Raises:
        TypeError: If one of them is no integer.
        ValueError: If one of them is negative, or larger than `MOST`.
    """
    import numpy as np

    check_integers(lengths, "lengths", advice)
    n = rows.length(lengths)
    if not isinstance(lengths, np.ndarray) and hasattr(lengths, "__array__"):
        lengths = np.asarray(lengths)  # a tensor, or a column of a table
        check_integers(lengths, "lengths", advice)
    if isinstance(lengths, np.ndarray) and (lengths.dtype.kind in "iu" or not n):
        found = lengths
    else:
        if not hasattr(lengths, "__len__"):  # of zarr, which has a shape
            lengths = [lengths[k] for k in range(n)]
        found = _checked(lengths, n, advice)
    if n and (found.min() < 0 or found.max() > MOST):
        k = int(found.argmin() if found.min() < 0 else found.argmax())
        _refuse_size(int(found[k]), k, advice)
    return found.astype(np.int64)


def _checked(lengths: Any, n: int, advice: str) -> Any:
    """Return an array of the items of a list, each of which is an integer."""
    import numpy as np

    # `operator.index` of a boolean is an integer, so classes are looked at first
    if all(cls is int or issubclass(cls, np.integer) for cls in set(map(type, lengths))):
        try:
            return np.fromiter(map(operator.index, lengths), np.int64, n)
        except OverflowError:
            pass
    return np.fromiter([_integer(each, k, advice) for k, each in enumerate(lengths)], np.int64, n)


def _integer(value: Any, k: int, advice: str) -> int:
    try:
        n = None if is_bool(value) else operator.index(value)
    except TypeError:
        n = None
    if n is None:
        message = f"lengths must be integers, got {short(value)} at index {k}: {advice}"
        raise TypeError(message)
    if not 0 <= n <= MOST:
        _refuse_size(n, k, advice)
    return n


def _refuse_size(n: int, k: int, advice: str) -> None:
    bound = "at least 0" if n < 0 else "at most 2**63 - 1"
    message = f"lengths must be {bound}, got {n} at index {k}: {advice}"
    raise ValueError(message)


def check_size(value: Any, least: int, name: str) -> int:
    """Return `value` as an `int`; raise an error if it is none, or not from `least` to `MOST`."""
    n = check_count(value, least, name)
    if n > MOST:
        message = f"{name} must be at most 2**63 - 1, got {n}"
        raise ValueError(message)
    return n


def length_of(item: Any) -> int:
    """Return `len(item)`, the default for `lengths`; raise `TypeError` if that counts fields."""
    if isinstance(item, Mapping):
        _refuse_record(item, "[{!r}]", [*item])
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        _refuse_record(item, ".{}", item._fields)
    return len(item)


def _refuse_record(item: Any, form: str, fields: Sequence[Any]) -> None:
    shown = form.format(*fields[:1] or ["tokens"])
    message = (
        f"items must have a length, but len of a {type(item).__name__} counts its fields: "
        f"use lengths=, such as lengths=lambda item: len(item{shown})"
    )
    raise TypeError(message)
