"""The process of a fork server, from outside: what it is asked for, and what it tells."""

import errno
import functools
import json
import os
import socket
import subprocess
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from seqtools.engines.process import fork_server_main as server_main
from seqtools.engines.process import nesting
from seqtools.engines.process.forked_template import ForkedTemplate, readable
from seqtools.engines.process.launcher import Child, Launcher, interpreter
from seqtools.engines.process.nesting import Nesting
from seqtools.engines.process.preloading import Packages
from seqtools.engines.process.standard_streams import occupy_standard_streams
from seqtools.engines.process.surroundings import surroundings

_PATIENCE = 10.0
"""Seconds to wait for a server that is starting, or imports what is needed. torch takes 2."""
_AT_REST = 5.0
"""Seconds to wait for a server that has nothing else to do. It takes some milliseconds."""
_CHUNK = 500
"""Modules in a message: 100 bytes each are much less than a message may have."""


class GoneError(Exception):
    """The server does not serve any more.

    Args:
        again: Whether another one would serve at once what this one did not.
    """

    def __init__(self, *, again: bool) -> None:
        super().__init__()
        self.again = again


class ServerProcess:
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

    def check(self) -> None:
        """Have it look whether it is outdated, and tell."""
        self._told += 1
        self._order(server_main.IMPORT, {})

    def preload(self, packages: Packages) -> None:
        """Have it import these modules, except those that it was told or must not.

        Raises:
            GoneError: If it has ended, or takes no more.
        """
        for package, modules in packages.items():
            new = [name for name in modules if name not in self._sent]
            if package not in self._left_out:
                self._sent.update(new)
                for k in range(0, len(new), _CHUNK):
                    self._told += 1
                    self._order(server_main.IMPORT, {package: new[k : k + _CHUNK]})

    def fork(
        self,
        control: int,
        payload: int,
        nesting: Nesting,
        needed: list[str],
        *arguments: str,
        patient: bool,
    ) -> ForkedTemplate | None:
        """Return a new template; `None` if it is faster to start one without the server.

        Args:
            control: The socket that it serves.
            payload: A file with the pipeline.
            nesting: Where it is.
            needed: Packages that the pipeline is going to need.
            arguments: More arguments for it.
            patient: Whether to wait for a server that starts, or imports what is needed.

        Raises:
            GoneError: If it serves no more.
        """
        self.listen()
        waits = not self._rests() or self.busy
        if self._is_in_the_way(needed) or (waits and (self._slow or not patient)):
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
            GoneError: If it serves no more.
        """
        while readable(self.socket.fileno(), 0):
            self._take()

    def _forked(self, needed: list[str], report: int) -> ForkedTemplate | None:
        """Return the template that it was asked for, as `fork` does."""
        number, begin = self._number, time.monotonic()
        found = None
        while found is None:
            patience = _AT_REST if self._rests() else _PATIENCE
            if not readable(self.socket.fileno(), max(0, begin + patience - time.monotonic())):
                if self._rests():
                    raise GoneError(again=False)  # it hangs
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
            GoneError: If it serves no more.
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
            raise GoneError(again=True)
        else:
            raise self._gone(again=self._importing is None and self._done > 0)
        return None

    def _gone(self, *, again: bool) -> GoneError:
        if self._importing is not None:  # it has threads of that, or has died of it
            self._left_out.add(self._importing)
        return GoneError(again=again)

    def _order(self, kind: bytes, body: dict[str, Any], *fds: int) -> None:
        message = kind + json.dumps(body).encode()
        try:
            socket.send_fds(self.socket, [message], fds, socket.MSG_DONTWAIT)
        except OSError as error:  # it has ended, or does not listen
            with suppress(GoneError):
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
