"""Pipes, and waiting for descriptors."""

import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class WakeupPipe:
    """A pipe that wakes the thread that waits for it.

    It is closed when there is no reference to it any more. So a thread that rings cannot write to
    another file that has the same descriptor meanwhile. That needs no lock, which a finalizer or an
    interrupted thread might hold.
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
        """The descriptors; the first one can be read after a ring."""
        return self._fds

    def ring(self) -> None:
        """Wake the thread that waits now or next."""
        with suppress(BlockingIOError):  # the pipe is full
            os.write(self._fds[1], b"x")

    def stop(self) -> None:
        """Forget all rings until now."""
        with suppress(BlockingIOError):
            os.read(self._fds[0], 1 << 12)


class Poller:
    """Waits until one of many descriptors can be read.

    One thread uses it, which any other thread may wake.
    """

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._alarm: WakeupPipe | None = WakeupPipe()
        self._bell = self._alarm.fds[0]
        try:
            # For 64 descriptors, epoll takes 1 µs and poll 55 µs.
            self._epoll = select.epoll() if hasattr(select, "epoll") else None
            self._poll = select.poll() if self._epoll is None else None
            self.register(self._bell)
        except BaseException:
            self.close()
            raise

    @property
    def fds(self) -> set[int]:
        """The descriptors of the poller itself."""
        own = set() if self._alarm is None else set(self._alarm.fds)
        return own if self._epoll is None else own | {self._epoll.fileno()}

    def register(self, fd: int) -> None:
        """Begin to wait for `fd`."""
        if self._epoll is not None:
            self._epoll.register(fd, select.EPOLLIN)
        elif self._poll is not None:
            self._poll.register(fd, select.POLLIN)

    def unregister(self, fd: int) -> None:
        """Stop waiting for `fd`."""
        with suppress(KeyError, FileNotFoundError):
            (self._epoll or self._poll).unregister(fd)  # type: ignore[union-attr]

    def poll(self, seconds: float | None = None) -> list[int]:
        """Wait for a descriptor that can be read or has ended, and return all such.

        Returns none after `seconds`, or when the poller is woken or closed.
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
        """Wait for `seconds`, or until the poller is woken; other descriptors do not matter."""
        select.select([self._bell], [], [], seconds)

    def wake(self) -> None:
        """End a call of `poll` or `rest`; may be called at any time, in any thread."""
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
        """Return up to `n` bytes; none if no process can write any more.

        Raises:
            BlockingIOError: If there is nothing to read yet.
        """
        return os.read(self._fd, n)

    def readinto(self, view: memoryview) -> int:
        """Read into `view`, and return the number of bytes; as `read`."""
        return os.readv(self._fd, [view])


def both_ways() -> tuple[int, int, int, int]:
    """Return the descriptors of a pipe to a worker and of a pipe back.

    First come the consumer's ends of both, then the ends of the worker.
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
    """Call `act`; a broken pipe raises an error even if the user has it end the program."""
    if signal.getsignal(signal.SIGPIPE) is not signal.SIG_DFL:  # Python ignores it
        act(*arguments)
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
    try:
        act(*arguments)
    except BrokenPipeError:
        if signal.SIGPIPE not in before:
            signal.sigtimedwait({signal.SIGPIPE}, 0)  # removes the pending signal
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def enlarge(fd: int) -> None:
    """Make the pipe `fd` as large as the system usually allows, if it can."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 1 << 20)
