"""A template that was forked from the fork server, which is its parent."""

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from seqtools.engines.process.launcher import Child
from seqtools.engines.process.reaper import read_status

_STATUS_PATIENCE = 0.2
"""Seconds to wait for what a guard has reported that has ended, and for the server to notice."""


class ForkedTemplate(Child):
    """A template with its guard, forked from a fork server, which is its parent.

    Args:
        pid: The guard.
        process: A descriptor of that process.
        report: Where it reports how it has ended.
        ended: Called when it has ended.
    """

    def __init__(self, pid: int, process: int, report: int, ended: Callable[[], object]) -> None:
        super().__init__(pid)
        self._process, self._report, self._told = process, report, ended

    def watch(self) -> int | None:
        """Return a descriptor as `launcher.watch` does."""
        return None if self.pid is None else os.dup(self._process)

    def _signal(self, signum: int) -> None:
        signal.pidfd_send_signal(self._process, signum)

    def has_ended(self) -> bool:
        """Return whether the guard has ended, and take note of what it has reported."""
        if not readable(self._process, 0):
            return False
        code = read_status(self._report) if readable(self._report, _STATUS_PATIENCE) else None
        # only what is killed reports nothing
        self._status = signal.SIGKILL if code is None else -code if code < 0 else code << 8
        deadline = time.monotonic() + _STATUS_PATIENCE
        with suppress(ProcessLookupError):  # there is no zombie left
            while time.monotonic() < deadline:
                self._signal(0)
                time.sleep(0.0005)
        for fd in (self._process, self._report):
            os.close(fd)
        self._told()
        return True


def readable(fd: int, seconds: float) -> bool:
    """Return whether there is something to read, or nothing will be, within so many seconds."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(1000 * seconds))
