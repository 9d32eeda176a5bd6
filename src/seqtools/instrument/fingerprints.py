"""Fingerprints, to see whether a value has changed, and copies of values.

They cover data: containers, arrays, tensors, tables, and the attributes of objects.
"""

import functools
import pickle
import sys
from collections import deque
from typing import Any
from zlib import crc32

_MOST = 10_000
"""Most objects in one value. Arbitrary: they take some milliseconds."""

PLAIN = frozenset({int, float, complex, bool, str, bytes, range, type(None)})
"""Immutable types."""
_OF_FLOATS = (float, complex)
_ITERATED = (list, tuple, deque)


def fingerprint(value: Any) -> int:
    """Return a number that almost certainly differs if the data in `value` has changed."""
    prints: list[int] = []
    seen: set[int] = set()
    left = [value]
    while left and len(prints) < _MOST:
        each = left.pop()
        if id(each) in seen:
            continue
        kind = type(each)
        if kind in PLAIN:
            # by repr, because nan does not equal itself
            prints.append(hash((kind, repr(each) if kind in _OF_FLOATS else each)))
            continue
        seen.add(id(each))
        data = _data(each)
        if data is not None:
            prints.append(data)
        elif isinstance(each, dict):
            prints.append(len(each))
            left += dict.keys(each)
            left += dict.values(each)
        elif isinstance(each, _ITERATED):
            base: Any = next(base for base in _ITERATED if isinstance(each, base))
            prints.append(len(each))
            left += base.__iter__(each)
        elif isinstance(each, set | frozenset):
            prints.append(functools.reduce(lambda x, y: x ^ hash(y), each, len(each)))
        else:
            prints.append(hash(kind))
            left += _attributes(each)
    return hash(tuple(prints))


def _data(value: Any) -> int | None:
    """Return a checksum of the memory of `value`, or `None` if it is no array or table."""
    if isinstance(value, bytearray):
        return crc32(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return crc32(value.tobytes())
    array = as_array(value)
    if array is None:
        return crc32(pickle.dumps(value)) if _is_table(value) else None
    if array.dtype.hasobject:
        return fingerprint(array.ravel()[:_MOST].tolist())
    np: Any = numpy
    return crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def as_array(value: Any) -> Any:
    """Return an array or a tensor as an array, `None` for other values."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None and isinstance(value, torch.Tensor):
        try:
            return value.detach().numpy()
        except Exception:  # noqa: BLE001 -- it is on another device or sparse
            return None
    if numpy is not None and isinstance(value, numpy.ndarray):
        return value.view(numpy.ndarray)
    return None


def _is_table(value: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame | pandas.Series)


def _attributes(value: Any) -> list[Any]:
    """Return the attributes of `value`, except cached properties."""
    if callable(value) or isinstance(value, type):
        return []
    kept = getattr(value, "__dict__", None)
    if not isinstance(kept, dict):
        return []
    kind = type(value)
    return [
        part
        for name, part in kept.items()
        if not isinstance(getattr(kind, name, None), functools.cached_property)
    ]


def copied(value: Any, depth: int = 8) -> Any:
    """Return a copy of the containers, arrays and tables in `value`; other objects are shared."""
    kind = type(value)
    if kind in PLAIN or not depth:
        return value
    if kind in {list, deque, set, tuple}:
        return kind(copied(part, depth - 1) for part in value)
    if kind is dict:
        return {key: copied(part, depth - 1) for key, part in value.items()}
    if kind is bytearray or _is_table(value):
        return value.copy()
    if as_array(value) is not None:
        return value.clone() if hasattr(value, "clone") else value.copy()
    return value


def is_same_memory(one: Any, other: Any) -> bool:
    """Return whether both are one object, or arrays that share memory."""
    if one is other:
        return True
    first, second = as_array(one), as_array(other)
    if first is None or second is None:
        return False
    return bool(sys.modules["numpy"].may_share_memory(first, second))
