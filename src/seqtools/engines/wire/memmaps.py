"""Views of memory-mapped arrays, whatever their strides, as the memory in which they lie.

It is sent as a buffer, and `mappings` says then of which file it is. The name that an array knows
of does not tell: there may be another file of that name by now.
"""

import mmap
import pickle
import sys
from typing import Any

from seqtools.engines.wire.mapped_files import find_in_files


def reduce_memmap(obj: Any) -> tuple[Any, ...] | None:
    """Return how to make `obj` of its memory elsewhere, `None` if it is not such an array.

    Or if it is one with gaps that would have to be copied too.
    """
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(obj, numpy.ndarray):
        return None
    root: Any = obj
    while isinstance(root.base, numpy.ndarray):
        root = root.base
    if not isinstance(root, numpy.memmap) or not isinstance(root.base, mmap.mmap):
        return None
    if type(obj) not in {numpy.ndarray, numpy.memmap, numpy.recarray, numpy.matrix}:
        return None  # a class of the user's knows better
    if obj.dtype.hasobject or not obj.size:
        return None
    memory, first = _memory(obj, root.base)
    if memory.nbytes > obj.nbytes and not find_in_files([memoryview(memory)])[1]:
        return None
    told = {name: getattr(obj, name, None) for name in ("filename", "offset", "mode")}
    attributes = told if isinstance(obj, numpy.memmap) else {}
    data = pickle.PickleBuffer(memory)
    return _view, (type(obj), data, obj.dtype, obj.shape, obj.strides, first, attributes)


def _memory(array: Any, mapped: mmap.mmap) -> tuple[Any, int]:
    """Return the bytes from the lowest to the highest of `array`, and where its first item is."""
    import numpy as np

    whole = np.frombuffer(mapped, np.uint8)
    first = array.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    steps = [(n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)]
    low = first + sum(step for step in steps if step < 0)
    high = first + sum(step for step in steps if step > 0) + array.itemsize
    memory = whole[low:high]
    memory.flags.writeable = array.flags.writeable
    return memory, first - low


def _view(  # noqa: PLR0913, PLR0917 -- called by pickle
    cls: Any,
    data: Any,
    dtype: Any,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    first: int,
    attributes: dict[str, Any],
) -> Any:
    import numpy as np

    array = np.ndarray.__new__(cls, shape, dtype, data, first, strides)
    if attributes:
        array._mmap = data  # noqa: SLF001 -- without it, parts of it would be plain arrays
    for name, value in attributes.items():
        setattr(array, name, value)
    return array
