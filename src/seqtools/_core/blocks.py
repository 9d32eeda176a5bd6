"""Blocks: runs of items that are stored together, such as row groups, shards, chunks or files.

A source states them by an attribute `blocks`, the number of items of each block in order. That name
has other meanings elsewhere, so the attribute counts only if it is a sequence of integers whose sum
is the length of the source.
"""

import operator
from collections.abc import Sequence
from typing import Any

from seqtools._core.sources import size_of
from seqtools._core.walk import is_stage


def as_sizes(value: Any) -> Any:
    """Return `value` as an array of integers from 0 up, `None` if it is no sequence of them."""
    import numpy as np

    if isinstance(value, np.ndarray):
        if value.ndim != 1 or value.dtype.kind not in "iu":
            return None
        sizes = value.astype(np.int64)
    else:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            return None
        if is_stage(value) and size_of(value) is None:
            return None
        try:
            sizes = np.array([_integer(each) for each in value], np.int64)
        except (TypeError, OverflowError):
            return None
    return sizes if not sizes.size or sizes.min() >= 0 else None


def _integer(value: Any) -> int:
    if value.__class__ is bool:  # of a mask, which can have the right sum too
        raise TypeError
    return operator.index(value)


def of(source: Any) -> Any:
    """Return the sizes of the blocks of `source` as an array, `None` if it states none."""
    stated = getattr(source, "blocks", None)
    sizes = None if stated is None else as_sizes(stated)
    return sizes if sizes is not None and int(sizes.sum()) == size_of(source) else None


def cut(sizes: Any, start: int, stop: int) -> Any:
    """Return the sizes of the blocks of a slice from `start` to `stop`."""
    import numpy as np

    edges = np.concatenate([[0], np.cumsum(sizes)])
    parts = np.diff(np.clip(edges, start, stop))
    return parts[parts > 0]


def counted(sizes: Any, indices: Any) -> Any:
    """Return how many of `indices`, an array that ascends, are in each block."""
    import numpy as np

    edges = np.concatenate([[0], np.cumsum(sizes)])
    return np.diff(np.searchsorted(indices, edges))


def dealt(sizes: Any, indices: range) -> Any:
    """Return how many of `indices`, which ascend, are in each block."""
    import numpy as np

    edges = np.concatenate([[0], np.cumsum(sizes)])
    before = -((indices.start - edges) // indices.step)
    return np.diff(np.clip(before, 0, len(indices)))


def joined(sources: Sequence[Any]) -> Any:
    """Return the sizes of the blocks of all `sources`, `None` if one of them states none."""
    import numpy as np

    parts = []
    for source in sources:
        sizes = of(source)
        if sizes is None:
            return None
        parts.append(sizes)
    return np.concatenate(parts) if parts else None
