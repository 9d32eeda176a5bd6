"""Taking turns among threads, where code of others can come in at almost any step.

Python runs signal handlers and finalizers between any two calls of ours. They may raise,
as Ctrl-C does, and they may come back in here. So a lock is given back whatever was
interrupted, and a thread that asks for it can find out that it has it already.
"""

import threading
from collections.abc import Callable
from typing import Any

TAKEN: Any = type("Taken", (), {"__repr__": lambda _: "TAKEN"})()
"""Says that something was not done, because it is somebody's turn."""


class InterruptibleLock:
    """Something that one thread at a time may look at and change."""

    def __init__(self) -> None:
        self._lock: Any = threading.RLock()  # which knows its thread
        self._whole = True

    def _mend(self) -> None:
        """Set right what was left undone by a turn that was interrupted."""

    def _my_turn(self) -> bool:
        """Return whether this thread has the turn: then this is code that came in between."""
        return self._lock._is_owned()  # type: ignore[no-any-return]  # noqa: SLF001 -- as Condition does

    def _take_turn(self, act: Callable[..., Any], *arguments: Any, seconds: float = -1) -> Any:
        """Return what `act` does with `arguments`, in a turn of this thread.

        It is `TAKEN` if this thread has the turn already, or does not get it within `seconds`.
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
