"""Counts what engines deliver on its way to readers, and wakes the supervisor to look at it."""

from queue import SimpleQueue
from time import perf_counter
from typing import Any

from seqtools._core.errors import WorkerStartError
from seqtools.engines.base import Deliver, Part

LOOK: Any = type("Look", (), {"__repr__": lambda _: "LOOK"})()
"""Tells the supervisor to look at what was counted."""
_REPEAT = 1.0
"""Seconds after which the supervisor is woken again, if an interrupt prevented that. Arbitrary."""


class Deliveries:
    """Passes on what a thread engine and a process engine deliver.

    It has no reference to objects of the user, because threads refer to it.

    Args:
        deliver: Takes it.
    """

    def __init__(self, deliver: Deliver) -> None:
        self.deliver = deliver
        self.notes: SimpleQueue[Any] = SimpleQueue()
        """What the supervisor reads: `LOOK`, errors, and `None` at the end."""
        self.due = 0.0
        """When the supervisor should look, by the clock `perf_counter`; it sets the next time."""
        self.last = 0.0
        """When something was delivered."""
        self.starting = False
        """Whether processes start that no reader needs yet: their errors are for the supervisor."""
        # Each engine delivers one part at a time. While there are two, nobody reads these numbers.
        self.items = 0
        """The number of delivered items."""
        self.spent = 0.0
        """Seconds that workers needed for them."""

    def wake_if_due(self, now: float) -> None:
        """Wake the supervisor if it is time to look."""
        if now >= self.due:
            self.due = now + _REPEAT
            self.notes.put(LOOK)

    def from_threads(self, part: Part | WorkerStartError | None) -> None:
        """Take what the thread engine delivers."""
        if type(part) is Part:
            self.items += len(part.outcomes)
            self.spent += part.seconds
        self.deliver(part)
        self.last = perf_counter()
        self.wake_if_due(self.last)

    def from_processes(self, part: Part | WorkerStartError | None) -> None:
        """Take what the process engine delivers."""
        if self.starting and part is not None and type(part) is not Part:
            self.notes.put(part)
        else:
            self.from_threads(part)
