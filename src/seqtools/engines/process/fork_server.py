"""The fork server of this process, one for all prefetches.

It starts in the background when the first prefetch with processes is made, imports packages that
pipelines need, and forks the templates of all prefetches: see `fork_server_main`.

It only makes a start faster. If anything goes wrong with it, a template starts without it, as a
fresh interpreter.
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
from seqtools.engines.process.nesting import Nesting
from seqtools.engines.process.preloading import Installed
from seqtools.engines.process.surroundings import surroundings
from seqtools.engines.resource_errors import start_thread

_BEGINNING = 1 << 16
"""Bytes of a pipeline that are searched for names of modules."""
_LONGEST = 60.0
"""Seconds for which a server that imports packages is watched, to replace it. Arbitrary."""
_MOMENT = 0.02
"""Seconds between two checks whether a server has imported all packages. Arbitrary."""
_ATTEMPTS = 8
"""Servers that are started in the background if each has ended. Each leaves out one more package
that starts threads. Arbitrary."""


class _Shared:
    """The server of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        """The main thread never takes it, because an interrupt could leave it locked."""
        self.server: ServerProcess | None = None
        self.closed = 0
        """How often it was closed."""
        self.preparing: set[threading.Thread] = set()
        """Threads that run `prepare`."""
        self.idle_timeout = 0.0
        """The longest `idle_timeout` of the prefetches that use it."""
        self.on_start: Callable[[], object] | None = None
        """Called when a new server has started, which must be ended when it is idle."""
        self._left_out: set[str] = set()

    # With the lock

    def current(self) -> ServerProcess:
        """Return a server for the current surroundings.

        Raises:
            WorkerStartError: If none can be started.
        """
        if self.server is not None and self.server.surroundings != surroundings():
            self.drop()
        if self.server is None:
            self.server = ServerProcess(self._left_out)
            if self.on_start is not None:
                self.on_start()
        return self.server

    def drop(self) -> ServerProcess | None:
        """Stop using the server, and return it."""
        server, self.server = self.server, None
        if server is not None:
            server.retire()
        return server

    def launch(
        self, control: int, payload: int, nesting: Nesting, *, load_each: bool
    ) -> ForkedTemplate | None:
        """Return a template as `launch` does."""
        installed = Installed()
        needed = installed.needed(os.pread(payload, _BEGINNING, 0))
        for _ in range(2):
            try:
                server = self.current()
                server.preload({name: installed.packages[name] for name in needed})
                template = server.fork(control, payload, nesting, needed, load_each=load_each)
            except GoneError:
                self.drop()
            else:
                with suppress(GoneError):  # the next use will notice
                    server.preload(installed.compiled())
                return template
        return None

    # Without the lock

    def preload_all(self, closed: int) -> bool:
        """Have the server import the packages of this process; return whether that is done.

        Raises:
            GoneError: If it does not serve any more.
            WorkerStartError: If none can be started.
        """
        with self.lock:
            if self.closed != closed:
                return True
            server = self.current()
            try:
                server.preload(Installed().compiled())
                server.listen()
            except GoneError:
                self.drop()
                raise
            return not server.busy

    def prepare(self, closed: int) -> None:
        """Start a server that has imported the packages of this process, in a thread for this."""
        deadline = time.monotonic() + _LONGEST
        try:
            for _ in range(_ATTEMPTS):
                with suppress(GoneError):
                    while not self.preload_all(closed) and time.monotonic() < deadline:
                        time.sleep(_MOMENT)
                    break
        except Exception:  # noqa: BLE001, S110 -- reported when a template starts, if it matters
            pass
        finally:
            self.preparing.discard(threading.current_thread())


_shared = _Shared()


def possible() -> bool:
    """Return whether this process may have a fork server.

    It needs descriptors of processes, which Linux has since 5.3. Workers inside workers do not use
    one, because there may be many of them for a short time.
    """
    return (
        hasattr(os, "pidfd_open")
        and hasattr(signal, "pidfd_send_signal")
        and hasattr(socket, "send_fds")
        and nesting.current.depth == 0
    )


def prepare() -> None:
    """Start a server in the background, which imports the packages of this process."""
    shared = _shared
    if not possible():
        return
    thread = threading.Thread(
        target=shared.prepare, args=(shared.closed,), name="seqtools-preload", daemon=True
    )
    shared.preparing.add(thread)
    try:
        start_thread(thread)
    except WorkerStartError:  # reported when a template starts
        shared.preparing.discard(thread)


def launch(
    control: socket.socket, payload: int, nesting: Nesting, *, load_each: bool
) -> ForkedTemplate | None:
    """Return a new template, as `launcher.launch`, forked from the server of this process.

    The result is `None` if it is faster, or safer, to start one without the server.
    """
    shared = _shared
    if not possible() or threading.current_thread() is threading.main_thread():
        return None
    try:
        with shared.lock:
            return shared.launch(control.fileno(), payload, nesting, load_each=load_each)
    except (WorkerStartError, OSError, MemoryError):
        return None  # reported by the other way, if that fails too


def rest() -> float | None:
    """End the server if it has been idle for long.

    Returns:
        The seconds until the next call, `None` if there is no server.
    """
    shared = _shared
    with shared.lock:
        if shared.server is None:
            return _MOMENT if shared.preparing else None
        left = shared.idle_timeout - (shared.server.idle() or 0.0)
        if left > 0:
            return left
        shared.idle_timeout = 0.0
        shared.drop()
        return None


def is_there() -> bool:
    """Return whether there is a server, or soon may be one."""
    return _shared.server is not None or bool(_shared.preparing)


def close() -> None:
    """End the server. The next start, or the next prefetch that is made, starts another one."""
    shared = _shared
    with shared.lock:
        shared.closed += 1
        shared.idle_timeout = 0.0
        server = shared.drop()
    if server is not None:
        server.wait()


def keep(idle_timeout: float | None, on_start: Callable[[], object]) -> None:
    """Keep the server, if there is one, for some time after the end of its last template.

    Args:
        idle_timeout: The seconds, `None` for no limit.
        on_start: Called by any thread when a new server has started; it must have `rest` called.
    """
    shared = _shared
    shared.on_start = on_start
    timeout = threading.TIMEOUT_MAX if idle_timeout is None else idle_timeout
    shared.idle_timeout = max(shared.idle_timeout, timeout)


def _forget() -> None:
    """Forget the server of the parent, in a process that was forked."""
    global _shared
    server, _shared = _shared.server, _Shared()
    if server is not None:
        server.socket.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
