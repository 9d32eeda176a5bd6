"""The dtype of an array of scalars or arrays of several types: one that holds all values exactly.

numpy finds a dtype for nearly everything: int64 and uint64 become float64, which drops digits of
large ids, and integers next to a string become text. Here, that is an error which names the item.
int8 and float32 become float32, and strings become as wide as the widest, because that is exact.
"""

from collections.abc import Iterable, Sequence
from typing import Any

_REMEDY = "convert them to one dtype first"

_LARGEST = 1 << 53
"""A `float` holds each `int` up to this one exactly."""

_ALONE: set[type] = {bool, float, complex}
"""Classes for which `numpy.asarray` is exact if all objects are of the class."""


def numbers(items: Sequence[Any], place: str, classes: set[type]) -> Any:
    """Return an array of `items`, which are numbers or other scalars of numpy.

    Args:
        items: At least one.
        place: Their place in the items of the user, for messages.
        classes: The types of all of them.

    Raises:
        TypeError: If no common dtype keeps their meaning.
        ValueError: If an item is not exact in the common dtype.
    """
    import numpy as np

    if classes <= _ALONE and len(classes) == 1:
        return np.asarray(items)
    if classes <= {int, float}:
        out = np.asarray(items)
        if out.dtype.kind in "iu" or (len(classes) > 1 and _few_digits(items)):
            return out
    elif len(classes) == 1:
        cls = next(iter(classes))
        if cls is not np.timedelta64 and issubclass(cls, np.number | np.bool_):
            _ALONE.add(cls)
            return np.asarray(items)
        if issubclass(cls, np.datetime64 | np.timedelta64) and len({x.dtype for x in items}) == 1:
            return np.asarray(items)
    scalars = _scalars(items, place)
    return np.array(scalars, common(scalars, place))


def _few_digits(items: Iterable[Any]) -> bool:
    """Return whether a `float` holds each `int` of `items` exactly."""
    return all(-_LARGEST <= item <= _LARGEST for item in items if type(item) is int)


def _scalars(items: Sequence[Any], place: str) -> list[Any]:
    """Return an array without dimensions for each of `items`.

    Its dtype for an `int` is int64 if possible, but uint64 if possible and another item has that.
    """
    import numpy as np

    scalars = [np.asarray(item) for item in items]
    for k, (item, scalar) in enumerate(zip(items, scalars, strict=True)):
        if isinstance(item, int) and scalar.dtype.hasobject:
            raise ValueError(_lost(k, place, item, f"does not fit in 64 bits: {_REMEDY}"))
        if scalar.dtype.kind in "US" and scalar.item() != item:
            text = str(item) if isinstance(item, str) else bytes(item)
            reason = "ends with zeros, which arrays drop: convert them to str or bytes first"
            raise ValueError(_lost(k, place, repr(text), reason))
    if any(scalar.dtype == np.uint64 for scalar in scalars):
        for k, item in enumerate(items):
            if isinstance(item, int) and not isinstance(item, bool) and item >= 0:
                scalars[k] = scalars[k].astype(np.uint64)
    return scalars


def common(arrays: Sequence[Any], place: str) -> Any:
    """Return a dtype that holds the values of all `arrays` exactly.

    Raises:
        TypeError: If no dtype holds all values of their dtypes.
        ValueError: If the common dtype does not hold one of these values.
    """
    import numpy as np

    dtypes = {array.dtype for array in arrays}
    try:
        dtype = np.result_type(*dtypes)
    except (TypeError, OverflowError) as error:
        raise TypeError(_strangers(arrays, place)) from error
    if len(dtypes) > 1:
        if not _go_together(dtypes, dtype):
            raise TypeError(_strangers(arrays, place))
        for k, array in enumerate(arrays):
            lost = array[~_kept(array, dtype)]
            if lost.size:
                reason = f"cannot be converted to their common dtype {dtype}: {_REMEDY}"
                raise ValueError(_lost(k, place, lost.flat[0], reason))
    return dtype


def _go_together(dtypes: Iterable[Any], dtype: Any) -> bool:
    """Return whether values of `dtypes` keep their meaning in `dtype`."""
    if dtype.kind == "V":  # a record, each of whose fields is promoted
        return len({each.newbyteorder("=") for each in dtypes}) == 1
    kinds = {each.kind for each in dtypes}
    if kinds <= set("iufc"):
        return dtype.kind in "iu" or not kinds <= set("iu")
    return len(kinds) == 1


def _kept(array: Any, dtype: Any) -> Any:
    """Return which values of `array` are the same in `dtype`."""
    import numpy as np

    kind = array.dtype.kind
    array = np.asarray(array)
    every = np.ones(array.shape, bool)
    if kind in "iu" and array.itemsize == 8 and dtype.kind in "fc":  # noqa: PLR2004 -- bytes
        floats = array.astype(dtype).real
        inside = floats < 2.0 ** (64 - (kind == "i"))
        return inside & (np.where(inside, floats, 0).astype(array.dtype) == array)
    if kind in "mM":
        missing = np.isnat(array)
        if np.datetime_data(array.dtype)[0] == "generic" and array.dtype != dtype:
            return missing  # a number of what?
        return missing | (array.astype(dtype).astype(array.dtype) == array)
    return every


def _strangers(arrays: Sequence[Any], place: str) -> str:
    first: dict[Any, int] = {}
    for k, array in enumerate(arrays):
        first.setdefault(array.dtype, k)
    given = ", ".join(f"{dtype} in item {k}" for dtype, k in first.items())
    place = place and f" at {place}"
    return f"items{place} have no dtype in common that keeps their values, got {given}: {_REMEDY}"


def _lost(k: int, place: str, value: object, reason: str) -> str:
    place = place and f" {place}"
    return f"items must keep their values, but item {k}{place} has {value}, which {reason}"
