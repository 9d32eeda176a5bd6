"""Memory for results; in a worker, slots that the consumer reads without a copy."""

from collections.abc import Callable
from typing import Any

ALIGNMENT = 64
"""Addresses of buffers are multiples of this: the cache line, and the widest vector."""

SMALL = 1 << 15
"""Bytes below which a buffer is pickled: the measured break-even is 32 to 64 KB."""

allocate: Callable[[int], Any] | None = None
"""In a worker process, returns an aligned slot of so many bytes, `None` if there is no room.

A slot is free again when its last view is gone."""


def empty(nbytes: int) -> Any:
    """Return a writable, aligned buffer of at least `nbytes` bytes with arbitrary content."""
    slot = allocate(nbytes) if allocate is not None and nbytes >= SMALL else None
    if slot is not None:
        return slot
    import numpy as np

    memory = np.empty(nbytes + ALIGNMENT - 1, np.uint8)  # unlike bytearray, it writes nothing
    start = -memory.__array_interface__["data"][0] % ALIGNMENT
    return memory[start : start + nbytes]
