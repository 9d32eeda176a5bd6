"""The process of a fork server, in the consumer: its requests and answers."""

import functools
import json
import os
import socket
import subprocess
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from seqtools.engines.dispatch.serving import serving
from seqtools.engines.process import fork_server_main as server_main
from seqtools.engines.process import nesting
from seqtools.engines.process.forked_template import ForkedTemplate, readable
from seqtools.engines.process.launcher import Child, interpreter
from seqtools.engines.process.nesting import Nesting
from seqtools.engines.process.preloading import Packages
from seqtools.engines.process.standard_streams import occupy_standard_streams
from seqtools.engines.process.surroundings import surroundings
from seqtools.engines.resource_errors import start_thread

_PATIENCE = 10.0
"""Seconds to wait for an answer. Importing torch takes 2."""
_CHUNK = 500
"""Modules in a message: with about 100 bytes each, much less than a message may contain."""

_Started: TypeAlias = "SimpleQueue[Child | BaseException]"


class GoneError(Exception):
    """The server does not serve any more."""


class ServerProcess:
    """A fork server. One thread at a time calls its methods, except `_note_end`.

    Args:
        left_out: Packages that it must not import. Packages that end it are added.
    """

    def __init__(self, left_out: set[str]) -> None:
        self.surroundings = surroundings()
        """The surroundings in which it was started."""
        self._left_out = left_out
        self._requested: set[str] = set()  # modules to import
        self._imports_sent = self._imports_done = 0  # requests to import
        self._number = 0  # of the last request to fork
        self._has_started = False
        self._importing: str | None = None  # a package
        self._slow = False  # do not wait for the current import again
        self._templates: set[int] = set()  # their requests
        self._idle_since = time.monotonic()
        self._retired = False
        self._changes: SimpleQueue[None] = SimpleQueue()  # wakes the thread
        self._ended = threading.Event()
        occupy_standard_streams()
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(None)  # whatever `socket.setdefaulttimeout` says
        started: _Started = SimpleQueue()
        thread = threading.Thread(
            target=self._look_after,
            args=(theirs, started),
            name="seqtools-fork-server",
            daemon=True,
        )
        try:
            with theirs:
                start_thread(thread)
                child = started.get()
            if isinstance(child, BaseException):
                raise child  # noqa: TRY301 -- nothing may stay open
        except BaseException:
            self.socket.close()
            raise
        self.pid = child.pid

    def _look_after(self, theirs: socket.socket, started: "_Started") -> None:
        """Start the server, and wait for its end.

        Linux ends the server together with the thread that started it, so this thread stays.
        """
        serving.serves = True
        try:
            child = _started(theirs)
        except BaseException as error:  # noqa: BLE001 -- raised in `__init__`
            started.put(error)
            return
        started.put(child)
        while not self._retired:
            self._changes.get()
        # until then, no other process becomes the parent of its templates
        with suppress(ChildProcessError):  # the program has waited for it
            while self._templates and not child.has_ended():
                with suppress(Empty):
                    self._changes.get(timeout=_PATIENCE)
        child.end()
        self._ended.set()

    @property
    def busy(self) -> bool:
        """Whether it has to import something."""
        return self._imports_done < self._imports_sent

    def idle(self) -> float | None:
        """Return for how many seconds it has had no template, `None` if it has one."""
        return None if self._templates else time.monotonic() - self._idle_since

    def preload(self, packages: Packages) -> None:
        """Request the import of modules, except earlier ones, and packages that are left out.

        Raises:
            GoneError: If it has ended, or accepts no more.
        """
        for package, modules in packages.items():
            new = [name for name in modules if name not in self._requested]
            if package not in self._left_out:
                self._requested.update(new)
                for k in range(0, len(new), _CHUNK):
                    self._imports_sent += 1
                    self._send(server_main.IMPORT, {package: new[k : k + _CHUNK]})

    def fork(
        self, control: int, payload: int, nesting: Nesting, needed: list[str], *, load_each: bool
    ) -> ForkedTemplate | None:
        """Return a new template; `None` if it is faster to start one without the server.

        Args:
            control: The socket that it serves.
            payload: The file with the pipeline.
            nesting: Its place among consumers and workers.
            needed: Packages that the pipeline needs.
            load_each: Whether its workers load the pipeline, and not the template.

        Raises:
            GoneError: If the server does not serve any more.
        """
        self.listen()
        if self._slow or self._imports_other(needed):
            return None
        self._number += 1
        request = {
            "number": self._number,
            "needed": needed,
            "load_each": load_each,
            "depth": nesting.depth,
            "files": nesting.files,
        }
        self._send(server_main.FORK, request, control, payload, 1, 2)
        return self._forked(needed)

    def listen(self) -> None:
        """Handle all answers that have arrived.

        Raises:
            GoneError: If it does not serve any more.
        """
        while readable(self.socket.fileno(), 0):
            self._receive()

    def _forked(self, needed: list[str]) -> ForkedTemplate | None:
        """Wait for the template of the last request, and return it as `fork` does."""
        number, deadline = self._number, time.monotonic() + _PATIENCE
        forked = None
        while forked is None:
            if not readable(self.socket.fileno(), max(0, deadline - time.monotonic())):
                if self._has_started and self._importing is None:
                    raise GoneError  # it hangs
                self._slow = True
                return None
            forked = self._receive()
            if self._imports_other(needed):
                return None
        pid, process = forked
        if not process:
            return None
        self._templates.add(number)
        return ForkedTemplate(pid, process, functools.partial(self._note_end, number))

    def _imports_other(self, needed: list[str]) -> bool:
        """Return whether it imports a package that is not needed, which may take long."""
        return self._importing is not None and self._importing not in needed

    def _receive(self) -> tuple[int, int] | None:
        """Receive an answer.

        Returns:
            The process id of the template of the last request, and a descriptor of that process,
            which are 0 if it could not be forked. `None` for any other answer.

        Raises:
            GoneError: If it does not serve any more.
        """
        try:
            message, fds, _, _ = socket.recv_fds(self.socket, server_main.LONGEST, 1)
        except ConnectionResetError:
            message, fds = b"", []
        kind, body = message[:1], message[1:]
        self._has_started = True
        if kind == server_main.FORKED:
            number, pid = server_main.NUMBERS.unpack(body)
            if number == self._number:
                return (pid, fds[0]) if fds else (0, 0)
            for fd in fds:  # of an earlier request, for which nobody waits
                os.close(fd)
        elif kind == server_main.IMPORTING:
            self._importing = body.decode()
        elif kind == server_main.IDLE:
            self._importing, self._slow, self._imports_done = None, False, int(body)
        elif kind == server_main.OUTDATED:
            raise GoneError
        else:
            raise self._gone()
        return None

    def _gone(self) -> GoneError:
        if self._importing is not None:  # this package has ended it, or has threads
            self._left_out.add(self._importing)
        return GoneError()

    def _send(self, kind: bytes, body: dict[str, Any], *fds: int) -> None:
        message = kind + json.dumps(body).encode()
        try:
            socket.send_fds(self.socket, [message], fds, socket.MSG_DONTWAIT)
        except OSError as error:  # it has ended, or reads nothing
            with suppress(GoneError):
                self.listen()  # to know which package it was importing
            raise self._gone() from error

    def _note_end(self, number: int) -> None:
        """Note the end of a template."""
        self._idle_since = time.monotonic()
        self._templates.discard(number)
        self._changes.put(None)

    def retire(self) -> None:
        """Let it end when its templates have ended."""
        self.socket.close()
        self._retired = True
        self._changes.put(None)

    def wait(self) -> None:
        """Wait for its end, if it has no templates."""
        if not self._templates:
            self._ended.wait(_PATIENCE)


def _started(theirs: socket.socket) -> Child:
    """Return a new server that serves the socket `theirs`."""
    process = interpreter(
        "from seqtools.engines.process.fork_server_main import main; "
        f"main({theirs.fileno()}, {os.getpid()})",
        Nesting(nesting.current.depth + 1, nesting.current.files),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # the consumer has shown what modules print when imported
        stderr=subprocess.DEVNULL,
        pass_fds=(theirs.fileno(),),
    )
    process.returncode = 0  # from here on, `Child` waits for it
    return Child(process.pid)
