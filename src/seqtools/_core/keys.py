"""What a key in square brackets means.

An integer, which is anything with `__index__` and without dimensions, is an item; a slice is a
view; a list, a range, a sequence or an array of integers is a view of the items at these indices;
an array of booleans is a view of the items where it is true. Anything else is a `TypeError`.
"""

import operator
from collections.abc import Sequence
from typing import Any

from seqtools._core.checks import is_bool
from seqtools._core.display.short import short
from seqtools._core.indices import ENDLESS
from seqtools._core.walk import is_stage


def is_several(key: Any) -> bool:
    """Return whether `key`, which is no slice, chooses several items."""
    if hasattr(key, "__index__") and not getattr(key, "shape", None):
        return False
    if isinstance(key, str | bytes | bytearray | tuple):
        return False
    return isinstance(key, Sequence) or is_stage(key) or _is_array(key)


def _is_array(key: Any) -> bool:
    return hasattr(key, "__array__") and getattr(key, "shape", None) != ()


def as_plain(key: Any) -> Any:
    """Return `key`, which chooses several items, as an array if it can be one."""
    if hasattr(key, "dtype") or not (_is_array(key) or isinstance(key, memoryview)):
        return key
    import numpy as np

    return np.asarray(key)


def is_mask(key: Any) -> bool:
    """Return whether `key`, which chooses several items, is an array of booleans."""
    return "bool" in str(getattr(key, "dtype", "")).lower()  # of pandas and torch too


def indices(key: Any, n: int | None) -> Any:
    """Return a copy of the indices in `key`, counted from the start of a sequence of length `n`.

    Raises:
        IndexError: If there is no such item; if one is negative and there is no length.
        TypeError: If these are no integers, or have several dimensions.
    """
    if isinstance(key, range):
        least, most = sorted((key[0], key[-1])) if key else (0, 0)
        return _counted(key, least, most, n)
    if _is_array(key):
        import numpy as np

        values = np.asarray(key)
        if values.ndim != 1:
            message = f"indices must have one dimension, got an array of shape {values.shape}"
            raise TypeError(message)
        if values.dtype.kind in "iu" or not values.size:  # an empty array is of floats by default
            return _counted_array(values, n)
        if values.dtype.kind != "O":
            message = f"indices must be integers, got an array of {values.dtype}"
            raise TypeError(message)
    given = tuple(key)
    if set(map(type, given)) - {int}:
        given = tuple([_integer(each, k) for k, each in enumerate(given)])
    return _counted(given, min(given, default=0), max(given, default=0), n)


def _integer(value: Any, k: int) -> int:
    if is_bool(value):
        message = (
            "indices must be integers, got booleans, which in a list are ambiguous: "
            "use numpy.array(mask), or seqtools.compress(sequence, mask)"
        )
        raise TypeError(message)
    try:
        return operator.index(value)
    except TypeError:
        message = f"indices must be integers, got {short(value)} as indices[{k}]"
        raise TypeError(message) from None


def _counted(given: Sequence[int], least: int, most: int, n: int | None) -> Sequence[int]:
    if least >= 0 and most < (ENDLESS if n is None else n):
        return given
    return tuple([_from_start(i, k, n) for k, i in enumerate(given)])


def _counted_array(values: Any, n: int | None) -> Any:
    import numpy as np

    least, most = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if least < 0 or most >= (ENDLESS if n is None else n):
        return np.array([_from_start(i, k, n) for k, i in enumerate(values.tolist())], np.int64)
    return np.array(values, np.int64)


def _from_start(i: int, k: int, n: int | None) -> int:
    if n is None and i < 0:
        message = f"indices[{k}] is {i}, but a sequence without length has no negative indices"
        raise IndexError(message)
    if n is None and i >= ENDLESS:
        message = f"indices[{k}] is {short(i)}, but positions must be below 2**63 - 1"
        raise IndexError(message)
    if n is not None and not -n <= i < n:
        message = f"indices[{k}] is {i}, out of range for a sequence of length {n}"
        raise IndexError(message)
    return i if n is None or i >= 0 else i + n
