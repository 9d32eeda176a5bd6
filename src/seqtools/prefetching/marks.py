"""For which prefetches items are evaluated here, so that a prefetch does not wait for itself.

Each prefetch has a mark. An item that reads its own prefetch, in whatever process or thread, is
evaluated inline: another worker may be waiting for this one.
"""

import threading
from collections.abc import Callable
from typing import Any

_evaluated: set[bytes] = set()
"""In a worker process, the marks of the prefetches for which it evaluates items."""


class _Here(threading.local):
    marks: frozenset[bytes] = frozenset()
    """The marks of the prefetches for which this thread of a cluster's worker evaluates items."""


_here = _Here()


def now(mark: bytes) -> bool:
    """Return whether this thread is evaluating an item of the prefetch with `mark`."""
    return mark in _evaluated or mark in _here.marks


def all_now(mark: bytes) -> frozenset[bytes]:
    """Return `mark`, and the marks of the prefetches for which this thread evaluates items.

    A worker process may start workers of another prefetch that reads this one.
    """
    return frozenset((mark, *_evaluated, *_here.marks))


class Marked:
    """Evaluates items, and tells a worker process for which prefetches it does that."""

    def __init__(self, get: Callable[[int], Any], marks: frozenset[bytes]) -> None:
        self._get, self._marks = get, marks

    def __call__(self, i: int) -> Any:
        """Return item `i`."""
        _evaluated.update(self._marks)  # in a process that was forked from the consumer
        return self._get(i)

    def __reduce__(self) -> Any:
        return _unmarked, (self._get, self._marks)


def _unmarked(get: Callable[[int], Any], marks: frozenset[bytes]) -> Callable[[int], Any]:
    """Return `get` in a worker process, which calls it directly."""
    _evaluated.update(marks)
    return get


class MarkedThread(Marked):
    """The same for a worker of a cluster, which may do other things in other threads."""

    def __call__(self, i: int) -> Any:
        """Return item `i`."""
        before, _here.marks = _here.marks, self._marks
        try:
            return self._get(i)
        finally:
            _here.marks = before

    def __reduce__(self) -> Any:
        return MarkedThread, (self._get, self._marks)
