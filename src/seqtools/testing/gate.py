"""Where items that are being evaluated anywhere stop, and are counted."""

import json
import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

LIMIT = 60.0
"""Seconds after which something is taken never to happen. Arbitrary; spent only by a failure."""


class Gate:
    """A place at which workers arrive, wherever they are, and wait until it is open.

    They connect to it by TCP, and so it works for threads, for processes however they are started,
    and for other machines. `passage` is what a function in a worker refers to; it can be pickled.
    It needs no thread: workers that arrive wait in the queue of the socket.

    Args:
        host: The address of this machine for workers.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._listener = socket.create_server((host, 0), backlog=4096)
        self._listener.settimeout(0)
        self._came: list[socket.socket] = []
        port = self._listener.getsockname()[1]
        self.passage = Passage(host, port, os.urandom(8).hex())
        self.arrived: list[Any] = []
        """What has arrived by now, as far as that was looked at."""

    def look(self) -> list[Any]:
        """Return all that has arrived so far."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, OSError):
                return self.arrived
            connection.settimeout(LIMIT)
            with connection.makefile("r") as lines:
                line = lines.readline()
            secret, _, told = line.partition(" ")
            if secret == self.passage.secret:
                self._came.append(connection)
                self.arrived.append(json.loads(told))
            else:
                connection.close()  # it is for another gate, which had this port before

    def wait(self, n: int, meanwhile: Callable[[], object] = lambda: None) -> list[Any]:
        """Return what has arrived once that is `n` or more.

        Raises:
            AssertionError: If it never is.
        """
        deadline = time.monotonic() + LIMIT
        while len(self.look()) < n:
            meanwhile()
            if time.monotonic() > deadline:
                message = f"{n} calls should be evaluated at the same time, got {self.arrived}"
                raise AssertionError(message)
            select.select([self._listener], [], [], 0.05)
        return self.arrived

    def open(self) -> None:
        """Let through all that have arrived, and all that come from now on."""
        if self._listener.fileno() < 0:
            return
        self.look()
        # a process that was forked may have a copy, so closing alone does not stop it
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._came:
            with suppress(OSError):
                connection.sendall(b"x")
            connection.close()
        self._came.clear()


class Passage:
    """The way to a gate."""

    def __init__(self, host: str, port: int, secret: str) -> None:
        self._address, self.secret = (host, port), secret

    def arrive(self, what: T) -> T:
        """Tell the gate of `what`, return it, and do not wait."""
        self._tell(what, wait=False)
        return what

    def wait(self, what: T) -> T:
        """Tell the gate of `what`, and return it when it is open."""
        self._tell(what, wait=True)
        return what

    def _tell(self, what: Any, *, wait: bool) -> None:
        with suppress(OSError), socket.create_connection(self._address) as connection:
            connection.sendall(f"{self.secret} {json.dumps(what)}\n".encode())
            if wait:
                connection.recv(1)
