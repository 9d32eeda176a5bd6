"""What a worker is at, told through memory that it shares with the consumer.

There is no lock: each number is one store of a machine word. `struct.pack_into` must not
be used, as it clears its bytes before it writes them: who reads just then sees an item that
began at the dawn of time. That was one read in twenty, beside a worker with quick items.
"""

import time

NBYTES = 16


class ProgressMark:
    """Two machine words: since when, and the block and the place in it."""

    __slots__ = ("_item", "_since")

    def __init__(self, memory: memoryview) -> None:
        self._since = memory[:8].cast("d")
        self._item = memory[8:NBYTES].cast("Q")

    def tell(self, block: int, place: int) -> None:
        """Say that an item is being evaluated from now on."""
        self._since[0] = time.monotonic()
        self._item[0] = block << 32 | place

    def read(self) -> tuple[int, int, float]:
        """Return the block, the place in it, and since when the worker has been at it.

        The time is read last, as it is written first: it may be that of the next item, which
        is later, but not of the one before.
        """
        item = self._item[0]
        return item >> 32, item & 0xFFFFFFFF, self._since[0]
