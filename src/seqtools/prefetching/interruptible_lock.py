"""A lock for threads whose code can be interrupted at almost any step.

Python runs signal handlers and finalizers between any two calls. They may raise, as Ctrl-C does,
and they may use the same object. So the lock is released whatever was interrupted, and a thread
can find out that it holds the lock already. Holding the lock is called a *turn*.
"""

import threading
from collections.abc import Callable
from typing import Any

TAKEN: Any = type("Taken", (), {"__repr__": lambda _: "TAKEN"})()
"""Returned if nothing was done, because a thread holds the lock."""


class InterruptibleLock:
    """An object that one thread at a time may read and change."""

    def __init__(self) -> None:
        self._lock: Any = threading.RLock()  # an RLock knows its thread
        self._whole = True

    def _mend(self) -> None:
        """Repair the state after an interrupted turn."""

    def _my_turn(self) -> bool:
        """Return whether this thread holds the lock: then the caller has interrupted a turn."""
        return self._lock._is_owned()  # type: ignore[no-any-return]  # noqa: SLF001 -- as Condition does

    def _take_turn(self, act: Callable[..., Any], *arguments: Any, seconds: float = -1) -> Any:
        """Return the result of `act(*arguments)`, called while this thread holds the lock.

        Returns `TAKEN` if this thread holds the lock already, or does not get it within `seconds`.
        """
        lock = self._lock
        if lock._is_owned():  # noqa: SLF001
            return TAKEN
        try:
            # Not `with`: Python 3.14 may be interrupted between the lock and the block.
            if not lock.acquire(True, seconds):  # noqa: FBT003 -- by name it takes twice as long
                return TAKEN
            if not self._whole:
                self._mend()
            self._whole = False
            result = act(*arguments)
            self._whole = True
            lock.release()
        except BaseException:
            if lock._is_owned():  # noqa: SLF001
                lock.release()
            raise
        return result
