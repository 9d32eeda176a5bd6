"""Sequences of tokens end to end in one array, and which token belongs to which of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqtools._core import promotion, stacking
from seqtools._core.checks import check_count, check_source
from seqtools._core.display.short import short
from seqtools._core.padding import Padding
from seqtools._core.sources import Source

_ADDED = ("segment_ids", "positions")


def collate_packed(items: Source[Any], capacity: int | None = None, pad: Any = 0) -> dict[str, Any]:
    """Return the tokens of `items` end to end, with the number of the item and the place of each.

    The result is a dict of arrays of one dimension. `"tokens"` has all tokens; if items are
    dicts, each key has its values instead. `"segment_ids"` is 1 for tokens of the first item, 2 for
    those of the second, and so on, and 0 for padding. `"positions"` counts from 0 in each item.
    Attention within items is where segment ids are equal and not 0.

    Use it as the `collate_fn` of `pack`.

    Args:
        items: At least one item: an array or a list of tokens, or a dict of these, each of the
            same length in an item. All have the same keys. Numbers may differ in dtype as for
            `collate_arrays`. Items without tokens have a number that does not occur.
        capacity: Length that arrays are padded to at the end; not padded if `None`.
        pad: What tokens are padded with. A mapping has a value for each key, such as
            `{"tokens": 0, "labels": -100}`, and 0 is for others.

    Raises:
        ValueError: If there are no items, items have more than `capacity` tokens, or differ
            in keys, or keys of an item in length, or the dtype cannot hold `pad`.
        TypeError: If values have not one dimension, or no common dtype, or some items are dicts
            and others not.

    Example:
        >>> for key, array in collate_packed([[7, 8, 9], [5, 6]], capacity=6).items():
        ...     print(key, array)
        tokens [7 8 9 5 6 0]
        segment_ids [1 1 1 2 2 0]
        positions [0 1 2 0 1 0]
    """
    import numpy as np

    check_source(items, "items")
    listed = [items[k] for k in range(len(items))]
    columns = _columns(listed)
    lengths = _lengths(columns)
    total = int(lengths.sum())
    n = total if capacity is None else check_count(capacity, 1, "capacity")
    if total > n:
        message = f"items must fit in capacity = {n}, but {len(listed)} items have {total} tokens"
        raise ValueError(message)
    values = pad if isinstance(pad, Mapping) else dict.fromkeys(columns, pad)
    unknown = [key for key in values if key not in columns]
    if unknown:
        message = f"pad has the key {unknown[0]!r}, but items have {short(list(columns))}"
        raise ValueError(message)
    made = {key: _end_to_end(arrays, n, key, values.get(key, 0)) for key, arrays in columns.items()}
    ids, positions = np.zeros(n, np.int32), np.zeros(n, np.int32)
    ids[:total] = np.repeat(np.arange(1, len(lengths) + 1), lengths)
    starts = np.cumsum(lengths) - lengths
    positions[:total] = np.arange(total) - np.repeat(starts, lengths)
    return {**made, "segment_ids": ids, "positions": positions}


def _columns(items: Sequence[Any]) -> dict[str, list[Any]]:
    """Return the arrays of all items for each key."""
    if not items:
        raise ValueError("collate_packed() needs at least one item, got none")
    mappings = [isinstance(item, Mapping) for item in items]
    if not any(mappings):
        return {"tokens": [_array(item, f"item {k}") for k, item in enumerate(items)]}
    if not all(mappings):
        stacking.refuse(items, "", "is of type", stacking.name_of, lambda x: isinstance(x, Mapping))
    if len(set(map(frozenset, items))) > 1:
        stacking.refuse(items, "", "has keys", list, set)
    for name in _ADDED:
        if name in items[0]:
            message = f"collate_packed() adds {name!r}, but items have this key: rename it"
            raise ValueError(message)
    if not items[0]:
        raise ValueError("items must have a key with tokens, got empty dicts")
    return {
        key: [_array(item[key], f"item {k} [{key!r}]") for k, item in enumerate(items)]
        for key in items[0]
    }


def _array(tokens: Any, name: str) -> Any:
    import numpy as np

    if isinstance(tokens, str | bytes):
        message = f"{name} must be an array or a list of tokens, got {short(tokens)}"
        raise TypeError(message)
    try:
        array = np.asarray(tokens)
    except ValueError:  # a list of lists of several lengths
        array = None
    if array is None or array.ndim != 1:
        got = short(tokens) if array is None or not array.ndim else f"shape {array.shape}"
        message = f"{name} must have one dimension, got {got}"
        raise TypeError(message)
    return array


def _lengths(columns: dict[str, list[Any]]) -> Any:
    import numpy as np

    (first, arrays), *others = columns.items()
    for key, others_of in others:
        for k, (one, other) in enumerate(zip(arrays, others_of, strict=True)):
            if len(one) != len(other):
                message = (
                    f"keys of an item must have one length, but item {k} [{key!r}] has "
                    f"{len(other)} values, and [{first!r}] has {len(one)}"
                )
                raise ValueError(message)
    return np.array([len(array) for array in arrays], np.int64)


def _end_to_end(arrays: Sequence[Any], n: int, key: str, pad: Any) -> Any:
    """Return `arrays` end to end, padded to `n` values."""
    import numpy as np

    filled = [array for array in arrays if len(array)]  # an empty list has no dtype of its own
    place = "" if key == "tokens" else f"[{key!r}]"
    dtype = promotion.common(filled or [np.zeros(0, np.int64)], place)
    total = sum(map(len, filled))
    out = np.empty(n, dtype) if dtype.hasobject else stacking.room((n,), dtype)
    if filled:
        np.concatenate(filled, out=out[:total])
    if total < n:
        out[total:] = Padding(pad, 1, mask=False, named=True).filling(dtype, place)
    return out
