"""Items combined in arrays, in a worker directly in the memory that the consumer reads."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from seqtools._core import promotion, stacking
from seqtools._core.checks import check_count, check_source, is_bool
from seqtools._core.display.short import short
from seqtools._core.padding import Padding
from seqtools._core.sources import Source

_Kind: TypeAlias = Callable[[Sequence[Any], str, Padding | None], Any]
"""Combines items of one kind, given their place in the items of the user for messages."""


def collate_arrays(
    items: Source[Any],
    *,
    pad: Any = None,
    multiple_of: int = 1,
    mask: bool = False,
) -> Any:
    """Return `items` combined into one: arrays stacked, numbers in an array, containers by place.

    The result has the structure of the first item. Numbers and arrays are combined by
    `numpy.stack`, and torch tensors by `torch.stack`. No value changes: where numpy would round
    an integer, convert a boolean to a number or a number to text, or shift a date, an error
    names the item. Tuples, named tuples, lists, dicts and dataclasses keep their type, and the
    values at each of their places are combined. Other values, such as a string or `None`, are
    put in a list.

    Use it as the `collate_fn` of `batch`. In a worker process, large arrays are written
    directly into the memory that the consumer reads. The result shares no memory with `items`.

    With `pad`, arrays and tensors that differ in shape are filled up: at the end of each axis that
    differs, to the longest of `items`, rounded up to a multiple of `multiple_of`. Their first axis
    is treated so in all batches, also where no shapes differ, so that all batches have the same
    form. The `collate_fn` is then `functools.partial(collate_arrays, pad=0)`.

    Args:
        items: At least one item, with the same keys, lengths and shapes in all of them.
            Numbers and arrays may differ in dtype if the dtype that `numpy.result_type` returns
            holds all values exactly: float32 and float64, strings of several widths, integers
            of up to 53 bits and floats. An `int` becomes int64, or else uint64; a `float`
            becomes float64. An array as `items` stands for its rows.
        pad: What arrays are filled up with, such as 0; with `None`, shapes must not differ. One
            value is for all arrays and tensors of at least one dimension. A mapping has a value
            for each key of a dict, place of a tuple, or name of a field, such as
            `{"tokens": 0, "labels": -100}`: only what it names is padded.
        multiple_of: What is rounded up to a multiple of this: of each array that `pad` is for, the
            length of the first axis, in all batches, and of other axes on which items differ.
        mask: Whether to add a boolean array for each array that `pad` is for, in all batches. It
            has the same shape, and is true for values of items and false for padding. It is in the
            same dict as the array, with the key `f"{key}_mask"`; outside of dicts, the array
            becomes the pair `(array, mask)`.

    Raises:
        ValueError: If there are no items, or they differ in shape, length or keys, or a
            value would change, or the dtype of an array cannot hold `pad`.
        TypeError: If they differ in type, or no common dtype holds their values, or `items`
            is not indexed by row.

    Example:
        >>> import numpy as np
        >>> samples = [{"image": np.zeros((4, 4)), "label": k, "name": f"{k}.png"} for k in (7, 8)]
        >>> batch = collate_arrays(samples)
        >>> batch["image"].shape, batch["label"], batch["name"]
        ((2, 4, 4), array([7, 8]), ['7.png', '8.png'])
        >>> collate_arrays([np.array([1, 2, 3]), np.array([4])], pad=0)
        array([[1, 2, 3],
               [4, 0, 0]])
    """
    padding = _padding(pad, multiple_of, mask)
    if padding is None and not isinstance(items, list | tuple):
        kind = _kind(type(items))
        if kind is stacking.arrays and not items.dtype.hasobject:  # type: ignore[attr-defined]
            return stacking.copied_array(items)
        if kind is stacking.tensors:
            return stacking.copied_tensor(items)
    if not isinstance(items, list | tuple):
        check_source(items, "items")
        items = [items[k] for k in range(len(items))]
    if not items:
        raise ValueError("collate_arrays() needs at least one item, got none")
    return _as_pair(_collate(items, "", padding))


def _padding(pad: Any, multiple_of: int, mask: bool) -> Padding | None:  # noqa: FBT001 -- checked
    if pad is None and multiple_of == 1 and not mask:
        return None
    if not is_bool(mask):
        message = f"mask must be True or False, got {short(mask)}"
        raise TypeError(message)
    multiple_of = check_count(multiple_of, 1, "multiple_of")
    if pad is None:
        message = "pad must be given with multiple_of or mask, got None: use pad=0"
        raise ValueError(message)
    return Padding(pad, multiple_of, bool(mask), named=True)


def _as_pair(result: Any) -> Any:
    return tuple(result) if type(result) is stacking.Masked else result


def _collate(items: Sequence[Any], place: str, padding: Padding | None) -> Any:
    classes = set(map(type, items))
    kinds = {_EXACT.get(cls) or _kind(cls) for cls in classes}
    kind = kinds.pop()
    if kinds:
        stacking.refuse(
            items, place, "is of type", stacking.name_of, lambda item: _kind(type(item))
        )
    if padding is not None and place and padding.named:
        _check_named(items[0], place, padding)
    if kind is _numbers:
        return promotion.numbers(items, place, classes)
    if len(classes) > 1 and kind in {_tuples, _dataclasses}:
        stacking.refuse(items, place, "is of type", stacking.name_of, type)
    return kind(items, place, padding)


def _kind(cls: type) -> _Kind:  # noqa: PLR0911 -- one for each
    """Return the function that combines objects of `cls`."""
    import numpy as np

    if issubclass(cls, np.ndarray):
        return stacking.arrays
    if issubclass(cls, (int, float, complex, np.generic)):
        return _numbers
    if issubclass(cls, getattr(sys.modules.get("torch"), "Tensor", ())):
        return stacking.tensors
    if issubclass(cls, tuple):
        return _tuples
    if issubclass(cls, list):
        return _lists
    if issubclass(cls, Mapping):
        return _mappings
    # like `is_dataclass`, whose import takes milliseconds
    return _dataclasses if hasattr(cls, "__dataclass_fields__") else _others


def _check_named(item: Any, place: str, padding: Padding) -> None:
    """Raise `TypeError` if `pad` names a place where there is no array."""
    if not isinstance(padding.value, Mapping) and not _has_array(item):
        message = (
            f"pad names {place}, but items have {short(item)} there: only arrays are padded, so "
            "convert by numpy.array"
        )
        raise TypeError(message)


def _has_array(item: Any) -> bool:
    kind = _kind(type(item))
    if kind in {_lists, _tuples}:
        return any(map(_has_array, item))
    if kind is _mappings:
        return any(map(_has_array, item.values()))
    return kind not in {_numbers, _others}


# Items that are no arrays


def _numbers(items: Sequence[Any], place: str, _: Padding | None) -> Any:
    return promotion.numbers(items, place, set(map(type, items)))


def _others(items: Sequence[Any], _: str, __: Padding | None) -> list[Any]:
    return list(items)


def _lists(items: Sequence[Any], place: str, padding: Padding | None) -> list[Any]:
    if len(set(map(len, items))) > 1:
        advice = "" if padding is None else ": only arrays are padded, so convert by numpy.array"
        stacking.refuse(items, place, "has length", len, advice=advice)
    if padding is not None:
        padding.check_places(range(len(items[0])), place)
    return _columns(items, place, padding)


def _columns(items: Sequence[Any], place: str, padding: Padding | None) -> list[Any]:
    columns = zip(*items, strict=True)
    return [
        _as_pair(_collate(column, f"{place}[{k}]", padding and padding.inside(k)))
        for k, column in enumerate(columns)
    ]


def _tuples(items: Sequence[Any], place: str, padding: Padding | None) -> Any:
    names = getattr(items[0], "_fields", None)
    make = getattr(type(items[0]), "_make", tuple)  # a named tuple has `_make`
    if names is None:
        return make(_lists(items, place, padding))
    if padding is not None and isinstance(padding.value, Mapping):
        padding.check_places([*names, *[k for k in padding.value if k in range(len(names))]], place)
        by_place = {names.index(k) if k in names else k: v for k, v in padding.value.items()}
        padding = padding._replace(value=by_place)
    return make(_columns(items, place, padding))


def _mappings(items: Sequence[Any], place: str, padding: Padding | None) -> dict[Any, Any]:
    keys = items[0]
    if len(set(map(frozenset, items))) > 1:
        stacking.refuse(items, place, "has keys", list, set)
    if padding is not None:
        padding.check_places(keys, place)
    made: dict[Any, Any] = {}
    for key in keys:
        inside = padding and padding.inside(key)
        result = _collate([item[key] for item in items], f"{place}[{key!r}]", inside)
        if type(result) is stacking.Masked:
            name = f"{key}_mask"
            if name in keys:
                message = f"mask=True adds {name!r}, but items have this key: rename it"
                raise ValueError(message)
            made[key], made[name] = result
        else:
            made[key] = result
    return made


def _dataclasses(items: Sequence[Any], place: str, padding: Padding | None) -> Any:
    from dataclasses import fields

    # not by __init__, which may not accept all fields, or may check values of a single item
    made = object.__new__(type(items[0]))
    names = [field.name for field in fields(made)]
    if padding is not None:
        padding.check_places(names, place)
    for name in names:
        column = [getattr(item, name) for item in items]
        inside = padding and padding.inside(name)
        object.__setattr__(made, name, _as_pair(_collate(column, f"{place}.{name}", inside)))
    return made


_EXACT: dict[type, _Kind] = {
    **dict.fromkeys((int, float, bool, complex), _numbers),
    **dict.fromkeys((str, bytes, type(None)), _others),
    tuple: _tuples,
    list: _lists,
    dict: _mappings,
}
"""Results of `_kind`, which takes a microsecond, for the most frequent classes."""
