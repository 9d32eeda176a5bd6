"""Waking a thread that waits, by any thread, in one step to an interrupt."""

import threading
from contextlib import suppress


class Wakeup:
    """What a reader waits for.

    It is not a `SimpleQueue`: in `get(timeout=…)`, a signal handler that takes longer than the
    timeout has the main thread wait for ever, because Python takes the rest of the time, which
    is negative then, for no limit.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()  # it is free when the bell has rung

    def ring(self) -> None:
        """Have the thread that waits go on, or the next one that is going to wait."""
        with suppress(RuntimeError):  # it rings already
            self._lock.release()

    def wait(self, seconds: float) -> bool:
        """Wait for it to ring; return False if it did not in so many seconds."""
        return self._lock.acquire(timeout=seconds)

    def silence(self) -> bool:
        """Have it ring no more; return whether it did."""
        return self._lock.acquire(blocking=False)
