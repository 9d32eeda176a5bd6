"""Tells whether two values differ by more than rounding, and than the time between them."""

import sys
from collections import deque
from collections.abc import Callable
from itertools import repeat
from typing import Any

from seqtools.instrument.fingerprints import as_array, fingerprint

_SHARE = 1e-6
"""Largest relative difference of numbers that are alike. Arbitrary: more than rounding in single
precision, and more than the seconds since 1970 grow within some minutes."""


def is_alike(one: Any, other: Any, depth: int = 20) -> bool:
    """Return whether values are equal except for rounding and objects of the same data.

    Args:
        one: A value.
        other: Another one.
        depth: Levels of containers to look into; what is deeper is alike.
    """
    if one is other or not depth:
        return True
    if type(one) is not type(other):
        return False
    for kinds, alike in _KINDS:
        if isinstance(one, kinds):
            return alike(one, other, depth - 1)
    first, second = _as_array(one), _as_array(other)
    if first is not None and second is not None:
        return _are_arrays_alike(first, second, depth - 1)
    if hasattr(one, "equals"):  # a table
        return bool(one.equals(other))
    return fingerprint(one) == fingerprint(other) or _are_objects_alike(one, other, depth - 1)


def _are_numbers_alike(one: Any, other: Any, depth: int) -> bool:
    del depth
    return bool(one == other or abs(one - other) <= _SHARE * max(abs(one), abs(other)))


def _are_lists_alike(one: Any, other: Any, depth: int) -> bool:
    return len(one) == len(other) and all(map(is_alike, one, other, repeat(depth)))


def _are_dicts_alike(one: Any, other: Any, depth: int) -> bool:
    return is_alike([*one, *one.values()], [*other, *other.values()], depth)


def _are_sets_alike(one: Any, other: Any, depth: int) -> bool:
    del depth
    # by data, because objects may have a hash that is not of their data
    return sorted(map(fingerprint, one)) == sorted(map(fingerprint, other))


_KINDS: list[tuple[Any, Callable[[Any, Any, int], bool]]] = [
    ((int, float, complex), _are_numbers_alike),
    ((list, tuple, deque), _are_lists_alike),
    (dict, _are_dicts_alike),
    ((set, frozenset), _are_sets_alike),
]


def _are_objects_alike(one: Any, other: Any, depth: int) -> bool:
    attributes = getattr(one, "__dict__", None), getattr(other, "__dict__", None)
    return isinstance(attributes[0], dict) and is_alike(*attributes, depth)


def _as_array(value: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return numpy.asarray(value)
    return as_array(value)


def _are_arrays_alike(one: Any, other: Any, depth: int) -> bool:
    import numpy as np

    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    if one.dtype.hasobject:
        return is_alike(one.tolist(), other.tolist(), depth)
    if one.dtype.kind not in "fc":
        return bool(np.array_equal(one, other))
    # by the largest number, because sums lose the digits that are much smaller
    share = max(_SHARE, 4 * float(np.finfo(one.dtype).eps))
    finite = np.isfinite(one)
    largest = float(np.abs(one[finite]).max(initial=0))
    return bool(np.allclose(one, other, rtol=0, atol=share * largest, equal_nan=True))
