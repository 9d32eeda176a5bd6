"""A template that was forked from the fork server."""

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from seqtools.engines.process.launcher import Child

_PATIENCE = 0.2
"""Seconds to wait until the server has noticed the end of a guard."""


class ForkedTemplate(Child):
    """A guard, with a template below it, whose parent is the fork server.

    Its exit code is not known, because the system reports that only to the parent.

    Args:
        pid: The guard.
        process: A descriptor of that process.
        on_end: Called when it has ended.
    """

    def __init__(self, pid: int, process: int, on_end: Callable[[], object]) -> None:
        super().__init__(pid)
        self._process, self._on_end = process, on_end

    def watch(self) -> int | None:
        """Return a descriptor as `launcher.watch` does."""
        return None if self.pid is None else os.dup(self._process)

    def _signal(self, signum: int) -> None:
        signal.pidfd_send_signal(self._process, signum)

    def has_ended(self) -> bool:
        """Return whether the guard has ended."""
        if not readable(self._process, 0):
            return False
        deadline = time.monotonic() + _PATIENCE
        with suppress(ProcessLookupError):  # the server has waited for it
            while time.monotonic() < deadline:
                self._signal(0)
                time.sleep(0.0005)
        os.close(self._process)
        self._on_end()
        return True


def readable(fd: int, seconds: float) -> bool:
    """Wait for something to read, or for the end of the pipe; return whether that came in time."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(1000 * seconds))
