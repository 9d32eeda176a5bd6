"""Items combined in arrays, in a worker directly in the memory that the consumer reads."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

from seqtools._core import allocator, promotion
from seqtools._core.checks import check_source
from seqtools._core.sources import Source

_Kind: TypeAlias = Callable[[Sequence[Any], str], Any]
"""Combines items of one kind, given their place in the items of the user for messages."""


def collate_arrays(items: Source[Any]) -> Any:
    """Return `items` combined into one: arrays stacked, numbers in an array, containers by place.

    The result has the structure of the first item. Numbers and arrays are combined by
    `numpy.stack`, and torch tensors by `torch.stack`. No value changes: where numpy would round
    an integer, convert a boolean to a number or a number to text, or shift a date, an error
    names the item. Tuples, named tuples, lists, dicts and dataclasses keep their type, and the
    values at each of their places are combined. Other values, such as a string or `None`, are
    put in a list.

    Use it as the `collate_fn` of `batch`. In a worker process, large arrays are written
    directly into the memory that the consumer reads. The result shares no memory with `items`.

    Args:
        items: At least one item, with the same keys, lengths and shapes in all of them.
            Numbers and arrays may differ in dtype if the dtype that `numpy.result_type` returns
            holds all values exactly: float32 and float64, strings of several widths, integers
            of up to 53 bits and floats. An `int` becomes int64, or else uint64; a `float`
            becomes float64. An array as `items` stands for its rows.

    Raises:
        ValueError: If there are no items, or they differ in shape, length or keys, or a
            value would change.
        TypeError: If they differ in type, or no common dtype holds their values, or `items`
            is not indexed by row.

    Example:
        >>> import numpy as np
        >>> samples = [{"image": np.zeros((4, 4)), "label": k, "name": f"{k}.png"} for k in (7, 8)]
        >>> batch = collate_arrays(samples)
        >>> batch["image"].shape, batch["label"], batch["name"]
        ((2, 4, 4), array([7, 8]), ['7.png', '8.png'])
    """
    if not isinstance(items, list | tuple):
        kind = _kind(type(items))
        if kind is _arrays and not items.dtype.hasobject:  # type: ignore[attr-defined]
            return _copied_array(items)
        if kind is _tensors:
            return _copied_tensor(items)
        check_source(items, "items")
        items = [items[k] for k in range(len(items))]
    if not items:
        raise ValueError("collate_arrays() needs at least one item, got none")
    return _collate(items, "")


def _collate(items: Sequence[Any], place: str) -> Any:
    classes = set(map(type, items))
    kinds = {_EXACT.get(cls) or _kind(cls) for cls in classes}
    kind = kinds.pop()
    if kinds:
        _refuse(items, place, "is of type", _name, lambda item: _kind(type(item)))
    if kind is _numbers:
        return promotion.numbers(items, place, classes)
    if len(classes) > 1 and kind in {_tuples, _dataclasses}:
        _refuse(items, place, "is of type", _name, type)
    return kind(items, place)


def _kind(cls: type) -> _Kind:  # noqa: PLR0911 -- one for each
    """Return the function that combines objects of `cls`."""
    import numpy as np

    if issubclass(cls, np.ndarray):
        return _arrays
    if issubclass(cls, (int, float, complex, np.generic)):
        return _numbers
    if issubclass(cls, getattr(sys.modules.get("torch"), "Tensor", ())):
        return _tensors
    if issubclass(cls, tuple):
        return _tuples
    if issubclass(cls, list):
        return _lists
    if issubclass(cls, Mapping):
        return _mappings
    # like `is_dataclass`, whose import takes milliseconds
    return _dataclasses if hasattr(cls, "__dataclass_fields__") else _others


def _name(item: Any) -> str:
    return type(item).__qualname__


def _refuse(
    items: Sequence[Any],
    place: str,
    what: str,
    told: Callable[[Any], Any],
    compared: Callable[[Any], Any] | None = None,
) -> NoReturn:
    """Raise an error that names the first item that differs from item 0, and how."""
    compared = told if compared is None else compared
    first = compared(items[0])
    k = next(k for k, item in enumerate(items) if compared(item) != first)
    error = TypeError if told is _name else ValueError
    place = place and f" {place}"
    raise error(
        f"items must be alike to be combined, but item {k}{place} {what} {told(items[k])}, "
        f"and item 0{place} {what} {told(items[0])}"
    )


# Items that are no arrays


def _numbers(items: Sequence[Any], place: str) -> Any:
    return promotion.numbers(items, place, set(map(type, items)))


def _others(items: Sequence[Any], _: str) -> list[Any]:
    return list(items)


def _lists(items: Sequence[Any], place: str) -> list[Any]:
    if len(set(map(len, items))) > 1:
        _refuse(items, place, "has length", len)
    columns = zip(*items, strict=True)
    return [_collate(column, f"{place}[{k}]") for k, column in enumerate(columns)]


def _tuples(items: Sequence[Any], place: str) -> Any:
    make = getattr(type(items[0]), "_make", tuple)  # a named tuple has `_make`
    return make(_lists(items, place))


def _mappings(items: Sequence[Any], place: str) -> dict[Any, Any]:
    keys = items[0]
    if len(set(map(frozenset, items))) > 1:
        _refuse(items, place, "has keys", list, set)
    return {key: _collate([item[key] for item in items], f"{place}[{key!r}]") for key in keys}


def _dataclasses(items: Sequence[Any], place: str) -> Any:
    from dataclasses import fields

    # not by __init__, which may not accept all fields, or may check values of a single item
    made = object.__new__(type(items[0]))
    for field in fields(made):
        column = [getattr(item, field.name) for item in items]
        object.__setattr__(made, field.name, _collate(column, f"{place}.{field.name}"))
    return made


_EXACT: dict[type, _Kind] = {
    **dict.fromkeys((int, float, bool, complex), _numbers),
    **dict.fromkeys((str, bytes, type(None)), _others),
    tuple: _tuples,
    list: _lists,
    dict: _mappings,
}
"""Results of `_kind`, which takes a microsecond, for the most frequent classes."""


# Arrays


def _arrays(items: Sequence[Any], place: str) -> Any:
    import numpy as np

    shape = items[0].shape
    if len({item.shape for item in items}) > 1:
        _refuse(items, place, "has shape", lambda item: item.shape)
    dtype = promotion.common(items, place)
    if dtype.hasobject or not _plain(items):
        masked = any(isinstance(item, np.ma.MaskedArray) for item in items)
        return np.ma.stack(items) if masked else np.stack(items)
    out = _room((len(items), *shape), dtype)
    if not shape:
        return np.stack(items, out=out)
    # like np.stack, which would create a view of each item first
    np.concatenate(items, out=out.reshape(len(items) * shape[0], *shape[1:]))
    return out


def _plain(arrays: Sequence[Any]) -> bool:
    """Return whether `numpy.stack` of `arrays` is a plain array."""
    import numpy as np

    return set(map(type, arrays)) <= {np.ndarray, np.memmap}


def _copied_array(rows: Any) -> Any:
    import numpy as np

    if not _plain([rows]):
        return rows.copy()
    out = _room(rows.shape, np.result_type(rows.dtype))
    out[...] = rows
    return out


def _room(shape: tuple[int, ...], dtype: Any) -> Any:
    import numpy as np

    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes < allocator.SMALL:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, allocator.empty(nbytes))


# Tensors


def _tensors(items: Sequence[Any], place: str) -> Any:
    torch = sys.modules["torch"]

    if len({item.shape for item in items}) > 1:
        _refuse(items, place, "has shape", lambda item: tuple(item.shape))
    dtypes = {item.dtype for item in items}
    if len({(d.is_floating_point or d.is_complex, d == torch.bool) for d in dtypes}) > 1:
        # torch makes float32 of int64 and float32, and an integer of a boolean
        _refuse(items, place, "has dtype", lambda item: item.dtype)
    if not all(_writes_out(item) for item in items) or len(dtypes) > 1:
        return torch.stack(items)
    first = items[0]
    return torch.stack(items, out=_tensor((len(items), *first.shape), first.dtype))


def _copied_tensor(rows: Any) -> Any:
    if not _writes_out(rows):
        return rows.clone()
    return _tensor(tuple(rows.shape), rows.dtype).copy_(rows)


def _writes_out(tensor: Any) -> bool:
    """Return whether torch can write a result of `tensor` into given memory."""
    torch = sys.modules["torch"]

    return (
        type(tensor) is torch.Tensor
        and not tensor.requires_grad
        and tensor.layout is torch.strided
        and tensor.is_cpu
        and not tensor.is_quantized
    )


def _tensor(shape: tuple[int, ...], dtype: Any) -> Any:
    torch = sys.modules["torch"]

    count = math.prod(shape)
    if count * dtype.itemsize < allocator.SMALL:
        return torch.empty(shape, dtype=dtype)
    room = allocator.empty(count * dtype.itemsize)
    return torch.frombuffer(room, dtype=dtype, count=count).view(shape)
