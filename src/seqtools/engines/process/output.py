"""What is printed in a worker, on its way to the consumer.

        print ──▶ Lines: a line for each thread ──▶ OutputPipe ══ pipe of results ══▶ consumer

In a worker, `sys.stdout` gathers lines, and sends whole ones through the pipe by which it
answers. A line ends with its newline, with `flush()`, or with the answer about the item that
printed it. So what an item prints is there before the item, also where more than one worker
prints, and nothing waits for the end of the worker.

What goes to descriptor 1 past Python, by compiled code or by programs that are started, goes
where it went, and so does all that is written to `sys.stderr`.
"""

import io
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from seqtools.engines.wire import result_messages

_PIECE = getattr(select, "PIPE_BUF", 4096) - 128
"""Bytes of text in a message, such that all of it is at most PIPE_BUF bytes.

The system takes so many in one step or none. So a signal handler of the user's that raises, to
end what takes too long, leaves no half of a message.
"""
_PRINTED = (0, 0, 0, result_messages.PRINTED, 0.0)


class OutputPipe:
    """The pipe of results, into which threads write one message at a time."""

    def __init__(self, fd: int, lines: "Lines | None" = None) -> None:
        self._fd = fd
        self._lock: Any = threading.RLock()  # which knows its thread
        self._unsent: deque[bytes] = deque()
        self._forked = False
        self.lines = Lines() if lines is None else lines
        self.lines.say = self.say
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._let_go)

    def answer(self, head: tuple[Any, ...], *parts: Any) -> None:
        """Send a message about items, after all that was printed until now."""
        if self.lines.begun:
            self.lines.settle()
        self.send(head, *parts)

    def send(self, head: tuple[Any, ...], *parts: Any) -> None:
        """Send a message, after all lines that are complete."""
        if self._forked:
            os._exit(1)  # user code has forked, and both have returned: one is enough
        with self._lock:
            self._send_lines()
            result_messages.write_result(self._fd, head, *parts)
            self._send_lines()  # of a signal handler or a finalizer that printed meanwhile

    def say(self, text: bytes) -> None:
        """Send `text`, which is printed."""
        self._unsent.append(text)
        lock = self._lock
        if lock._is_owned():  # noqa: SLF001 -- as Condition does; in the midst of a message
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
            text = self._unsent.popleft()
            for k in range(0, len(text), _PIECE):
                result_messages.write_result(self._fd, _PRINTED, text[k : k + _PIECE])

    def _let_go(self) -> None:
        """Keep a child that user code has forked from writing to the pipe."""
        self._forked = True
        self.lines.begun.clear()
        self.lines.say = _write_to_descriptor


class Lines(io.RawIOBase):
    """What is below a standard output: gives away whole lines, with a line for each thread."""

    name = "<stdout>"

    def __init__(self) -> None:
        self.say: Callable[[bytes], None] = _write_to_descriptor
        """What to give lines to."""
        self.begun: dict[int, list[bytes]] = {}
        """What has no newline yet, by thread."""

    def write(self, data: Any) -> int:
        """Take `data`; if it ends with a newline, give it away with all that this thread began.

        Text of several lines stays together.
        """
        text, thread = bytes(data), threading.get_ident()
        if text.endswith(b"\n"):
            self.say(b"".join([*self.begun.pop(thread, ()), text]))
        elif text:
            self.begun.setdefault(thread, []).append(text)
        return len(text)

    def flush(self) -> None:
        """End the line that this thread has begun."""
        self._end(threading.get_ident())

    def settle(self) -> None:
        """End the line of this thread, and those of threads that are no more."""
        self.flush()
        if self.begun:
            for thread in self.begun.keys() - sys._current_frames().keys():  # noqa: SLF001 -- public
                self._end(thread)

    def _end(self, thread: int) -> None:
        begun = self.begun.pop(thread, None)
        if begun:
            self.say(b"".join([*begun, b"\n"]))

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor for programs that are to be started with this output."""
        return 1


def stand_in() -> Lines:
    """Have a standard output that becomes that of workers, for who keeps it before there are any.

    A module may do so when it is imported, for a handler of `logging`.
    """
    lines: Any = Lines()
    sys.stdout = io.TextIOWrapper(lines, "utf-8", "backslashreplace", "\n", write_through=True)
    return lines  # type: ignore[no-any-return]


def gather(fd: int) -> OutputPipe:
    """Return the outlet of this worker to the pipe `fd`; from now on, it is what prints."""
    out: Any = sys.stdout
    lines = getattr(out, "buffer", None)
    if isinstance(lines, Lines):
        out.reconfigure(line_buffering=False)  # or it would end a line in the midst of a text
    else:
        lines = stand_in()
    lines.begun.clear()  # what a process that was forked had begun is its own
    return OutputPipe(fd, lines)


def flush() -> None:
    """Write out what is held back anywhere in this process, as it is going to end."""
    for stream in (sys.stdout, sys.__stdout__, sys.stderr):
        # closed, or `None` where a program was started without
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()  # type: ignore[union-attr]


def _write_to_descriptor(text: bytes) -> None:
    with suppress(OSError), open(1, "wb", closefd=False) as file:  # there is nobody to tell
        file.write(text)
