"""Sends the output of a worker to the consumer.

        print ──▶ Lines: a line for each thread ──▶ OutputPipe ══ pipe of results ══▶ consumer

In a worker, `sys.stdout` collects lines, and sends whole lines through the pipe of results. A line
ends with its newline, with `flush()`, or with the answer about the item that printed it. So the
output of an item arrives before the item.

Output that compiled code or other programs write to descriptor 1 is not sent, and neither is
`sys.stderr`. Log records and warnings take the same way: see `dispatch/forwarding`.
"""

import io
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from seqtools._core.frames import current_frames
from seqtools.engines.wire import result_messages

_PIECE = getattr(select, "PIPE_BUF", 4096) - 128
"""Bytes of text in a message of at most PIPE_BUF bytes, which the system writes in one step.

So no half of a message is left if a signal handler of the user raises an exception.
"""
_PRINTED = (0, 0, 0, result_messages.PRINTED, 0.0)

Head: TypeAlias = tuple[Any, ...]


class OutputPipe:
    """The pipe of results. Threads write one message at a time."""

    def __init__(self, fd: int, lines: "Lines | None" = None) -> None:
        self._fd = fd
        self._lock: Any = threading.RLock()  # knows its thread
        self._unsent: deque[list[tuple[Head, bytes]]] = deque()  # pieces of each text or note
        self._forked = False
        self.name = ""
        """The name of the worker."""
        self.by_value: Sequence[Any] = ()
        """The objects to which notes refer by number."""
        self.lines = Lines() if lines is None else lines
        self.lines.sink = self.write_text
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._disconnect)

    def answer(self, head: tuple[Any, ...], *parts: Any) -> None:
        """Send a message about items, after all earlier output."""
        if self.lines.begun:
            self.lines.end_lines()
        self.send(head, *parts)

    def send(self, head: tuple[Any, ...], *parts: Any) -> None:
        """Send a message, after all complete lines."""
        if self._forked:
            os._exit(1)  # user code has forked, and the parent answers
        with self._lock:
            self._send_lines()
            result_messages.write_result(self._fd, head, *parts)
            self._send_lines()  # printed meanwhile by a signal handler or a finalizer

    def write_text(self, text: bytes) -> None:
        """Send output."""
        self._write([(_PRINTED, text[k : k + _PIECE]) for k in range(0, len(text), _PIECE)])

    def note(self, body: bytes) -> None:
        """Send a log record or a warning, after all complete lines."""
        pieces = [body[k : k + _PIECE] for k in range(0, len(body), _PIECE)]
        kind, n = result_messages.NOTE, len(pieces)
        self._write([((k, n, 0, kind, 0.0), piece) for k, piece in enumerate(pieces)])

    def target(self) -> "OutputPipe | None":
        """Return this, or `None` in a child that user code has forked: see `Forwarding`."""
        return None if self._forked else self

    def _write(self, pieces: list[tuple[Head, bytes]]) -> None:
        self._unsent.append(pieces)
        lock = self._lock
        if lock._is_owned():  # noqa: SLF001 -- as Condition does; inside a message
            return
        try:
            # Not `with`: Python 3.14 may be interrupted between the lock and the block.
            lock.acquire()
            self._send_lines()
        finally:
            if lock._is_owned():  # noqa: SLF001
                lock.release()

    def _send_lines(self) -> None:
        while self._unsent:
            for head, piece in self._unsent.popleft():
                result_messages.write_result(self._fd, head, piece)

    def _disconnect(self) -> None:
        """Use the pipe no more, in a child that user code has forked."""
        self._forked = True
        self.lines.begun.clear()
        self.lines.sink = _write_to_descriptor


class Lines(io.RawIOBase):
    """The raw stream of a standard output: sends whole lines, and keeps a line for each thread."""

    name = "<stdout>"

    def __init__(self) -> None:
        self.sink: Callable[[bytes], None] = _write_to_descriptor
        """Receives lines."""
        self.begun: dict[int, list[bytes]] = {}
        """Incomplete lines, by thread."""

    def write(self, data: Any) -> int:
        """Append `data` to the line of this thread, and send that if it ends with a newline."""
        text, thread = bytes(data), threading.get_ident()
        if text.endswith(b"\n"):
            self.sink(b"".join([*self.begun.pop(thread, ()), text]))
        elif text:
            self.begun.setdefault(thread, []).append(text)
        return len(text)

    def flush(self) -> None:
        """End the line of this thread."""
        self._end(threading.get_ident())

    def end_lines(self) -> None:
        """End the line of this thread, and the lines of threads that have ended."""
        self.flush()
        if self.begun:
            for thread in self.begun.keys() - current_frames().keys():
                self._end(thread)

    def _end(self, thread: int) -> None:
        begun = self.begun.pop(thread, None)
        if begun:
            self.sink(b"".join([*begun, b"\n"]))

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor for programs that are started with this output."""
        return 1


def replace_stdout() -> Lines:
    """Replace the standard output by the one that workers will have, and return its raw stream.

    A module may keep a reference to it when it is imported, such as in a handler of `logging`.
    """
    lines: Any = Lines()
    sys.stdout = io.TextIOWrapper(lines, "utf-8", "backslashreplace", "\n", write_through=True)
    return lines  # type: ignore[no-any-return]


def connect_stdout(fd: int) -> OutputPipe:
    """Send the standard output of this worker through the pipe `fd` from now on."""
    out: Any = sys.stdout
    lines = getattr(out, "buffer", None)
    if isinstance(lines, Lines):
        out.reconfigure(line_buffering=False)  # or it would split a text
    else:
        lines = replace_stdout()
    lines.begun.clear()  # those of the parent process
    return OutputPipe(fd, lines)


def flush() -> None:
    """Flush the standard streams of this process."""
    for stream in (sys.stdout, sys.__stdout__, sys.stderr):
        # closed, or `None` if a program was started without
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()  # type: ignore[union-attr]


def _write_to_descriptor(text: bytes) -> None:
    with suppress(OSError), open(1, "wb", closefd=False) as file:  # nobody reads it
        file.write(text)
