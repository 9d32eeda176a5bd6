"""Memory-mapped arrays sent by reference: the file and the place in it, not the content."""

import mmap
import os
import sys
from typing import Any


def reduce_memmap(obj: Any) -> tuple[Any, ...] | None:
    """Return how to map the same place of the same file, `None` if `obj` is not such an array.

    An array that was mapped copy-on-write may differ from its file, and goes by value.
    """
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(obj, numpy.ndarray):
        return None
    root: Any = obj
    while isinstance(root.base, numpy.ndarray):
        root = root.base
    if not isinstance(root, numpy.memmap) or not isinstance(root.base, mmap.mmap):
        return None
    if root.filename is None or root.mode == "c" or not os.path.isfile(root.filename):
        return None
    if obj.dtype.hasobject or not obj.size:
        return None
    granularity = mmap.ALLOCATIONGRANULARITY
    # numpy maps from a multiple of the granularity, and begins its array behind that
    mapped = numpy.frombuffer(root.base, numpy.uint8).__array_interface__["data"][0]
    begin = root.offset - root.offset % granularity
    low, high = numpy.lib.array_utils.byte_bounds(obj)
    first = obj.__array_interface__["data"][0]
    writable = root.mode != "r" and obj.flags.writeable
    kind = numpy.memmap if isinstance(obj, numpy.memmap) else numpy.ndarray
    place = (begin + low - mapped, high - low, first - low)
    return _map, (str(root.filename), place, obj.dtype, obj.shape, obj.strides, writable, kind)


def _map(  # noqa: PLR0913, PLR0917 -- called by pickle
    filename: str,
    place: tuple[int, int, int],
    dtype: Any,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    writable: bool,  # noqa: FBT001 -- called by pickle
    kind: Any,
) -> Any:
    import numpy as np

    offset, length, first = place
    flat = np.memmap(filename, np.uint8, "r+" if writable else "r", offset, (length,))
    array = np.ndarray(shape, dtype, flat, first, strides)
    if kind is np.ndarray:
        return array
    mapped = array.view(np.memmap)
    mapped.filename, mapped.offset, mapped.mode = flat.filename, offset, flat.mode
    return mapped
