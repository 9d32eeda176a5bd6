"""The process above workers, which ends what they leave behind.

        consumer ──▶ guard ──▶ template ──▶ workers ──▶ programs that user code has started
                              (or one spawned worker)

A worker can be killed at any point, and so can its template and the consumer: none of them is
sure to end the programs, and the processes of `multiprocessing`, that a worker has started. The
guard does. It runs no code of users, and on Linux becomes the parent of every process below it
whose own parent has ended, also of those in a session of their own. It only ever signals its
own children, which it has not waited for, so no process of the same number that is not ours.

What a worker leaves behind in its process group ends with the worker. The rest ends
with the guard: when its only child does, when the consumer dies, or when it is asked to end by
`SIGTERM`. All are asked to end first, so that a program can remove its files, and
the tracker of `multiprocessing` its shared memory; they are killed a moment later.
"""

import gc
import os
import select
import signal
import struct
import sys
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple, NoReturn

from seqtools.engines import fault_injection
from seqtools.engines.process.launcher import watch
from seqtools.engines.process.signal_pipe import SignalPipe
from seqtools.engines.process.standard_streams import connect_to_nothing
from seqtools.engines.process.worker import end_with, prctl

_GRACE = 0.5
"""Seconds from the request to end until a process is killed: `close` has to end within one."""
_LAST = 1.0
"""Seconds to wait for what was killed, which the system may hold in a call. Arbitrary."""
_TICK = 0.002
"""Seconds between looks for processes that became ours, which nothing tells."""
_PR_SET_CHILD_SUBREAPER = 36
_NUMBER = 4
"""Bytes of the number of a process."""
_STATUS = struct.Struct("i")


class Above(NamedTuple):
    """What is above a guard whose parent is not the consumer, but a fork server."""

    consumer: int
    """A descriptor that can be read when the consumer has ended."""
    report: int
    """Where to write how the child has ended: see `read_status`."""


def guarded(consumer: int, above: Above | None = None) -> int | None:
    """Return in a child of a new guard, which is what this process becomes.

    The guard, and with it the child, ends when `consumer` does, or what is `above`. The child is
    in a process group of its own.

    Returns:
        The descriptor for `tell_ended`; `None` in this process itself, where the system has no
        `fork` or no more processes, and so there is no guard.
    """
    if not hasattr(os, "fork"):
        return None
    process = os.getpid()
    with suppress(OSError):
        os.setpgid(0, 0)  # as a fork of the consumer, it is in a group of the user's
        guard = Reaper(consumer, above)
        try:
            fault_injection.reach("guard-asked")
            child = os.fork()
        except OSError:
            guard.leave()
            os.close(guard.tell)
            return None
        if child:
            guard.run(child)
        guard.leave()
        os.setpgid(0, 0)
        end_with(process)
        return guard.tell
    return None


def tell_ended(tell: int | None, worker: int) -> None:
    """Have the guard end what the process `worker` has left behind, which has ended."""
    if tell is not None:
        with suppress(OSError):  # it is gone, and so are we soon; or it was stopped
            os.write(tell, worker.to_bytes(_NUMBER, "little"))


class Reaper:
    """See the module."""

    def __init__(self, consumer: int, above: Above | None = None) -> None:
        self._consumer = consumer
        self._above = above
        self._told, self.tell = os.pipe()
        for fd in (self._told, self.tell):
            os.set_blocking(fd, False)
        self._consumer_fd = watch(consumer) if above is None else above.consumer
        self._report = None if above is None else above.report
        self._adopts = _adopts()
        self._asked = False
        self._ending: dict[int, float] = {}  # until when, by process group of an ended worker
        signals = (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP)
        self._signals = SignalPipe(dict.fromkeys(signals, self._note))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    def leave(self) -> None:
        """Undo what this did, except for `tell`, in the child."""
        self._signals.close()
        for fd in (self._told, self._consumer_fd, self._report):
            if fd is not None:
                os.close(fd)

    def run(self, child: int) -> NoReturn:
        """Guard `child` and all below it, and end as it does."""
        code = 1
        try:
            gc.disable()  # finalizers of a consumer that was forked are not for us
            self._let_go()
            self._watch(child)
            self._end_all(child)
            ended, status = os.waitpid(child, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if ended else -signal.SIGKILL
        except BaseException:  # noqa: BLE001 -- nothing may go on in the name of the consumer
            traceback.print_exc()
        if self._report is not None:
            with suppress(OSError):  # nobody wants to know
                os.write(self._report, _STATUS.pack(code))
        _end_as(code)

    def _note(self, signum: int, _: object) -> None:
        self._asked = self._asked or signum != signal.SIGCHLD

    def _let_go(self) -> None:
        """Close all that is not needed: others wait for the end of pipes that this has open."""
        connect_to_nothing(0, 1)
        given = (self._consumer_fd, self._report)
        first = 3
        for fd in sorted([self._told, *self._signals.fds, *[fd for fd in given if fd is not None]]):
            os.closerange(first, fd)
            first = fd + 1
        os.closerange(first, max(first, os.sysconf("SC_OPEN_MAX")))
        self._poller = select.poll()
        for source in (self._told, self._signals.fds[0], self._consumer_fd):
            if source is not None:
                self._poller.register(source, select.POLLIN)

    def _watch(self, child: int) -> None:
        """Wait for the end of the child or the consumer, or to be asked to end."""
        while not (self._asked or _has_ended(child)):
            waits = [] if self._consumer_fd is not None else [1000.0]
            waits += [1000 * (until - time.monotonic()) for until in self._ending.values()]
            events = {fd for fd, _ in self._poller.poll(max(0, min(waits)) if waits else None)}
            if self._consumer_fd in events or self._is_orphan():
                return
            self._signals.clear()
            self._orphans(child)
            self._end_groups(child)
            if self._told in events and not self._listen(child):
                self._poller.unregister(self._told)  # it is about to end

    def _is_orphan(self) -> bool:
        """Return whether the consumer has ended, where it is the parent of this process."""
        return self._above is None and os.getppid() != self._consumer

    def _listen(self, child: int) -> bool:
        """Ask what ended workers have left behind to end; return whether more may be told."""
        data = os.read(self._told, 1 << 12)
        for k in range(0, len(data), _NUMBER):
            worker = int.from_bytes(data[k : k + _NUMBER], "little")
            if self._signal_group(child, worker, signal.SIGTERM):
                self._ending[worker] = time.monotonic() + _GRACE
        return bool(data)

    def _end_groups(self, child: int) -> None:
        """Kill what ended workers have left behind, and had the time to end."""
        now = time.monotonic()
        for group, until in list(self._ending.items()):
            if now > until:
                self._ending[group] = now + _GRACE
                if not self._signal_group(child, group, signal.SIGKILL):
                    del self._ending[group]

    def _signal_group(self, child: int, group: int, signum: int) -> bool:
        """Send a signal to the process group of a worker, if some of it is left."""
        for pid in self._orphans(child):
            with suppress(ProcessLookupError):
                if os.getpgid(pid) == group:  # which is its number as long as we do not wait for it
                    with suppress(PermissionError):
                        os.killpg(group, signum)
                    return True
        return False

    def _orphans(self, child: int) -> list[int]:
        """Return the processes that became ours, without those that have ended."""
        if not self._adopts:
            return []
        return [p for p in _children() if p != child and os.waitpid(p, os.WNOHANG)[0] == 0]

    def _end_all(self, child: int) -> None:
        """End the child and all that it has left behind."""
        if not _has_ended(child):
            os.kill(child, signal.SIGKILL)
        if not self._adopts:
            with suppress(PermissionError):
                os.killpg(child, signal.SIGTERM)  # it was not waited for: the number is its own
        asked: set[int] = set()
        began = time.monotonic()
        while (since := time.monotonic() - began) < _GRACE + _LAST:
            # In this order, and before any of them is waited for: a process that ends after
            # the list was made leaves its own children to this one.
            if _has_ended(child) and not (self._adopts and {*_children()} - {child}):
                return
            orphans = self._orphans(child)
            asked.intersection_update(orphans)
            for pid in orphans:
                if since > _GRACE or pid not in asked:
                    with suppress(PermissionError):  # a program of another user
                        os.kill(pid, signal.SIGTERM if since <= _GRACE else signal.SIGKILL)
                    asked.add(pid)
            time.sleep(_TICK)


def read_status(report: int) -> int | None:
    """Return the exit code that a guard has reported, `None` if it could not."""
    data = os.read(report, _STATUS.size)
    return _STATUS.unpack(data)[0] if len(data) == _STATUS.size else None


def _has_ended(child: int) -> bool:
    """Return whether a child has ended, without waiting for it: its number stays its own."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _adopts() -> bool:
    """Have orphans below this process become its children; return whether they do."""
    if sys.platform != "linux":
        return False
    try:
        _children()
    except OSError:  # the system cannot tell which there are
        return False
    return prctl(_PR_SET_CHILD_SUBREAPER, 1) == 0


def _children() -> Iterable[int]:
    with open(f"/proc/self/task/{os.getpid()}/children", "rb", buffering=0) as file:
        return [int(pid) for pid in file.read().split()]


def _end_as(code: int) -> NoReturn:
    """End this process as one that has ended with `code`, which is negative for a signal."""
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # there is one already, of who crashed
        signal.set_wakeup_fd(-1)
        with suppress(OSError, ValueError):  # as for SIGKILL
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 1)
