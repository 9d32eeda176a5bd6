"""Waking a waiting thread from any thread, in a step that no interrupt can divide."""

import threading
from contextlib import suppress


class Wakeup:
    """An event that a reader waits for.

    It is not a `SimpleQueue`: if a signal handler takes longer than the timeout of `get`, the main
    thread would wait forever, because Python takes the remaining time, which is negative then, for
    no limit.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()  # it is free while the event is set

    def set(self) -> None:
        """Wake the thread that waits, or the next one that waits."""
        with suppress(RuntimeError):  # it is set already
            self._lock.release()

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, and clear it; return False if it was not set within `seconds`."""
        return self._lock.acquire(timeout=seconds)

    def clear(self) -> bool:
        """Clear it; return whether it was set."""
        return self._lock.acquire(blocking=False)
