"""Waiting for signals together with descriptors."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress


class SignalPipe:
    """A pipe that can be read after each of some signals. For the main thread.

    Args:
        handlers: The functions that Python calls for these signals, by their numbers.
    """

    def __init__(self, handlers: dict[int, Callable[..., object]]) -> None:
        self.fds = os.pipe()
        """The end that can be read after a signal, and the end that the system writes to."""
        for fd in self.fds:
            os.set_blocking(fd, False)
        self._before = {signum: signal.signal(signum, f) for signum, f in handlers.items()}
        signal.set_wakeup_fd(self.fds[1], warn_on_full_buffer=False)

    def clear(self) -> None:
        """Empty the pipe."""
        with suppress(BlockingIOError):
            os.read(self.fds[0], 4096)

    def close(self) -> None:
        """Close the pipe, and restore what the signals did before."""
        signal.set_wakeup_fd(-1)
        for signum, before in self._before.items():
            signal.signal(signum, signal.SIG_DFL if before is None else before)
        for fd in self.fds:
            os.close(fd)


def on_child_end() -> SignalPipe:
    """Return a pipe that can be read when a child process has ended."""
    return SignalPipe({signal.SIGCHLD: lambda *_: None})
