"""The current item of a worker, in memory that it shares with the consumer.

There is no lock, because each number is one store of a machine word. `struct.pack_into` must not be
used: it clears its bytes before it writes them, and a reader may see the zeros. With quick items,
one read in twenty did.
"""

import time

NBYTES = 16


class ProgressMark:
    """Two machine words: the time when the item began, and its block and place in the block."""

    __slots__ = ("_item", "_since")

    def __init__(self, memory: memoryview) -> None:
        self._since = memory[:8].cast("d")
        self._item = memory[8:NBYTES].cast("Q")

    def tell(self, block: int, place: int) -> None:
        """Note that the worker begins an item now."""
        self._since[0] = time.monotonic()
        self._item[0] = block << 32 | place

    def read(self) -> tuple[int, int, float]:
        """Return the block of the item, its place in the block, and when the worker began it.

        The time is written first and read last. So it may be the time of the next item, which is
        later, but never of the previous one.
        """
        item = self._item[0]
        return item >> 32, item & 0xFFFFFFFF, self._since[0]
