"""How many items may be evaluated ahead."""

from collections.abc import Callable, Sequence

from seqtools._core.indices import ENDLESS

_RISING, _FALLING = 0.5, 0.05
"""How far the size expected goes to that of the last item, if it is larger or smaller."""
_GROWTH = 4
"""So many times larger at once: a reader that pauses must not wait often before it is right."""
_GROWTH_BYTES = 1 << 28
"""Most that it grows to by itself. Arbitrary: little on any machine that computes."""
_SMALL_BYTES = 1 << 24
"""Most that it holds of what is good to have. Arbitrary: as much as a processor has caches."""


class Budget:
    """The room of a window: so many items, or so many bytes by the sizes of those so far.

    There is always room for one. It grows only where that would have kept a reader from
    waiting, up to `most` items, and only if the sizes of items are known.
    """

    def __init__(
        self,
        items: int,
        *,
        first: int | None = None,
        most: int | None = None,
        max_bytes: int = ENDLESS,
        least: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        """Begin with room for `items`, but for `first` as long as nothing is known of them.

        There is room for as many as `least` returns first, and if they are known to be small
        for as many as it returns second.
        """
        self.items = items if first is None else min(first, items)
        """Most items evaluated and not yet read, as things are."""
        self.most = items if most is None else most
        self._items = items  # as long as they are small
        self._least = least
        self._max_bytes = max_bytes
        self._size = 0.0  # of an item, by a moving average that is quick to rise
        self._sizes_known = False

    def weighed(self, sizes: Sequence[int | None]) -> None:
        """Note the sizes in bytes of items that have arrived, `None` where it is not known."""
        self._sizes_known = None not in sizes
        for size in sizes:
            if size is not None:
                rate = 1.0 if not self._size else _RISING if size > self._size else _FALLING
                self._size += rate * (size - self._size)
        self._adjust()

    def grow(self) -> None:
        """Have room for more items, if that is allowed."""
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
        fit = max(1, int(self._max_bytes / self._size)) if self._size else items
        self.items = min(items, fit)
