"""Views of memory-mapped arrays, with any strides, are pickled as the memory that they are in.

That memory is a buffer, and `mapped_files` finds the file of a buffer. The file name that an array
has is not reliable, because another file may have that name by now.
"""

import mmap
import pickle
import sys
from typing import Any

from seqtools.engines.wire.mapped_files import find_in_files


def reduce_memmap(obj: Any) -> tuple[Any, ...] | None:
    """Return how to make `obj` from its memory, `None` if it is not such an array.

    Also `None` if the memory has to be copied, and is larger than the array.
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
        return None  # a class of the user may pickle itself
    if obj.dtype.hasobject or not obj.size:
        return None
    memory, first = _memory(obj, root.base)
    if memory.nbytes > obj.nbytes and not find_in_files([memoryview(memory)])[1]:
        return None
    known = {name: getattr(obj, name, None) for name in ("filename", "offset", "mode")}
    attributes = known if isinstance(obj, numpy.memmap) else {}
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
        array._mmap = data  # noqa: SLF001 -- otherwise, its parts would be plain arrays
    for name, value in attributes.items():
        setattr(array, name, value)
    return array
