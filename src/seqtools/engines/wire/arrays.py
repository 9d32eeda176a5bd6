"""How values that hold memory are pickled, with the memory outside of the pickle.

`pickle` does that for contiguous arrays. This module does it for arrays that `pickle` would copy
into the pickle because of their strides, dtype or class; for views of memory, which `pickle`
refuses; and for tensors of torch, which torch sends with the whole storage that they are in.

The result is what a plain pickle gives, with two exceptions: arrays stay read-only and keep their
byte order, whatever their strides and class, and tensors that share memory become independent, as
arrays do.
"""

import copyreg
import pickle
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

from seqtools._core import allocator
from seqtools.engines.wire.instances import instance_reducer

_SMALL = 1 << 11
"""Bytes of an array below which its description costs more than its copy."""

Reducer: TypeAlias = Callable[[Any], Any]
"""Returns for an object what the `reducer_override` of a pickler has to return."""


def reducer(cls: type) -> Reducer | None:
    """Return how to pickle objects of exactly this class, `None` if `pickle` does it well."""
    if cls in copyreg.dispatch_table:  # its author knows better
        return None
    # who has an array or a tensor has imported what it is of
    ndarray = getattr(sys.modules.get("numpy"), "ndarray", None)
    if cls is ndarray:
        return _reduce_ndarray
    if ndarray is not None and issubclass(cls, ndarray):
        return _reduce_array if _is_plain(cls) else None
    if cls is memoryview:
        return _reduce_memoryview
    if cls is getattr(sys.modules.get("torch"), "Tensor", None):
        return _reduce_tensor
    return instance_reducer(cls)


def result_reducer(cls: type) -> Reducer | None:
    """Return the same for a result, in which a small array has a short description.

    In a pipeline, small arrays are buffers too, because they may be in a mapped file.
    """
    reduce = reducer(cls)
    return _reduce_ndarray_of_result if reduce is _reduce_ndarray else reduce


# Arrays


def _is_plain(cls: Any) -> bool:
    """Return whether an array of `cls` can be made of a buffer without calling code of users."""
    import numpy as np

    if cls in {np.memmap, np.recarray, np.matrix}:
        return True
    methods = ("__reduce__", "__reduce_ex__", "__setstate__", "__array_finalize__")
    return all(getattr(cls, name) is getattr(np.ndarray, name) for name in methods)


def _reduce_ndarray(array: Any) -> Any:
    flags = array.flags
    # The buffer protocol has no datetimes, which structures may contain.
    if (flags.c_contiguous or flags.f_contiguous) and array.dtype.kind not in "mMV":
        return NotImplemented
    return _reduce_array(array)


def _reduce_ndarray_of_result(array: Any) -> Any:
    flags, dtype = array.flags, array.dtype
    if (
        array.nbytes <= _SMALL
        and dtype.kind in "biufc"
        and flags.c_contiguous
        and dtype.isnative
        and dtype.metadata is None
    ):
        # numpy takes twice as long, because it pickles the dtype as an object.
        return _small_array, (dtype.char, array.shape, array.tobytes(), flags.writeable)
    return _reduce_ndarray(array)


def _small_array(char: str, shape: tuple[int, ...], data: bytes, writeable: bool) -> Any:  # noqa: FBT001 -- called by pickle
    import numpy as np

    return np.ndarray(shape, char, bytearray(data) if writeable else data)


def _reduce_array(array: Any) -> Any:
    import numpy as np

    flags, dtype = array.flags, array.dtype
    if dtype.hasobject:
        return NotImplemented
    dense: Any = np.asarray(array)
    strides = None
    if not flags.c_contiguous:
        strides = dense.strides
        order = sorted(range(dense.ndim), key=strides.__getitem__, reverse=True)
        dense = dense.transpose(order)
        if not dense.flags.c_contiguous:
            strides = None
            dense = np.ndarray(array.shape, dtype, allocator.empty(array.nbytes))
            dense[...] = array
            dense.flags.writeable = flags.writeable
    data = pickle.PickleBuffer(dense.reshape(-1).view(np.uint8))
    return _array, (type(array), data, dtype, array.shape, strides)


def _array(cls: Any, data: Any, dtype: Any, shape: tuple[int, ...], strides: Any) -> Any:
    import numpy as np

    return np.ndarray.__new__(cls, shape, dtype, data, 0, strides)


# Views of memory


def _reduce_memoryview(view: Any) -> Any:
    data = view
    if not view.c_contiguous:
        data = memoryview(view.tobytes() if view.readonly else bytearray(view.tobytes()))
    return _memoryview, (pickle.PickleBuffer(data), view.format, view.shape)


def _memoryview(data: Any, form: Any, shape: tuple[int, ...]) -> memoryview:
    view = memoryview(data).cast("B")
    return view.cast(form) if len(shape) == 1 else view.cast(form, shape)


# Tensors


def _reduce_tensor(tensor: Any) -> Any:
    torch = sys.modules["torch"]
    if (
        tensor.requires_grad
        or tensor.layout is not torch.strided
        or not tensor.is_cpu
        or tensor.is_conj()
        or tensor.is_neg()
        or tensor.is_quantized
        or tensor.is_nested
        or any(getattr(tensor, "names", ()))
        or tensor.__dict__
    ):
        return NotImplemented
    shape, strides = tuple(tensor.shape), tensor.stride()
    dense = tensor
    if not tensor.is_contiguous():
        order = sorted(range(tensor.dim()), key=strides.__getitem__, reverse=True)
        dense = tensor.permute(order)
        if not dense.is_contiguous():
            if tensor.nbytes > tensor.untyped_storage().nbytes():  # repeated by a stride of 0
                return NotImplemented
            room = allocator.empty(tensor.nbytes)
            dense = torch.frombuffer(room, dtype=tensor.dtype, count=tensor.numel()).view(shape)
            dense.copy_(tensor)
            strides = dense.stride()
    data = pickle.PickleBuffer(dense.reshape(-1).view(torch.uint8).numpy())
    return _tensor, (data, tensor.dtype, shape, strides)


def _tensor(data: Any, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    import torch  # type: ignore[import-not-found, unused-ignore] # the user has installed it

    if 0 in shape:
        return torch.empty_strided(shape, strides, dtype=dtype)
    return torch.frombuffer(data, dtype=dtype).as_strided(shape, strides)
