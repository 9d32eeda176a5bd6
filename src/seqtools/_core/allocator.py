"""Memory for results: plain memory, or a slot of the worker that asks for it.

What is written into such a slot is delivered from there, without another copy.
"""

from collections.abc import Callable
from typing import Any

ALIGNMENT = 64
"""Addresses of buffers are multiples of this: the cache line, and the widest vector."""

SMALL = 1 << 15
"""Bytes below which a buffer is pickled with the rest: measured break-even is 32 to 64 KB."""

allocate: Callable[[int], Any] | None = None
"""In a worker process, what returns a slot of so many bytes, `None` where there is no room.

Slots are aligned, and free again when the last view of them has gone."""


def empty(nbytes: int) -> Any:
    """Return a writable, aligned buffer of `nbytes` bytes, with anything in it.

    It may be longer than that, as slots come in a few sizes.

    Args:
        nbytes: Size in bytes, at least 0.
    """
    slot = allocate(nbytes) if allocate is not None and nbytes >= SMALL else None
    return _plain(nbytes) if slot is None else slot


def _plain(nbytes: int) -> Any:
    import numpy as np

    memory = np.empty(nbytes + ALIGNMENT - 1, np.uint8)  # which, unlike bytearray, writes nothing
    start = -memory.__array_interface__["data"][0] % ALIGNMENT
    return memory[start : start + nbytes]
