"""Estimates of the size of items, rough and quick."""

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import count, islice
from types import NoneType
from typing import Any

from seqtools._core.errors import Failure
from seqtools.engines.base import END

_SCALARS = frozenset({int, float, complex, bool, NoneType})
_PLAIN = _SCALARS | {str, bytes, bytearray, Failure, type(END)}
_CONTAINERS = (list, tuple, set, frozenset, deque)
_DEEPEST = 3
"""Depth of nested containers whose parts are counted."""
_turns = count()
_MOST = 8
"""Parts of a container, and items received together, that are measured for all. Arbitrary."""


def size_of_value(value: Any, depth: int = _DEEPEST) -> int | None:
    """Return the bytes that `value` holds, `None` if they are unknown.

    They are known for arrays, tensors, strings and bytes, for containers of these, and for
    objects with such attributes. Of many parts, the first few are measured. Memory shared with
    other objects counts in full.
    """
    kind = type(value)
    if kind in _PLAIN:
        return sys.getsizeof(value)
    if hasattr(kind, "nbytes"):
        return _own_word(value)
    if depth and isinstance(value, Mapping) and isinstance(value, dict):
        return _sum(list(islice(value.values(), _MOST)), len(value), depth)
    if depth and isinstance(value, _CONTAINERS):
        return _sum(list(islice(value, _MOST)), len(value), depth)
    if depth and hasattr(value, "__dict__"):
        return _sum(list(value.__dict__.values()), len(value.__dict__), depth)
    return None


def sample(outcomes: Sequence[Any]) -> list[int | None]:
    """Return the sizes of some outcomes, as a sample.

    Each call takes others, so that items that are large at regular distances are found.
    """
    step = -(-len(outcomes) // _MOST)
    some = outcomes[next(_turns) % step :: step]
    if _SCALARS.issuperset(map(type, some)):
        return [32]
    return [size_of_value(outcome) for outcome in some]


def _own_word(value: Any) -> int | None:
    try:
        return int(value.nbytes) + sys.getsizeof(None)
    except Exception:  # noqa: BLE001 -- code of users may raise anything
        return None


def _sum(parts: list[Any], n: int, depth: int) -> int | None:
    total = 0
    for part in parts:
        size = size_of_value(part, depth - 1)
        if size is None:
            return None
        total += size
    return 64 + (total * n // len(parts) if parts else 0)
