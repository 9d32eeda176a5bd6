"""A sequence whose items are all the same one, so that a loop over it measures itself."""

import threading
from collections.abc import Callable
from typing import TypeVar

from seqtools._core.sequence import LazySequence
from seqtools.instrument.observer import Observer

T = TypeVar("T")


class Replayed(Observer[T]):
    """Reads one item, the first that is requested, and returns it for every index.

    Args:
        sequence: What is read.
        close: Ends what else would load meanwhile; called after the item is there.
    """

    __slots__ = ("_close", "_item", "_lock")

    def __init__(self, sequence: LazySequence[T], close: Callable[[], None]) -> None:
        super().__init__(sequence)
        self._close, self._lock = close, threading.Lock()
        self._item: list[T] = []

    def _get(self, i: int) -> T:
        if not self._item:
            with self._lock:
                if not self._item:
                    item = self._read(i)
                    self._close()
                    self._item.append(item)
        return self._item[0]
