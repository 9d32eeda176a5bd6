"""Waiting for descriptors, and what else pipes need."""

import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class WakeupPipe:
    """A pipe that wakes the thread that waits for it.

    It is closed when nobody refers to it any more: so a thread that rings cannot write to
    something else that has got the same descriptor meanwhile, and no lock is needed, which the
    garbage collector or an interrupted thread might hold.
    """

    __slots__ = ("_fds",)

    def __init__(self) -> None:
        self._fds = os.pipe()
        for fd in self._fds:
            os.set_blocking(fd, False)

    def __del__(self) -> None:
        """Close the pipe."""
        for fd in getattr(self, "_fds", ()):
            os.close(fd)

    @property
    def fds(self) -> tuple[int, int]:
        """The descriptors: the first can be read when it rings."""
        return self._fds

    def ring(self) -> None:
        """Wake the thread that waits, or that waits next."""
        with suppress(BlockingIOError):  # it has rung often enough
            os.write(self._fds[1], b"x")

    def stop(self) -> None:
        """Have it ring no more for what was done by now."""
        with suppress(BlockingIOError):
            os.read(self._fds[0], 1 << 12)


class Poller:
    """Waits until one of many descriptors can be read. One thread uses it; any may wake that."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._alarm: WakeupPipe | None = WakeupPipe()
        self._bell = self._alarm.fds[0]
        try:
            # epoll keeps its list in the kernel: 1 µs for 64 descriptors, against 55 µs
            self._epoll = select.epoll() if hasattr(select, "epoll") else None
            self._poll = select.poll() if self._epoll is None else None
            self.register(self._bell)
        except BaseException:
            self.close()
            raise

    @property
    def fds(self) -> set[int]:
        """Descriptors of the poller itself."""
        own = set() if self._alarm is None else set(self._alarm.fds)
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

        Returns nothing after `seconds`, and at once when it is woken or closed.
        """
        alarm = self._alarm
        if alarm is None:
            return []
        if self._epoll is not None:
            ready = [fd for fd, _ in self._epoll.poll(seconds)]
        else:
            milliseconds = None if seconds is None else seconds * 1000
            ready = [fd for fd, _ in self._poll.poll(milliseconds)]  # type: ignore[union-attr]
        if self._bell in ready:
            alarm.stop()
            ready.remove(self._bell)
        return ready

    def rest(self, seconds: float) -> None:
        """Wait for so long, or until it is woken, whatever can be read meanwhile."""
        select.select([self._bell], [], [], seconds)

    def wake(self) -> None:
        """Have `poll` return, or `rest`; at any time, in any thread."""
        alarm = self._alarm
        if alarm is not None:
            alarm.ring()

    def close(self) -> None:
        """Close the descriptors."""
        if self._epoll is not None:
            self._epoll.close()
        self._alarm = None


class Pipe:
    """The end of a pipe from which results are read."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, n: int) -> bytes:
        """Return `n` bytes, or as many as there are; none where nobody can write any more.

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
