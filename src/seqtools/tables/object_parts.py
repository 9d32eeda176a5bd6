"""What objects, classes and arrays are made of, for their marks."""

import copyreg
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property, lru_cache, partialmethod
from types import MemberDescriptorType
from typing import Any

from seqtools.tables.digests import PLAIN, digest_of, packed
from seqtools.tables.names import module_name, name_of

Cached = type(lru_cache(len))
"""The type of functions with a cache of functools."""
_BYTES = 1 << 22
"""Arrays of more bytes are looked at in part. Arbitrary."""
_SAMPLES = 1 << 14
"""About how many items are looked at in a larger array. Arbitrary."""


def is_of_numpy(value: Any) -> bool:
    """Return whether `value` is a scalar or an array of numpy."""
    if not hasattr(type(value), "tobytes"):
        return False
    return any(module_name(base.__module__) == "numpy" for base in type(value).__mro__)


def made_of(value: Any) -> Any:
    """Return what is in a descriptor of a class; it is a list if there is more than one."""
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    if isinstance(value, Cached):
        return [value.__wrapped__]
    if isinstance(value, cached_property):
        return value.func
    if isinstance(value, property):
        return [value.fget, value.fset]
    if isinstance(value, partialmethod):
        return [value.func, value.args, value.keywords]
    return value


def is_constant_of_class(value: Any) -> bool:
    """Return whether a value of a class does not change: a list may be a cache."""
    is_scalar = is_of_numpy(value) and not hasattr(value, "__setitem__")
    return type(value) in PLAIN or isinstance(value, tuple | frozenset | type) or is_scalar


def held_by(value: Any) -> dict[str, Any]:
    """Return the attributes of an object, in its `__dict__` and its slots."""
    held = attribute(value, "__dict__")
    found = dict(held) if isinstance(held, dict) else {}
    for base in type(value).__mro__:
        if "__slots__" in vars(base):
            slots = [n for n, each in vars(base).items() if isinstance(each, MemberDescriptorType)]
            found.update({name: attribute(value, name) for name in slots})
    return found


def attribute(value: Any, name: str) -> Any:
    """Return an attribute of an object, `None` if there is none, or its code fails."""
    try:
        return getattr(value, name, None)
    except Exception:  # noqa: BLE001 -- code of any class
        return None


def reduced_of(value: Any) -> Any:
    """Return what pickle would write of an object, `None` if it cannot.

    It is a name, or a function and its arguments, the state, and the items of a list and of a dict.
    """
    try:
        reduce = copyreg.dispatch_table.get(type(value))
        reduced: Any = reduce(value) if reduce else value.__reduce_ex__(4)
        if isinstance(reduced, str):
            return reduced
        make, args, state, items, pairs = (*reduced, None, None, None)[:5]
        return make, list(args), state, list(items or ()), _pairs(value, pairs)
    except Exception:  # noqa: BLE001 -- code of any class
        return None


def _pairs(value: Any, pairs: Any) -> Any:
    found = list(pairs or ())
    return found if isinstance(value, OrderedDict) else dict(found)


def array_parts(value: Any, *, with_bytes: bool) -> Sequence[Any] | None:
    """Return type, shape and bytes of an array or a scalar of numpy or torch, `None` of others."""
    is_tensor = type(value).__module__.startswith("torch") and hasattr(value, "detach")
    if not is_tensor and not is_of_numpy(value):
        return None
    about = name_of(type(value)), str(value.dtype), tuple(value.shape)
    if not with_bytes and value.shape:
        return about
    if is_tensor:
        try:
            value = value.detach().numpy()
        except (TypeError, RuntimeError):  # it is on another device, or of a type of its own
            return about
    if value.dtype.hasobject or value.dtype.kind == "T":
        listed = value.tolist()
        data = packed(listed)
        return (*about, digest_of(data)) if data is not None else None
    if value.nbytes > _BYTES:
        value = value.flat[:: max(1, value.size // _SAMPLES)]
    return *about, digest_of(value.tobytes())
