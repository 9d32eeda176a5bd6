"""Starting threads in a way that an interrupt cannot spoil."""

import _thread
from collections.abc import Callable


def aside(act: Callable[[], object]) -> None:
    """Have `act` done by a thread of its own, which nothing is known of and nobody waits for.

    It is meant for starting others. `Thread.start` waits for the thread, and an interrupt
    while it does may leave that thread stuck, or end in another error. This is one step,
    and no signal handler runs in that thread.

    Raises:
        RuntimeError: If there cannot be more threads.
    """
    _thread.start_new_thread(act, ())
