"""The slot of one worker, and the functions of the user that workers call."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from seqtools.engines.base import Deliver
from seqtools.engines.thread.stealing import StealableTask

IN_END_HOOK, CLOSING = "in end_hook", "closing what it opened with @per_worker"


class UserWork:
    """The functions of the user, and how to call them."""

    def __init__(  # noqa: PLR0913, PLR0917 -- a record; `dataclasses` takes 7 ms to import
        self,
        get: Callable[[int], Any],
        hook: Callable[..., object] | None,
        hints: Any,
        timeout: float | None,
        probe: Callable[[Callable[[int], Any], int], Any] | None,
        deliver: Deliver,
        end_hook: Callable[..., object] | None = None,
    ) -> None:
        self.get, self.hook, self.hints, self.end_hook = get, hook, hints, end_hook
        self.timeout, self.probe, self.deliver = timeout, probe, deliver


class WorkerSlot:
    """The slot of a worker, which one thread occupies."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.free = [None]  # emptied by the thread that takes the slot, if several were started
        self.threads: list[threading.Thread] = []  # the threads that were started for it
        self.ending = ""  # what its thread does at its end, in words
        self.task: StealableTask | None = None
        # With a timeout: the current item, and when it began. The thread that removes it answers.
        self.timed: list[tuple[int, float]] = []
        self.bell: SimpleQueue[None] = SimpleQueue()  # wakes a surplus thread

    def answers(self) -> bool:
        """Return whether the thread should answer; if not, its item timed out and was answered."""
        try:
            self.timed.pop()
        except IndexError:
            return False
        return True
