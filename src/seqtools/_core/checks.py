"""Errors for bad arguments, which say what was given and what to write instead."""

import operator
import sys
import warnings
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any, TypeGuard

from seqtools._core import rows
from seqtools._core.chance.seeds import Seed
from seqtools._core.display.short import short
from seqtools._core.errors import creation_site
from seqtools._core.store import is_store
from seqtools._core.walk import is_stage, nesting

_CALLS = 10
"""Nested calls for each stage, with some in reserve: a cache takes six, eight stages of `smap` take
two."""

_shown: dict[Any, Any] = {}  # what `warnings` needs to warn once for a line

_MOST_NESTED = 32
"""Most tuples of a seed in each other. Arbitrary: far below the limit of recursion."""

_PLAIN = (list, tuple, range, str, bytes)

WHERE = "use numpy.flatnonzero(mask)"
"""What to write instead of a boolean mask."""


def check_source(source: object, name: str = "sequence") -> None:
    """Raise an error if `source` cannot be indexed from 0 to its length."""
    if isinstance(source, _PLAIN):
        if isinstance(source, range):
            rows.length(source)  # it may be too large
        return
    if is_stage(source):
        _check_nesting(source)
        return
    advice = rows.why_not(source, name)
    if advice:
        message = f"{name} must be a sequence, got {type(source).__name__}: {advice}"
        raise TypeError(message)


def _check_nesting(source: object) -> None:
    """Warn if there are so many nested stages that reading them may exceed the recursion limit."""
    most = sys.getrecursionlimit() // _CALLS
    if nesting(source) >= most:
        message = (
            f"more than {most} stages are nested, so reading them may exceed Python's recursion "
            f"limit of {sys.getrecursionlimit()}: do the work of several stages in one function, "
            f"pass lists of sequences to one stage, or raise the limit by sys.setrecursionlimit()"
        )
        warnings.warn_explicit(message, RuntimeWarning, *creation_site(), registry=_shown)


def check_integers(indexes: object, name: str, advice: str = WHERE) -> None:
    """Raise `TypeError` if `indexes` are no integers, or have several dimensions.

    Only the first item of a list is checked: see `as_index` for the others.
    """
    shape: tuple[int, ...] = getattr(indexes, "shape", (0,))
    if len(shape) != 1:
        message = f"{name} must have one dimension, got an array of shape {tuple(shape)}"
        raise TypeError(message)
    dtype = getattr(indexes, "dtype", None)
    mask = "bool" in str(dtype).lower()
    # the dtype of an empty array is float by default
    if mask or (getattr(dtype, "kind", "i") not in "iuO" and shape[0]):
        what_to_do = f": {advice}" if mask else ""
        message = f"{name} must be integers, got an array of {dtype}{what_to_do}"
        raise TypeError(message)
    plain = isinstance(indexes, list | tuple) or str(dtype) == "object"
    if plain and len(indexes) and is_bool(indexes[0]):  # type: ignore[arg-type, index]
        message = f"{name} must be integers, got booleans: {advice}"
        raise TypeError(message)


def is_bool(value: object) -> bool:
    """Return whether `value` is a boolean, of Python or of numpy."""
    if isinstance(value, bool):
        return True
    numpy = sys.modules.get("numpy")  # who has one of numpy has imported it
    return numpy is not None and isinstance(value, numpy.bool_)


def is_number(value: object) -> TypeGuard[float]:
    """Return whether `value` is a real number, also of numpy, and no boolean."""
    return isinstance(value, Real) and not is_bool(value)


def as_index(value: object, name: str, advice: str = "") -> int:
    """Return `value` as an `int`; raise `TypeError` if it is no integer or a boolean.

    Args:
        value: The argument.
        name: Its name in the message, such as `indexes[3]`.
        advice: What to write instead of a boolean.
    """
    if is_bool(value):
        advice = advice and f": {advice}"
        message = f"{name} must be an integer, got {bool(value)}{advice}"
        raise TypeError(message)
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        message = f"{name} must be an integer, got {short(value)}"
        raise TypeError(message) from None


def check_function(f: object, name: str) -> None:
    """Raise `TypeError` if `f` is not callable."""
    if not callable(f):
        message = f"{name} must be a function, got {short(f)}"
        raise TypeError(message)


def check_iterable(value: object, name: str) -> None:
    """Raise `TypeError` if there is no iterator over `value`, or it is a table."""
    if rows.is_table(value):
        advice = rows.of_table(value, name)
        message = f"{name} must yield rows, got {type(value).__name__}: {advice}"
        raise TypeError(message)
    if not isinstance(value, Iterable) and not hasattr(value, "__getitem__"):
        message = f"{name} must be something to iterate over, got {short(value)}"
        raise TypeError(message)


def check_store(value: object, name: str) -> None:
    """Raise `TypeError` if `value` is neither a store nor a mutable mapping."""
    if is_store(value):
        return
    needed = ("__getitem__", "__setitem__", "pop")
    if isinstance(value, Sequence) or not all(hasattr(value, method) for method in needed):
        message = (
            f"{name} must be a mutable mapping, got {type(value).__name__}; "
            "or a store with get, put and drop: see seqtools.extend.Store"
        )
        raise TypeError(message)


def check_count(value: object, least: int, name: str) -> int:
    """Return `value` as an `int`; raise an error if it is none, or less than `least`."""
    n = as_index(value, name)
    if n < least:
        message = f"{name} must be at least {least}, got {n}"
        raise ValueError(message)
    return n


def check_seed(seed: object, name: str = "seed") -> Seed:
    """Return `seed` made of `int`, `str` and `tuple` alone; raise `TypeError` if it is no seed."""
    return _checked_seed(seed, seed, name, _MOST_NESTED)


def _checked_seed(part: object, seed: object, name: str, left: int) -> Seed:
    if isinstance(part, str):
        return str(part)
    if isinstance(part, tuple) and left:
        return tuple([_checked_seed(each, seed, name, left - 1) for each in part])
    try:
        if not is_bool(part):
            return operator.index(part)  # type: ignore[arg-type]
    except TypeError:
        pass
    advice = ": use a tuple" if isinstance(part, list) else ""
    if hasattr(part, "random"):  # a generator
        advice = ": give the seed in place of the generator"
    message = f"{name} must be an integer, a string, or a tuple of these, got {short(seed)}{advice}"
    raise TypeError(message)
