"""What is printed in a worker, on its way to the consumer.

        print ──▶ Lines: a line for each thread ──▶ Outlet ══ pipe of results ══▶ consumer

In a worker, `sys.stdout` gathers lines, and sends whole ones through the pipe by which it
answers. A line ends with its newline, with `flush()`, or with the answer about the item that
printed it. So what an item prints is there before the item, also where more than one worker
prints, and nothing waits for the end of the worker.

What goes to descriptor 1 past Python, by compiled code or by programs that are started, goes
where it went, and so does all that is written to `sys.stderr`.
"""

import codecs
import errno
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
_GONE = {errno.EPIPE, errno.EBADF}
"""Errors of a pipe that nobody reads from, or that user code has closed."""
_LOST = b"(what a worker printed was lost, as there was no memory to send it)\n"
_MUCH = 1000
"""Texts that wait to be sent, from which on a thread that prints more waits too. Arbitrary."""


class OutputPipe:
    """The pipe of results, into which threads write one message at a time.

    Answers are written by one thread, which waits for its turn. What is printed waits for
    nobody: if it is the turn of another, it is left for that one to send.
    """

    def __init__(self, fd: int, lines: "Lines | None" = None) -> None:
        self._fd = fd
        self._lock: Any = threading.RLock()  # which knows its thread
        self._unsent: deque[str] = deque()
        self._forked = False
        self.lines = Lines() if lines is None else lines
        self.lines.say = self.say
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._let_go)

    def answer(self, head: tuple[Any, ...], *parts: Any) -> None:
        """Send a message about items, behind all that was printed until now."""
        if self.lines.begun:
            with suppress(MemoryError):
                self.lines.settle()
        self.send(head, *parts)

    def send(self, head: tuple[Any, ...], *parts: Any) -> None:
        """Send a message, behind all lines that are complete."""
        if self._forked:
            os._exit(1)  # user code has forked, and both have returned: one is enough
        with self._lock:
            if self._unsent:
                self._empty()
            result_messages.write_result(self._fd, head, *parts)
        if self._unsent:  # somebody printed meanwhile
            self._hand_over()

    def say(self, text: str) -> None:
        """Send `text`, which is printed; an error of the pipe is for who answers next."""
        if self._forked:
            _write_to_descriptor(text)
            return
        self._unsent.append(text)
        try:
            self._hand_over()
        except OSError as error:
            if error.errno not in _GONE:  # as what a signal handler raises, such as TimeoutError
                raise

    def _hand_over(self) -> None:
        lock = self._lock
        # Who has the turn looks for more when it is over, so nothing is left behind. A signal
        # handler or a finalizer may be in the middle of a message of its own thread.
        while (
            self._unsent
            and not lock._is_owned()  # noqa: SLF001 -- as Condition does
            and lock.acquire(blocking=len(self._unsent) > _MUCH)
        ):
            try:
                self._empty()
            finally:
                lock.release()

    def _empty(self) -> None:
        while self._unsent:
            try:
                data = self._unsent.popleft().encode("utf-8", "backslashreplace")
            except MemoryError:
                data = _LOST
            for k in range(0, len(data), _PIECE):
                part = (result_messages.BEGINS if k == 0 else 0) | (
                    result_messages.ENDS if k + _PIECE >= len(data) else 0
                )
                head = (part, 0, 0, result_messages.PRINTED, 0.0)
                result_messages.write_result(self._fd, head, data[k : k + _PIECE])

    def _let_go(self) -> None:
        """Keep a child that user code has forked from writing to the pipe."""
        self._forked = True
        self._unsent.clear()
        self.lines.begun.clear()
        self._lock = threading.RLock()


class Lines(io.TextIOBase):
    """A standard output that gives away whole lines, with a line for each thread."""

    encoding = "utf-8"
    errors = "backslashreplace"
    name = "<stdout>"
    mode = "w"

    def __init__(self) -> None:
        self.say: Callable[[str], None] = _write_to_descriptor
        """What to give lines to."""
        self.begun: dict[int, list[str]] = {}
        """What has no newline yet, by thread."""
        self.buffer = _Bytes(self)

    def write(self, text: str) -> int:
        """Take `text`; if it ends with a newline, give it away with all that this thread began.

        Text of several lines stays together.
        """
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text.endswith("\n"):
            begun = self.begun.pop(threading.get_ident(), None)
            self.say("".join([*begun, text]) if begun else text)
        elif text:
            self.begun.setdefault(threading.get_ident(), []).append(text)
        return len(text)

    def flush(self) -> None:
        """End the line that this thread has begun."""
        self._end(threading.get_ident())

    def settle(self) -> None:
        """End the line of this thread, and those of threads that are no more."""
        self.flush()
        if self.begun:
            for ident in self.begun.keys() - sys._current_frames().keys():  # noqa: SLF001 -- public
                self._end(ident)

    def _end(self, ident: int) -> None:
        begun = self.begun.pop(ident, None)
        if begun:
            self.say("".join([*begun, "\n"]))

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor for programs that are to be started with this output."""
        return 1

    def reconfigure(self, **_: Any) -> None:
        """Do nothing: any text can be written, and lines are given away at once."""


class _Bytes(io.RawIOBase):
    """Takes bytes for `Lines`."""

    name = "<stdout>"
    mode = "wb"

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._decode = codecs.getincrementaldecoder("utf-8")("backslashreplace").decode

    def write(self, data: Any) -> int:
        """Take `data`, text in UTF-8."""
        taken = bytes(data)
        self._lines.write(self._decode(taken))
        return len(taken)

    def flush(self) -> None:
        """End the line that this thread has begun."""
        self._lines.flush()

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor, as `Lines` does."""
        return 1


_replaced: list[Any] = []


def stand_in() -> None:
    """Have a standard output that becomes that of workers, for who keeps it before there are any.

    A module may do so when it is imported, for a handler of `logging`.
    """
    _replaced.append(sys.stdout)
    sys.stdout = Lines()


def gather(fd: int) -> OutputPipe:
    """Return the outlet of this worker to the pipe `fd`; from now on, it is what prints."""
    if not isinstance(sys.stdout, Lines):
        stand_in()
    lines: Any = sys.stdout
    lines.begun.clear()  # what a process that was forked had begun is its own
    return OutputPipe(fd, lines)


def flush() -> None:
    """Write out what is held back anywhere in this process, as it is going to end."""
    for stream in (sys.stdout, *_replaced, sys.stderr):
        # closed, or `None` where a program was started without
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _write_to_descriptor(text: str) -> None:
    view = memoryview(text.encode("utf-8", "backslashreplace"))
    with suppress(OSError):  # there is nobody to tell
        while view:
            view = view[os.write(1, view) :]
