"""The fork server of this process, from outside: one for all prefetches.

It is started in the background when the first prefetch with processes is made, imports what the
pipeline is going to need, and forks the templates of all prefetches: see `fork_server_main`.

It only makes a start faster. Whatever goes wrong with it, a template is started without it, by
a fresh interpreter: so nothing here waits for long, and nothing is lost.
"""

import errno
import functools
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from seqtools._core.errors import WorkerStartError
from seqtools.engines.process import fork_server_main as server_main
from seqtools.engines.process import nesting
from seqtools.engines.process.launcher import Child, Launcher, interpreter
from seqtools.engines.process.nesting import Nesting
from seqtools.engines.process.preloading import Installed, Packages
from seqtools.engines.process.reaper import read_status
from seqtools.engines.process.standard_streams import occupy_standard_streams
from seqtools.engines.process.surroundings import surroundings
from seqtools.engines.resource_errors import start_thread

_PATIENCE = 10.0
"""Seconds to wait for a server that is starting, or imports what is needed. torch takes 2."""
_AT_REST = 2.0
"""Seconds to wait for a server that has nothing else to do. It takes some milliseconds."""
_STATUS_PATIENCE = 0.2
"""Seconds to wait for what a guard has reported that has ended, and for the server to notice."""
_BEGINNING = 1 << 16
"""Bytes of a pipeline in which to look for what it needs."""
_LONGEST = 60.0
"""Seconds for which to look after a server that imports, and to replace it. Arbitrary."""
_MOMENT = 0.02
"""Seconds after which to look again whether a server has imported all. Arbitrary."""
_CHUNK = 500
"""Modules in a message: 100 bytes each are much less than a message may have."""


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
        return None if self._pid is None else os.dup(self._process)

    def _signal(self, signum: int) -> None:
        signal.pidfd_send_signal(self._process, signum)

    def has_ended(self) -> bool:
        """Return whether the guard has ended, and take note of what it has reported."""
        if not _readable(self._process, 0):
            return False
        code = read_status(self._report) if _readable(self._report, _STATUS_PATIENCE) else None
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


class _GoneError(Exception):
    """The server does not serve any more.

    Args:
        again: Whether another one would serve at once what this one did not.
    """

    def __init__(self, *, again: bool) -> None:
        super().__init__()
        self.again = again


class _Server:
    """A fork server. One thread at a time calls its methods, except `_ended`.

    Args:
        left_out: Packages that it must not import. Those are added that are found here.
    """

    def __init__(self, left_out: set[str]) -> None:
        self.surroundings = surroundings()
        """What it was started in."""
        self._left_out = left_out
        self._sent: set[str] = set()  # modules that it was told to import
        self._told = self._done = 0  # messages with modules to import, and those dealt with
        self._number = 0  # of the last request
        self._heard = False  # it has started
        self._importing: str | None = None
        self._slow = False  # it is not to be waited for again while it imports
        self._templates: set[int] = set()  # their requests
        self._rested = time.monotonic()  # the last time that it had a template
        self._changes: SimpleQueue[None] = SimpleQueue()  # when a template has ended
        self._launcher = Launcher()
        occupy_standard_streams()
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._child = self._launcher.run(lambda: _started(theirs))
        except BaseException:
            self.socket.close()
            self._launcher.end()
            raise

    @property
    def pid(self) -> int | None:
        """The process."""
        return self._child._pid  # noqa: SLF001 -- ours

    @property
    def busy(self) -> bool:
        """Whether it has to import something."""
        return self._done < self._told

    def idle(self) -> float | None:
        """Return for how many seconds it has had no template, `None` if it has one."""
        return None if self._templates else time.monotonic() - self._rested

    def preload(self, packages: Packages) -> None:
        """Have it import these modules, except those that it was told or must not.

        Raises:
            _GoneError: If it has ended, or takes no more.
        """
        for package, modules in packages.items():
            new = [name for name in modules if name not in self._sent]
            if package not in self._left_out:
                self._sent.update(new)
                for k in range(0, len(new), _CHUNK):
                    self._told += 1
                    self._order(server_main.IMPORT, {package: new[k : k + _CHUNK]})

    def fork(
        self, control: int, payload: int, nesting: Nesting, needed: list[str], *arguments: str
    ) -> ForkedTemplate | None:
        """Return a new template; `None` if it is faster to start one without the server.

        Raises:
            _GoneError: If it serves no more.
        """
        self.listen()
        if self._is_in_the_way(needed) or (self._slow and not self._rests()):
            return None
        report, theirs = os.pipe()
        process: ForkedTemplate | None = None
        try:
            self._number += 1
            request = {
                "number": self._number,
                "needed": needed,
                "arguments": arguments,
                "depth": nesting.depth,
                "files": nesting.files,
            }
            try:
                self._order(server_main.FORK, request, control, payload, 1, 2, theirs)
            finally:
                os.close(theirs)
            process = self._forked(needed, report)
        finally:
            if process is None:
                os.close(report)  # which tells the server that nobody waits any more
        return process

    def listen(self) -> None:
        """Take note of what it has told.

        Raises:
            _GoneError: If it serves no more.
        """
        while _readable(self.socket.fileno(), 0):
            self._take()

    def _forked(self, needed: list[str], report: int) -> ForkedTemplate | None:
        """Return the template that it was asked for, as `fork` does."""
        number, begin = self._number, time.monotonic()
        found = None
        while found is None:
            patience = _AT_REST if self._rests() else _PATIENCE
            if not _readable(self.socket.fileno(), max(0, begin + patience - time.monotonic())):
                if self._rests():
                    raise _GoneError(again=False)  # it hangs
                self._slow = True
                return None
            found = self._take()
            if self._is_in_the_way(needed):
                return None
        pid, process = found
        if not process:
            return None
        self._templates.add(number)
        return ForkedTemplate(pid, process, report, functools.partial(self._ended, number))

    def _rests(self) -> bool:
        """Return whether it has nothing else to do."""
        return self._heard and self._importing is None

    def _is_in_the_way(self, needed: list[str]) -> bool:
        """Return whether it imports something that is not needed, which may take long."""
        return self._importing is not None and self._importing not in needed

    def _take(self) -> tuple[int, int] | None:
        """Take an answer; return the process that it tells of, and a descriptor of that.

        They are 0 if it could fork none. The result is `None` if the answer is about something
        else.

        Raises:
            _GoneError: If it serves no more.
        """
        try:
            message, fds, _, _ = socket.recv_fds(self.socket, server_main.LONGEST, 1)
        except ConnectionResetError:
            message, fds = b"", []
        kind, body = message[:1], message[1:]
        self._heard = True
        if kind in {server_main.FORKED, server_main.REFUSED}:
            number, pid = server_main.NUMBERS.unpack(body)
            if number == self._number:
                return (pid, fds[0]) if fds else (0, 0)
            for fd in fds:  # of a request that was given up
                os.close(fd)
        elif kind == server_main.IMPORTING:
            self._importing = body.decode()
        elif kind == server_main.RESTS:
            self._importing, self._slow, self._done = None, False, int(body)
        elif kind == server_main.OUTDATED:
            raise _GoneError(again=True)
        else:
            raise self._gone(again=self._importing is None)
        return None

    def _gone(self, *, again: bool) -> _GoneError:
        if self._importing is not None:  # it has threads of that, or has died of it
            self._left_out.add(self._importing)
        return _GoneError(again=again)

    def _order(self, kind: bytes, body: dict[str, Any], *fds: int) -> None:
        message = kind + json.dumps(body).encode()
        try:
            socket.send_fds(self.socket, [message], fds, socket.MSG_DONTWAIT)
        except OSError as error:  # it has ended, or does not listen
            with suppress(_GoneError):
                self.listen()  # why
            raise self._gone(again=error.errno != errno.EAGAIN) from error

    def _ended(self, number: int) -> None:
        self._rested = time.monotonic()
        self._templates.discard(number)
        self._changes.put(None)

    def retire(self) -> None:
        """Have it end when there are none of its templates any more."""
        self.socket.close()
        # not later, as it might hang; and not now, as its end would be that of their reports
        self._launcher.finish_with(self._wait)

    def _wait(self) -> None:
        child = self._child
        while self._templates and not child.has_ended():
            with suppress(Empty):
                self._changes.get(timeout=_AT_REST)
        child.end()

    def wait(self) -> None:
        """Wait for its end, if it has no templates."""
        if not self._templates:
            self._launcher.has_ended(_PATIENCE)


def _started(theirs: socket.socket) -> Child:
    """Return a new server, which has the socket `theirs`."""
    process = interpreter(
        "from seqtools.engines.process.fork_server_main import main; "
        f"main({theirs.fileno()}, {os.getpid()})",
        Nesting(nesting.current.depth + 1, nesting.current.files),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # a module that greets has greeted here
        stderr=subprocess.DEVNULL,
        pass_fds=(theirs.fileno(),),
    )
    process.returncode = 0  # from here on it is ours to wait for
    return Child(process.pid)


def _readable(fd: int, seconds: float) -> bool:
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(1000 * seconds))


class _Shared:
    """The server of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        """Is not taken by a main thread, where an interrupt could leave it locked."""
        self.server: _Server | None = None
        self.closed = 0
        """How often it was closed."""
        self.preparing: set[threading.Thread] = set()
        """Threads that are at `prepare`."""
        self.idle_timeout = 0.0
        """The longest of those of the prefetches that it was started for."""
        self._left_out: set[str] = set()

    # With the lock

    def at_hand(self) -> _Server:
        """Return a server for what is now.

        Raises:
            WorkerStartError: If there can be none.
        """
        if self.server is not None and self.server.surroundings != surroundings():
            self.drop()
        if self.server is None:
            self.server = _Server(self._left_out)
        return self.server

    def drop(self) -> _Server | None:
        """Use this server no more."""
        server, self.server = self.server, None
        if server is not None:
            server.retire()
        return server

    def launch(
        self, control: int, payload: int, nesting: Nesting, *arguments: str
    ) -> ForkedTemplate | None:
        """Return a template as `launch` does."""
        installed = Installed()
        needed = installed.needed(os.pread(payload, _BEGINNING, 0))
        for _ in range(2):
            try:
                server = self.at_hand()
                server.preload({name: installed.packages[name] for name in needed})
                template = server.fork(control, payload, nesting, needed, *arguments)
            except _GoneError as gone:
                self.drop()
                if not gone.again:
                    break
            else:
                with suppress(_GoneError):  # which is seen when it is needed
                    server.preload(installed.compiled())
                return template
        return None

    # Without

    def settle(self, closed: int) -> bool:
        """Have a server import what this process has; return whether there is no more to do.

        Raises:
            WorkerStartError: If there can be none.
        """
        with self.lock:
            if self.closed != closed:
                return True
            server = self.at_hand()
            left_out = len(self._left_out)
            try:
                server.preload(Installed().compiled())
                server.listen()
            except _GoneError:
                self.drop()
                return len(self._left_out) == left_out  # another one would do no better
            return not server.busy

    def prepare(self, closed: int) -> None:
        """Have a server that has imported what this process has; in a thread of its own."""
        try:
            deadline = time.monotonic() + _LONGEST
            while not self.settle(closed) and time.monotonic() < deadline:
                time.sleep(_MOMENT)
        except (WorkerStartError, OSError, MemoryError):
            pass  # told when a template is started
        finally:
            self.preparing.discard(threading.current_thread())


_shared = _Shared()


def possible() -> bool:
    """Return whether this process may have a fork server.

    It needs descriptors of processes, which Linux has since 5.3. Workers within workers go
    without, because there may be many of them for a short time.
    """
    return (
        hasattr(os, "pidfd_open")
        and hasattr(signal, "pidfd_send_signal")
        and hasattr(socket, "send_fds")
        and nesting.current.depth == 0
    )


def prepare() -> None:
    """Have a server started in the background, which imports what this process has imported."""
    shared = _shared
    if not possible():
        return
    thread = threading.Thread(
        target=shared.prepare, args=(shared.closed,), name="seqtools-preload", daemon=True
    )
    shared.preparing.add(thread)
    try:
        start_thread(thread)
    except WorkerStartError:  # told when a template is started
        shared.preparing.discard(thread)


def launch(control: socket.socket, payload: int, nesting: Nesting, *arguments: str) -> Child | None:
    """Return a new template, as `launcher.launch`, forked from the server of this process.

    The result is `None` if it is faster, or safer, to start one without the server.
    """
    shared = _shared
    if not possible() or threading.current_thread() is threading.main_thread():
        return None
    try:
        with shared.lock:
            return shared.launch(control.fileno(), payload, nesting, *arguments)
    except (WorkerStartError, OSError, MemoryError):
        return None  # told by the other way, if it fails too


def rest() -> float | None:
    """End the server if it was idle for long; return when to look again, in seconds.

    `None` if there is none.
    """
    shared = _shared
    with shared.lock:
        if shared.server is None:
            return _MOMENT if shared.preparing else None
        idle = shared.server.idle()
        left = shared.idle_timeout - (idle or 0.0)
        if left > 0:
            return left
        shared.idle_timeout = 0.0
        shared.drop()
        return None


def close() -> None:
    """End the server. The next start, or the next prefetch that is made, makes another one."""
    shared = _shared
    with shared.lock:
        shared.closed += 1
        shared.idle_timeout = 0.0
        server = shared.drop()
    if server is not None:
        server.wait()


def keep(idle_timeout: float | None) -> None:
    """Have the server, if there is one, stay for so many seconds after its last template."""
    shared = _shared
    timeout = threading.TIMEOUT_MAX if idle_timeout is None else idle_timeout
    shared.idle_timeout = max(shared.idle_timeout, timeout)


def _renew() -> None:
    """Have the parent's server left to it, in a process that was forked."""
    global _shared
    server, _shared = _shared.server, _Shared()
    if server is not None:
        server.socket.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
