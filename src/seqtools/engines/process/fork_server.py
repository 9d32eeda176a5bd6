"""The fork server of this process, from outside: one for all prefetches.

It is started in the background when the first prefetch with processes is made, imports what the
pipeline is going to need, and forks the templates of all prefetches: see `fork_server_main`.

It only makes a start faster. Whatever goes wrong with it, a template is started without it, by
a fresh interpreter: so nothing here waits for long, and nothing is lost.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from seqtools._core.errors import WorkerStartError
from seqtools.engines.process import nesting
from seqtools.engines.process.fork_server_process import GoneError, ServerProcess
from seqtools.engines.process.forked_template import ForkedTemplate
from seqtools.engines.process.launcher import Child
from seqtools.engines.process.nesting import Nesting
from seqtools.engines.process.preloading import Installed
from seqtools.engines.process.surroundings import surroundings
from seqtools.engines.resource_errors import start_thread

_BEGINNING = 1 << 16
"""Bytes of a pipeline in which to look for what it needs."""
_LONGEST = 60.0
"""Seconds for which to look after a server that imports, and to replace it. Arbitrary."""
_MOMENT = 0.02
"""Seconds after which to look again whether a server has imported all. Arbitrary."""


class _Shared:
    """The server of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        """Is not taken by a main thread, where an interrupt could leave it locked."""
        self.server: ServerProcess | None = None
        self.closed = 0
        """How often it was closed."""
        self.preparing: set[threading.Thread] = set()
        """Threads that are at `prepare`."""
        self.idle_timeout = 0.0
        """The longest of those of the prefetches that it was started for."""
        self.tell: Callable[[], object] | None = None
        """Is called when there is a new server, which somebody has to end when it is idle."""
        self._left_out: set[str] = set()

    # With the lock

    def at_hand(self) -> ServerProcess:
        """Return a server for what is now.

        Raises:
            WorkerStartError: If there can be none.
        """
        if self.server is not None and self.server.surroundings != surroundings():
            self.drop()
        if self.server is None:
            self.server = ServerProcess(self._left_out)
            if self.tell is not None:
                self.tell()
        return self.server

    def drop(self) -> ServerProcess | None:
        """Use this server no more."""
        server, self.server = self.server, None
        if server is not None:
            server.retire()
        return server

    def launch(
        self, control: int, payload: int, nesting: Nesting, *arguments: str, patient: bool
    ) -> ForkedTemplate | None:
        """Return a template as `launch` does."""
        installed = Installed()
        needed = installed.needed(os.pread(payload, _BEGINNING, 0))
        for _ in range(2):
            try:
                server = self.at_hand()
                server.preload({name: installed.packages[name] for name in needed})
                template = server.fork(
                    control, payload, nesting, needed, *arguments, patient=patient
                )
            except GoneError as gone:
                self.drop()
                if not gone.again:
                    break
            else:
                with suppress(GoneError):  # which is seen when it is needed
                    server.preload(installed.compiled())
                return template
        return None

    # Without

    def settle(self, closed: int, *, check: bool) -> bool:
        """Have a server import what this process has; return whether there is no more to do.

        It is to `check` whether what it has imported is outdated.

        Raises:
            GoneError: If it serves no more.
            WorkerStartError: If there can be none.
        """
        with self.lock:
            if self.closed != closed:
                return True
            server = self.at_hand()
            try:
                if check:
                    server.check()
                server.preload(Installed().compiled())
                server.listen()
            except GoneError:
                self.drop()
                raise
            return not server.busy

    def prepare(self, closed: int) -> None:
        """Have a server that has imported what this process has; in a thread of its own."""
        try:
            deadline = time.monotonic() + _LONGEST
            check = again = True
            while time.monotonic() < deadline:
                left_out = len(self._left_out)
                try:
                    if self.settle(closed, check=check):
                        break
                except GoneError as gone:
                    if len(self._left_out) == left_out:  # else another one does better
                        if not (gone.again and again):
                            break
                        again = False
                check = False
                time.sleep(_MOMENT)
        except Exception:  # noqa: BLE001, S110 -- told when a template is started, if it matters
            pass
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


def launch(
    control: socket.socket, payload: int, nesting: Nesting, *arguments: str, patient: bool
) -> Child | None:
    """Return a new template, as `launcher.launch`, forked from the server of this process.

    It waits for what the server has to do before only if it is `patient`. The result is `None` if
    it is faster, or safer, to start one without the server.
    """
    shared = _shared
    if not possible() or threading.current_thread() is threading.main_thread():
        return None
    try:
        with shared.lock:
            fd = control.fileno()
            return shared.launch(fd, payload, nesting, *arguments, patient=patient)
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


def is_there() -> bool:
    """Return whether there is a server, or soon may be."""
    return _shared.server is not None or bool(_shared.preparing)


def close() -> None:
    """End the server. The next start, or the next prefetch that is made, makes another one."""
    shared = _shared
    with shared.lock:
        shared.closed += 1
        shared.idle_timeout = 0.0
        server = shared.drop()
    if server is not None:
        server.wait()


def keep(idle_timeout: float | None, tell: Callable[[], object]) -> None:
    """Have a server, if there is one, stay for so many seconds after its last template.

    Args:
        idle_timeout: The seconds.
        tell: Is called, by any thread, when there is a new server, to have `rest` called.
    """
    shared = _shared
    shared.tell = tell
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
