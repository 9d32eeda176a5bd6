"""Waiting for descriptors, and what else pipes need."""

import os
import select
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Poller:
    """Waits until one of many descriptors can be read; any thread may close it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = 0
        self._closed = False
        self._epoll: select.epoll | None = None
        self._wake, self._wakeup = os.pipe()
        try:
            # epoll keeps its list in the kernel: 1 µs for 64 descriptors, against 55 µs
            self._epoll = select.epoll() if hasattr(select, "epoll") else None
            self._poll = select.poll() if self._epoll is None else None
            self.register(self._wake)
        except BaseException:
            self.close()
            raise

    @property
    def fds(self) -> set[int]:
        """Descriptors of the poller itself."""
        own = {self._wake, self._wakeup}
        return own if self._epoll is None else own | {self._epoll.fileno()}

    def register(self, fd: int) -> None:
        """Wait for `fd` too."""
        if self._epoll is not None:
            self._epoll.register(fd, select.EPOLLIN)
        elif self._poll is not None:
            self._poll.register(fd, select.POLLIN)

    def unregister(self, fd: int) -> None:
        """Wait for `fd` no more."""
        with suppress(KeyError, FileNotFoundError):
            (self._epoll or self._poll).unregister(fd)  # type: ignore[union-attr]

    def poll(self, seconds: float | None = None) -> list[int]:
        """Return the descriptors that can be read or have ended, waiting for one.

        Returns nothing after `seconds`, and at once when the poller is closed.
        """
        waits = False
        try:
            with self._lock:
                if self._closed:
                    return []
                # an interrupt comes before or behind both
                self._waiting += 1
                waits = True
            if self._epoll is not None:
                return [fd for fd, _ in self._epoll.poll(seconds)]
            milliseconds = None if seconds is None else seconds * 1000
            return [fd for fd, _ in self._poll.poll(milliseconds)]  # type: ignore[union-attr]
        finally:
            if waits:
                with self._lock:
                    self._waiting -= 1
                    self._let_go_if_last()

    def close(self) -> None:
        """Have every call of `poll` return, the last of which closes the descriptors."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            os.write(self._wakeup, b"x")
            self._let_go_if_last()

    def _let_go_if_last(self) -> None:
        if self._waiting or not self._closed:
            return
        if self._epoll is not None:
            self._epoll.close()
        os.close(self._wake)
        os.close(self._wakeup)


class Pipe:
    """The end of a pipe from which results are read."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, n: int) -> bytes:
        """Return up to `n` bytes, none where nobody can write any more.

        Raises:
            BlockingIOError: If there is nothing to be read yet.
        """
        return os.read(self._fd, n)

    def readinto(self, view: memoryview) -> int:
        """Read into `view`, and return how much; as `read`."""
        return os.readv(self._fd, [view])


def both_ways() -> tuple[int, int, int, int]:
    """Return the descriptors of a pipe to a worker and one back.

    They are our end of the first and of the second, and those of the worker.
    """
    theirs, tasks = os.pipe()
    try:
        results, theirs_too = os.pipe()
    except BaseException:
        os.close(theirs)
        os.close(tasks)
        raise
    return tasks, results, theirs, theirs_too


def raising(act: Callable[..., Any], *arguments: Any) -> None:
    """Call `act`, for which a broken pipe is an error even where it ends the program otherwise."""
    if signal.getsignal(signal.SIGPIPE) is not signal.SIG_DFL:  # Python ignores it
        act(*arguments)
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
    try:
        act(*arguments)
    except BrokenPipeError:
        if signal.SIGPIPE not in before:
            signal.sigtimedwait({signal.SIGPIPE}, 0)  # it is for this thread, and waits
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def enlarge(fd: int) -> None:
    """Make the pipe `fd` as large as is usually allowed, where that can be done."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 1 << 20)
