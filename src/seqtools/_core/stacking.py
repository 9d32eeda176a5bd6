"""Arrays and tensors stacked in one, in a worker directly in the memory that the consumer reads."""

import math
import sys
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple, NoReturn

from seqtools._core import allocator, promotion
from seqtools._core.padding import Padding, corner, mask_of


class Masked(NamedTuple):
    """A padded array and its mask, before it is known where the mask goes."""

    values: Any
    mask: Any


def name_of(item: Any) -> str:
    return type(item).__qualname__


def refuse(  # noqa: PLR0913 -- what the message consists of
    items: Sequence[Any],
    place: str,
    what: str,
    told: Callable[[Any], Any],
    compared: Callable[[Any], Any] | None = None,
    *,
    advice: str = "",
) -> NoReturn:
    """Raise an error that names the first item that differs from item 0, and how."""
    compared = told if compared is None else compared
    first = compared(items[0])
    k = next(k for k, item in enumerate(items) if compared(item) != first)
    error = TypeError if told is name_of else ValueError
    place = place and f" {place}"
    raise error(
        f"items must be alike to be combined, but item {k}{place} {what} {told(items[k])}, "
        f"and item 0{place} {what} {told(items[0])}{advice}"
    )


def arrays(items: Sequence[Any], place: str, padding: Padding | None) -> Any:
    import numpy as np

    shape = _shape(items, place, padding)
    dtype = promotion.common(items, place)
    if shape is not None and padding is not None:
        return _padded_arrays(items, place, padding, shape, dtype)
    shape = items[0].shape
    if dtype.hasobject or not _plain(items):
        masked = any(isinstance(item, np.ma.MaskedArray) for item in items)
        return np.ma.stack(items) if masked else np.stack(items)
    out = room((len(items), *shape), dtype)
    if not shape:
        return np.stack(items, out=out)
    # like np.stack, which would create a view of each item first
    np.concatenate(items, out=out.reshape(len(items) * shape[0], *shape[1:]))
    return out


def _shape(items: Sequence[Any], place: str, padding: Padding | None) -> tuple[int, ...] | None:
    """Return the shape that `items` are padded to, `None` if they need no padding."""
    shapes = [tuple(item.shape) for item in items]
    shape = padding and padding.shape(shapes)
    if shape is None and len(set(shapes)) > 1:
        same_axes = len(set(map(len, shapes))) == 1
        advice = ": use functools.partial(collate_arrays, pad=0) to fill them up"
        if getattr(items[0].dtype, "hasobject", False):
            advice += ", or pad={key: None} where they are in dicts"
        named = padding is None and same_axes
        refuse(items, place, "has shape", lambda item: tuple(item.shape), advice=advice * named)
    return shape


def _padded_arrays(
    items: Sequence[Any], place: str, padding: Padding, shape: tuple[int, ...], dtype: Any
) -> Any:
    import numpy as np

    if not _plain(items):
        cls = next(type(item) for item in items if not _plain([item]))
        where = place and f" {place}"
        message = f"only plain arrays are padded, but items{where} are of {cls.__qualname__}"
        raise TypeError(message + ": use numpy.asarray on them, or no pad")
    full = (len(items), *shape)
    out = np.empty(full, dtype) if dtype.hasobject else room(full, dtype)
    if padding.fills([item.shape for item in items], shape):
        out[...] = padding.filling(dtype, place)
    for row, item in zip(out, items, strict=True):
        row[corner(item.shape)] = item
    return _masked(out, items, padding, shape)


def _masked(out: Any, items: Sequence[Any], padding: Padding, shape: tuple[int, ...]) -> Any:
    if not padding.mask:
        return out
    mask = mask_of([tuple(item.shape) for item in items], shape)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(out, torch.Tensor):
        mask = torch.from_numpy(mask).to(out.device)
    return Masked(out, mask)


def _plain(arrays: Sequence[Any]) -> bool:
    """Return whether `numpy.stack` of `arrays` is a plain array."""
    import numpy as np

    return set(map(type, arrays)) <= {np.ndarray, np.memmap}


def copied_array(rows: Any) -> Any:
    import numpy as np

    if not _plain([rows]):
        return rows.copy()
    out = room(rows.shape, np.result_type(rows.dtype))
    out[...] = rows
    return out


def room(shape: tuple[int, ...], dtype: Any) -> Any:
    """Return an array that is not filled; `dtype` has no objects."""
    import numpy as np

    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes < allocator.SMALL:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, allocator.empty(nbytes))


# Tensors


def tensors(items: Sequence[Any], place: str, padding: Padding | None) -> Any:
    torch = sys.modules["torch"]

    shape = _shape(items, place, padding)
    dtypes = {item.dtype for item in items}
    if len({(d.is_floating_point or d.is_complex, d == torch.bool) for d in dtypes}) > 1:
        # torch makes float32 of int64 and float32, and an integer of a boolean
        refuse(items, place, "has dtype", lambda item: item.dtype)
    if shape is not None and padding is not None:
        return _padded_tensors(items, place, padding, shape)
    if not all(_writes_out(item) for item in items) or len(dtypes) > 1:
        return torch.stack(items)
    first = items[0]
    return torch.stack(items, out=_tensor((len(items), *first.shape), first.dtype))


def _padded_tensors(
    items: Sequence[Any], place: str, padding: Padding, shape: tuple[int, ...]
) -> Any:
    torch = sys.modules["torch"]

    dtype = reduce(torch.promote_types, [item.dtype for item in items])
    full = (len(items), *shape)
    if all(map(_writes_out, items)):
        out = _tensor(full, dtype)
    else:
        out = items[0].new_empty(full, dtype=dtype)
    if padding.fills([tuple(item.shape) for item in items], shape):
        out.fill_(padding.filling_of_tensor(dtype, place))
    for k, item in enumerate(items):
        out[k][corner(tuple(item.shape))] = item
    return _masked(out, items, padding, shape)


def copied_tensor(rows: Any) -> Any:
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
    memory = allocator.empty(count * dtype.itemsize)
    return torch.frombuffer(memory, dtype=dtype, count=count).view(shape)
