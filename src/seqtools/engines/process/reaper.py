"""The guard: the process above workers, which ends the processes that they leave behind.

        consumer ──▶ guard ──▶ template ──▶ workers ──▶ programs that user code has started
                              (or one spawned worker)

A worker can be killed at any point, and so can its template and the consumer. None of them can be
sure to end the programs, and the processes of `multiprocessing`, that a worker has started. The
guard can. It runs no code of users, and on Linux becomes the parent of every process below it whose
own parent has ended, even in another session. It signals only its own children, for which it has
not waited, so it never hits another process that got the same number.

It ends all of them when its only child ends, when the consumer dies, or when it receives `SIGTERM`.
All get `SIGTERM` first, so that a program can remove its files, and the resource tracker of
`multiprocessing` its shared memory. A moment later, they are killed.

A template does the same for the process group of each worker that has died.
"""

import gc
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from typing import NoReturn

from seqtools.engines import fault_injection
from seqtools.engines.process.launcher import watch
from seqtools.engines.process.signal_pipe import SignalPipe
from seqtools.engines.process.standard_streams import connect_to_nothing
from seqtools.engines.process.worker import end_with, exit_now, prctl

_GRACE = 0.5
"""Seconds from `SIGTERM` until a process is killed: `close` has to end within one second."""
_LAST = 1.0
"""Seconds to wait for killed processes, which may be in a system call. Arbitrary."""
_TICK = 0.002
"""Seconds between two checks for new children, which the system does not announce."""
_PR_SET_CHILD_SUBREAPER = 36


def guarded(consumer: int, consumer_fd: int | None = None) -> bool:
    """Turn this process into a guard, and return in a child of it.

    The guard, and with it the child, ends when the consumer does. The child is in a process group
    of its own.

    Args:
        consumer: The process id of the consumer.
        consumer_fd: A descriptor of that process, if it is not the parent of this process.

    Returns:
        Whether there is a guard. If the system lacks what it needs, or has no more processes, there
        is none, and this function returns in the process itself.
    """
    if sys.platform != "linux":
        return False
    process = os.getpid()
    with suppress(OSError):
        _children()
        fd = watch(consumer) if consumer_fd is None else consumer_fd
        if fd is None:
            return False
        if consumer_fd is None and os.getppid() != consumer:
            exit_now(1)
        os.setpgid(0, 0)  # a fork of the consumer is in a group of the user
        guard = Guard(fd)
        try:
            fault_injection.reach("guard-asked")
            child = os.fork()
        except OSError:
            guard.release()
            return False
        if child:
            guard.run(child)
        guard.release()
        os.setpgid(0, 0)
        end_with(process)
        return True
    return False


class Guard:
    """See the module.

    Args:
        consumer_fd: Can be read when the consumer has ended.
    """

    def __init__(self, consumer_fd: int) -> None:
        self._consumer_fd = consumer_fd
        self._must_end = False
        prctl(_PR_SET_CHILD_SUBREAPER, 1)
        signals = (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP)
        self._signals = SignalPipe(dict.fromkeys(signals, self._note))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    def release(self) -> None:
        """Release all resources, in the child."""
        self._signals.close()
        os.close(self._consumer_fd)

    def run(self, child: int) -> NoReturn:
        """Guard `child` and all below it, and end as it does."""
        code = 1
        try:
            gc.disable()  # a fork must not run finalizers of the consumer
            self._close_files()
            self._watch(child)
            self._end_all(child)
            ended, status = os.waitpid(child, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if ended else -signal.SIGKILL
        except BaseException:  # noqa: BLE001 -- nothing may go on in the name of the consumer
            traceback.print_exc()
        _end_as(code)

    def _note(self, signum: int, _: object) -> None:
        self._must_end = self._must_end or signum != signal.SIGCHLD

    def _close_files(self) -> None:
        """Close what this process does not need: others wait for the end of these pipes."""
        connect_to_nothing(0, 1)
        first = 3
        for fd in sorted([*self._signals.fds, self._consumer_fd]):
            os.closerange(first, fd)
            first = fd + 1
        os.closerange(first, max(first, os.sysconf("SC_OPEN_MAX")))

    def _watch(self, child: int) -> None:
        """Wait until the child or the consumer ends, or for a signal to end."""
        poller = select.poll()
        for fd in (self._signals.fds[0], self._consumer_fd):
            poller.register(fd, select.POLLIN)
        while not (self._must_end or _has_ended(child)):
            if self._consumer_fd in {fd for fd, _ in poller.poll()}:
                return
            self._signals.clear()
            _adopted(child)

    def _end_all(self, child: int) -> None:
        """End the child, and the processes that it has left behind."""
        if not _has_ended(child):
            os.kill(child, signal.SIGKILL)
        terminated: set[int] = set()
        began = time.monotonic()
        while (since := time.monotonic() - began) < _GRACE + _LAST:
            # In this order, and before waiting for any of them: a process that ends after the
            # list was made leaves its own children to this process.
            if _has_ended(child) and not {*_children()} - {child}:
                return
            orphans = _adopted(child)
            terminated.intersection_update(orphans)
            for pid in orphans:
                if since > _GRACE or pid not in terminated:
                    with suppress(PermissionError):  # a program of another user
                        os.kill(pid, signal.SIGTERM if since <= _GRACE else signal.SIGKILL)
                    terminated.add(pid)
            time.sleep(_TICK)


def _has_ended(child: int) -> bool:
    """Return whether a child has ended, without freeing its number."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _adopted(child: int) -> list[int]:
    """Return the adopted children that have not ended, and wait for the others."""
    return [p for p in _children() if p != child and os.waitpid(p, os.WNOHANG)[0] == 0]


def _children() -> Iterable[int]:
    with open(f"/proc/self/task/{os.getpid()}/children", "rb", buffering=0) as file:
        return [int(pid) for pid in file.read().split()]


def _end_as(code: int) -> NoReturn:
    """End this process with an exit code, which is negative for a signal."""
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the process that crashed has written one
        signal.set_wakeup_fd(-1)
        with suppress(OSError, ValueError):  # SIGKILL cannot be set
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 1)
