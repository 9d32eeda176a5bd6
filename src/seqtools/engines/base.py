"""What an engine is: a place where items are evaluated.

An engine knows no order. It guarantees that every index that was submitted comes back
from `receive` exactly once, with a value or an error, even if a worker dies, unless
`cancel` returned it; and that after `close` no worker, thread or file descriptor of it
is left, but for a thread inside user code, which cannot be stopped: that one is
abandoned and named in a warning. With a timeout, an item that takes longer comes back as
a `Failure` with an `ItemTimeout`, which names it, and is not evaluated again; its worker is
replaced, and all others come back as ever. It does not guarantee that an item is evaluated at
most once.

All methods may be called by several threads, `receive` by one at a time.
"""

import threading
from collections.abc import Collection, Sequence
from typing import Any, Protocol

END: Any = type("End", (), {"__repr__": lambda _: "END"})()
"""The outcome of an index behind the end of a source without known length."""


PAUSE = 0.5
"""Longest wait at a stretch, in seconds. A Ctrl-C that comes just before a call that waits
is seen by Python only after the call."""


AHEAD = 16
"""Items to tell of beforehand, where stages act on hints. Arbitrary: as many as was measured."""

here = threading.local()
"""In a thread that is a worker: `here.get` is the function by which it evaluates items."""


class Engine(Protocol):
    """See the module."""

    def submit(self, indices: Sequence[int], *, first: bool = False) -> None:
        """Take `indices` on, before all others that wait if `first`."""

    def cancel(self, indices: Collection[int]) -> Collection[int]:
        """Return those of `indices` that are not going to come back, as nobody began them."""

    def receive(self, *, wait: bool = True) -> list[tuple[int, Any]]:
        """Return at least one (index, outcome), waiting for it; nothing after `close`.

        Without `wait`, return what is there, perhaps nothing. An outcome is a value, a
        `Failure`, or `END`. Nothing may be returned with `wait` too, when a worker has printed
        something, so that who waits can show it.

        Raises:
            WorkerStartError: If nothing can be evaluated; the engine must be closed.
        """

    def close(self, *, wait: bool = True) -> None:
        """Stop all work; with `wait`, see to it that workers have gone."""

    def busy(self) -> int:
        """Return how many workers are evaluating something, as far as is known by now.

        It waits for nobody, and may be called at any time, by any thread. A worker that is
        still starting is not busy; one whose last answer was not received yet counts.
        """

    @property
    def nworkers(self) -> int:
        """The number of workers, those included that are still to be started."""
