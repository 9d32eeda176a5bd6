"""What workers have printed, shown by the consumer.

It is written to `sys.stdout` as that is at the time, by a thread that reads items: before it
is given what came behind it, and while it waits. No thread of ours does that: it would write
between two pieces of a line that the program is printing, and in a notebook to another cell.
And no lock is held meanwhile for which others wait, as a stream of the user's may block, raise
or read the same items.
"""

import atexit
import os
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from seqtools._core.errors import summary

MOST = 10_000
"""Texts that may wait to be shown, from which on no more are fetched while nobody reads.
Arbitrary: workers wait then, as for a pipe that is full."""

said: deque[str] = deque()
"""What workers of this process have printed and nobody has shown, whole lines, in order."""


class WorkerOutput:
    """What one worker prints, put together again."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun = bytearray()

    def add(self, piece: Any) -> None:
        """Take a piece of text; the last one of a text ends with a newline."""
        self._begun += piece
        if self._begun.endswith(b"\n"):
            self.end()

    def end(self) -> None:
        """Have what is there shown, with a newline at its end."""
        begun, self._begun = self._begun, bytearray()
        if begun:
            text = begun.decode("utf-8", "backslashreplace")
            said.append(text if text.endswith("\n") else text + "\n")


class _Display:
    """Writes what was said, one thread at a time."""

    def __init__(self) -> None:
        self._lock: Any = threading.RLock()  # which knows its thread
        self._complained = False
        self.ending = False
        """Whether the program ends."""

    def show(self) -> None:
        """Write what was said, unless a thread is at that: it goes on then until all is written."""
        lock = self._lock
        if lock._is_owned():  # noqa: SLF001 -- as Condition does; the stream reads items itself
            return
        try:
            # Not `with`: Python 3.14 may be interrupted between the lock and the block.
            while said and lock.acquire(blocking=False):
                self._write_all()
                lock.release()
        finally:
            if lock._is_owned():  # noqa: SLF001
                lock.release()

    def _write_all(self) -> None:
        while said:
            text = "".join([said.popleft() for _ in range(len(said))])
            try:
                _write(text)
            except Exception as error:  # noqa: BLE001 -- streams of users may raise anything
                self._complain(error)

    def _complain(self, error: Exception) -> None:
        if self._complained:
            return
        self._complained = True  # first, as warnings may be errors
        message = f"output of workers cannot be shown, because sys.stdout raised {summary(error)}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)

    def renew(self) -> None:
        """Forget what is for the parent of this process to show, and its bars."""
        self._lock = threading.RLock()
        said.clear()
        around[0] = nullcontext

    def end(self) -> None:
        """Show what is left, as the program ends."""
        self.ending = True
        self.show()


def _write(text: str) -> None:
    stream = sys.stdout
    if stream is None:  # as for print()
        return
    with around[0](stream):
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = getattr(stream, "encoding", None) or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


around: list[Callable[[Any], AbstractContextManager[Any]]] = [nullcontext]
"""Returns, for a stream, a context in which nothing is in the way there, such as a bar."""

_shower = _Display()
show = _shower.show
atexit.register(_shower.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shower.renew)


def show_last(*, wait: bool) -> None:
    """Show what is left when workers have ended, as `close` does.

    Without `wait`, who calls may be the garbage collector, in the middle of a line that the
    program prints: then it is left to who reads next, or to the end of the program.
    """
    if wait or _shower.ending:
        show()
