"""What engines deliver, on its way to readers: it is counted, and somebody may look at that."""

from queue import SimpleQueue
from time import perf_counter
from typing import Any

from seqtools._core.errors import WorkerStartError
from seqtools.engines.base import Deliver, Part

LOOK: Any = type("Look", (), {"__repr__": lambda _: "LOOK"})()
"""Says that it is time to look at what was counted."""


class Deliveries:
    """Passes on what a thread engine and a process engine deliver.

    It refers to nothing that belongs to the user, because threads refer to it.

    Args:
        deliver: Takes it.
    """

    def __init__(self, deliver: Deliver) -> None:
        self.deliver = deliver
        self.notes: SimpleQueue[Any] = SimpleQueue()
        """Where it is said that it is time to look, and what went wrong."""
        self.due = 0.0
        """When to look, by the clock `perf_counter`."""
        self.last = 0.0
        """When something was delivered."""
        self.starting = False
        """Whether processes start that nobody has to wait for: an error of theirs is a note."""
        # An engine delivers one part at a time. Where there are two, nobody asks for these.
        self.items = 0
        """How many items were delivered."""
        self.spent = 0.0
        """Seconds that workers were at them."""
        self._asked = False

    def ask(self, now: float) -> None:
        """Have somebody look if it is time, unless this was said already."""
        if now >= self.due and not self._asked:
            self._asked = True
            self.notes.put(LOOK)

    def looked(self) -> None:
        """Note that somebody looks."""
        self._asked = False

    def from_threads(self, part: Part | WorkerStartError | None) -> None:
        """Take what the thread engine delivers."""
        if type(part) is Part:
            self.items += len(part.outcomes)
            self.spent += part.seconds
        self.deliver(part)
        self.last = perf_counter()
        self.ask(self.last)

    def from_processes(self, part: Part | WorkerStartError | None) -> None:
        """Take what the process engine delivers."""
        if self.starting and part is not None and type(part) is not Part:
            self.notes.put(part)
        else:
            self.from_threads(part)
