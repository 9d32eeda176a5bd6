"""The number of items that may be evaluated ahead."""

from collections.abc import Callable, Sequence

from seqtools._core.indices import ENDLESS

_RISING, _FALLING = 0.5, 0.05
"""Weights of the last item in the expected size, if it is larger or smaller."""
_GROWTH = 4
"""Factor of growth: a reader that pauses should not wait often until the window suffices."""
_GROWTH_BYTES = 1 << 28
"""Most bytes to which the window grows. Arbitrary: little on any machine that computes."""
_SMALL_BYTES = 1 << 24
"""Most bytes of the larger default window. Arbitrary: as large as the caches of a processor."""


class Budget:
    """The capacity of a window in items, and in bytes as estimated from previous items.

    It is at least one item. It grows, up to `most` items, only when a larger window would have
    prevented a reader from waiting, and only if the sizes of items are known.
    """

    def __init__(  # noqa: PLR0913 -- what limits it
        self,
        items: int,
        *,
        first: int | None = None,
        most: int | None = None,
        max_bytes: int = ENDLESS,
        least: Callable[[], tuple[int, int]] | None = None,
        small: int | None = None,
    ) -> None:
        """Begin with a capacity of `items`, or of `first` until sizes are known.

        The capacity is at least the first number that `least` returns, and at least the second
        one if items are known to be small. With `small`, it is also enough for all workers, in so
        many bytes.
        """
        self.items = items if first is None else min(first, items)
        """Most items evaluated and not yet read, for now."""
        self.most = items if most is None else most
        self._items = items  # before the limit in bytes
        self._least = least
        self._small = small
        self._useful = 0
        self._max_bytes = max_bytes
        self._size = 0.0  # of an item: a moving average that rises quickly
        self._sizes_known = False

    def weighed(self, sizes: Sequence[int | None]) -> None:
        """Note the sizes in bytes of items that have arrived, `None` for an unknown size."""
        self._sizes_known = None not in sizes
        for size in sizes:
            if size is not None:
                rate = 1.0 if not self._size else _RISING if size > self._size else _FALLING
                self._size += rate * (size - self._size)
        self._adjust()

    def fill_workers(self, items: int) -> None:
        """Note how many items are enough for all workers, for a window that follows that."""
        if self._small is not None and items > self._useful:
            self._useful = items
            self._adjust()

    def grow(self) -> None:
        """Increase the capacity, if that is allowed."""
        larger = min(_GROWTH * self._items, self.most)
        if self._sizes_known and larger * self._size <= min(self._max_bytes, _GROWTH_BYTES):
            self._items = max(self._items, larger)
            self._adjust()

    def _adjust(self) -> None:
        items = self._items
        if self._least is not None:
            needed, good = self._least()
            small = int(_SMALL_BYTES / max(self._size, 1.0)) if self._sizes_known else 0
            items = max(items, needed, min(good, small))
        if self._small is not None and self._sizes_known:
            items = max(items, min(self._useful, self.most, int(self._small / max(self._size, 1))))
        fit = max(1, int(self._max_bytes / self._size)) if self._size else items
        self.items = min(items, fit)
