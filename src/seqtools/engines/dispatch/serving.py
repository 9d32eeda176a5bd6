"""The threads of engines: which they are, and how to wait for the end of one."""

import sys
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from seqtools.engines.base import PAUSE

_PATIENCE = 2.0
"""Seconds to wait for an end if the garbage collector may be the caller. Arbitrary."""


class _Serving(threading.local):
    serves = False


serving = _Serving()
"""In a thread of an engine, `serves` is true. The garbage collector may run in such a thread and
close an engine there; then `close` must not wait for the engine, which may wait for this thread."""


def await_end(
    thread: threading.Thread, has_ended: Callable[[], bool], told: SimpleQueue[None], *, wait: bool
) -> None:
    """Wait until a thread of an engine has ended its work.

    At the end of the program, and in a forked child, other threads do not run; the system ends the
    workers then.

    Args:
        thread: The thread.
        has_ended: Whether it has ended its work.
        told: It puts `None` into this queue at the end.
        wait: Whether to wait for as long as it takes. Otherwise the caller may be the garbage
            collector, in a thread that holds a lock for which the other waits.
    """
    deadline = time.monotonic() + _PATIENCE
    while (
        not has_ended()
        and not serving.serves
        and thread.is_alive()
        and not sys.is_finalizing()
        and (wait or time.monotonic() < deadline)
    ):
        try:
            # not join(): in a thread that is ending, it would create a dummy thread object
            told.get(timeout=PAUSE)
        except Empty:
            continue
        told.put(None)  # for other threads that wait
