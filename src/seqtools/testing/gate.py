"""A gate at which items stop while they are evaluated, and which counts them."""

import json
import os
import select
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

LIMIT = 60.0
"""Seconds to wait for something before a check fails. Arbitrary."""
_MOST = 60_000
"""Workers that can wait: one byte for each fits into a pipe."""


class Gate:
    """A place where workers of this machine, threads or processes, wait until it opens.

    Functions in workers use `passage`, which can be pickled. Workers report to one named pipe,
    and wait for a byte from another.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="seqtools-gate-")
        self.passage = Passage(self._folder.name)
        self._pipes = []
        for path in (self.passage.reports, self.passage.door):
            os.mkfifo(path)
            self._pipes.append(os.open(path, os.O_RDWR | os.O_NONBLOCK))
        self._data = b""

    def look(self) -> list[Any]:
        """Return what has arrived so far."""
        with suppress(BlockingIOError):
            while self._pipes:
                self._data += os.read(self._pipes[0], 1 << 16)
        return [json.loads(line) for line in self._data.splitlines()]

    def wait(self, n: int, meanwhile: Callable[[], object] = lambda: None) -> list[Any]:
        """Return what has arrived, once these are `n` or more.

        Raises:
            AssertionError: If fewer arrive.
        """
        deadline = time.monotonic() + LIMIT
        while len(arrived := self.look()) < n:
            meanwhile()
            if time.monotonic() > deadline:
                message = f"{n} calls should be evaluated at the same time, got {arrived}"
                raise AssertionError(message)
            select.select(self._pipes[:1], [], [], 0.05)
        return arrived

    def open(self) -> None:
        """Let all workers through that wait, and all that arrive later."""
        if not self._pipes:
            return
        self.look()
        reports, door = self._pipes
        self._pipes = []
        self._folder.cleanup()  # first, so that no worker waits without a byte
        os.write(door, bytes(_MOST))
        os.close(reports)
        os.close(door)


class Passage:
    """The workers' side of a gate."""

    def __init__(self, folder: str) -> None:
        self.reports, self.door = (os.path.join(folder, name) for name in ("reports", "door"))

    def arrive(self, what: T) -> T:
        """Report `what` to the gate and return it at once."""
        with suppress(OSError):  # the gate is open
            pipe = os.open(self.reports, os.O_WRONLY)
            try:
                os.write(pipe, f"{json.dumps(what)}\n".encode())
            finally:
                os.close(pipe)
        return what

    def wait(self, what: T) -> T:
        """Report `what` to the gate and return it when the gate is open."""
        self.arrive(what)
        with suppress(OSError), open(self.door, "rb", buffering=0) as door:
            door.read(1)
        return what
