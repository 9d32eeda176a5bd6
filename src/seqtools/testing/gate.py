"""A gate at which items stop while they are evaluated, and which counts them."""

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
"""Seconds to wait for something before a check fails. Arbitrary."""


class Gate:
    """A place where workers, such as threads, processes or other machines, wait until it opens.

    Functions in workers use `passage`, which can be pickled. It connects to the gate by TCP. The
    gate needs no thread: connections wait in the queue of the socket.

    Args:
        host: The address of this machine for workers.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._listener = socket.create_server((host, 0), backlog=4096)
        self._listener.settimeout(0)
        self._waiting: list[socket.socket] = []
        port = self._listener.getsockname()[1]
        self.passage = Passage(host, port, os.urandom(8).hex())
        self.arrived: list[Any] = []
        """What has arrived, up to the last `look`."""

    def look(self) -> list[Any]:
        """Return what has arrived so far."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, OSError):
                return self.arrived
            connection.settimeout(LIMIT)
            with connection.makefile("r") as lines:
                line = lines.readline()
            secret, _, what = line.partition(" ")
            if secret == self.passage.secret:
                self._waiting.append(connection)
                self.arrived.append(json.loads(what))
            else:
                connection.close()  # meant for another gate, which had this port before

    def wait(self, n: int, meanwhile: Callable[[], object] = lambda: None) -> list[Any]:
        """Return what has arrived, once these are `n` or more.

        Raises:
            AssertionError: If fewer arrive.
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
        """Let all workers through that wait, and all that arrive later."""
        if self._listener.fileno() < 0:
            return
        self.look()
        # closing is not enough, because a forked process may have a copy
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._waiting:
            with suppress(OSError):
                connection.sendall(b"x")
            connection.close()
        self._waiting.clear()


class Passage:
    """The workers' side of a gate."""

    def __init__(self, host: str, port: int, secret: str) -> None:
        self._address, self.secret = (host, port), secret

    def arrive(self, what: T) -> T:
        """Report `what` to the gate and return it at once."""
        self._report(what, wait=False)
        return what

    def wait(self, what: T) -> T:
        """Report `what` to the gate and return it when the gate is open."""
        self._report(what, wait=True)
        return what

    def _report(self, what: Any, *, wait: bool) -> None:
        with suppress(OSError), socket.create_connection(self._address) as connection:
            connection.sendall(f"{self.secret} {json.dumps(what)}\n".encode())
            if wait:
                connection.recv(1)
