"""Shows the output of workers, in the consumer, and hands over their log records and warnings.

A thread that reads items writes it to the current `sys.stdout`: while it waits, and before it
returns an item that arrived after the output. A background thread would write into the middle of a
line that the program prints, and in a notebook to another cell. No thread waits for a lock
meanwhile, because a stream of the user may block, raise or read the same items.
"""

import atexit
import os
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from seqtools._core.display.short import called, short
from seqtools._core.errors import summary

MOST = 10_000
"""Texts that may wait to be shown. If there are more, workers wait. Arbitrary."""

said: deque[str | Callable[[], object]] = deque()
"""Output of workers that was not shown yet, in order: whole lines, and functions to be called."""


class WorkerOutput:
    """The output of one worker, put together from pieces."""

    __slots__ = ("_begun", "_note", "_pieces")

    def __init__(self) -> None:
        self._begun = bytearray()
        self._note = bytearray()
        self._pieces = 0

    def add(self, piece: Any) -> None:
        """Append a piece of text; the last piece of a text ends with a newline."""
        self._begun += piece
        if self._begun.endswith(b"\n"):
            self.end()

    def add_note(self, number: int, count: int, piece: Any) -> bytes | None:
        """Append piece `number` of a note of `count` pieces; return the note if it is complete.

        A signal handler of the user may have ended an earlier note before its last piece.
        """
        if not number:
            self._note, self._pieces = bytearray(), 0
        if number == self._pieces:
            self._note += piece
            self._pieces += 1
            if self._pieces == count:
                self._pieces = -1
                return bytes(self._note)
        return None

    def end(self) -> None:
        """Have the text shown, with a newline at its end."""
        begun, self._begun = self._begun, bytearray()
        if begun:
            text = begun.decode("utf-8", "backslashreplace")
            said.append(text if text.endswith("\n") else text + "\n")


class _Display:
    """Writes output, one thread at a time."""

    def __init__(self) -> None:
        self._lock: Any = threading.RLock()  # which knows its thread
        self._complained: set[str] = set()
        self.ending = False  # the program ends

    def show(self) -> None:
        """Write all output, unless another thread is doing that."""
        lock = self._lock
        if lock._is_owned():  # noqa: SLF001 -- as Condition does; the stream reads items
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
            each = said[0]
            try:
                _write(each) if isinstance(each, str) else each()
            except Exception as error:
                if _is_of_signal_handler(error):
                    raise
                if isinstance(error, Warning) and not isinstance(each, str):
                    said.popleft()
                    raise  # the filters of the program say so
                culprit = "sys.stdout" if isinstance(each, str) else _culprit(error)
                self._complain(each, culprit, error)
            said.popleft()  # not before, because an interrupt may come while it is written

    def _complain(self, lost: object, culprit: str, error: Exception) -> None:
        if culprit in self._complained:
            return
        self._complained.add(culprit)  # first, as warnings may be errors
        what = (
            "output of workers cannot be shown"
            if isinstance(lost, str)
            else "log records or warnings of workers are lost"
        )
        message = f"{what}, because {culprit} raised {summary(error)}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)

    def renew(self) -> None:
        """Forget the output and the progress bars of the parent process."""
        self._lock = threading.RLock()
        said.clear()
        around[0] = nullcontext

    def show_rest(self) -> None:
        """Write all output; if warnings are errors, raise the first one, with notes of the others.

        Nothing may read afterwards, so the others must not wait for the next reader.
        """
        try:
            self.show()
        except Warning as first:
            while (more := self._warning()) is not None:
                first.add_note(f"{type(more).__name__}: {more}")
            raise

    def _warning(self) -> Warning | None:
        try:
            self.show()
        except Warning as warning:
            return warning
        return None

    def end(self) -> None:
        """Show all output at the end of the program, where no code can catch a warning."""
        self.ending = True
        try:
            self.show_rest()
        except Warning as warning:
            sys.excepthook(type(warning), warning.with_traceback(None), None)


def _is_of_signal_handler(error: Exception) -> bool:
    """Return whether a signal handler of the program raised this exception, and not the stream."""
    import traceback

    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    codes = {_code(handler) for handler in handlers if callable(handler)}
    return any(frame.f_code in codes for frame, _ in traceback.walk_tb(error.__traceback__))


def _culprit(error: Exception) -> str:
    """Name the handler or filter of `logging` that has raised `error`."""
    import logging  # it was imported for the record
    import traceback

    owner, where = None, ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if isinstance(found := frame.f_locals.get("self"), logging.Logger):
            where = f" of logger {found.name!r}"
        elif isinstance(found, logging.Handler) and owner is None:
            owner = found
            where = where and f", called for{where.removeprefix(' of')},"
        if frame.f_code is logging.Filterer.filter.__code__:
            test = frame.f_locals.get("f")
            whose = where if owner is None else f" of handler {short(owner)}"
            return f"filter {called(test)}{whose}"
    return "what handles them" if owner is None else f"handler {short(owner)}{where}"


def _code(handler: Any) -> Any:
    """Return the code of a function of Python, a method, a partial function or an object."""
    function = getattr(handler, "func", handler)
    function = getattr(function, "__func__", function)
    return getattr(function, "__code__", getattr(type(function).__call__, "__code__", None))


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
"""Returns, for a stream, a context in which no progress bar is shown there."""

_shower = _Display()
show = _shower.show
atexit.register(_shower.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shower.renew)


def show_last(*, wait: bool) -> None:
    """Show all output when workers have ended.

    Without `wait`, the garbage collector may be the caller, in the middle of a line of the program.
    Then a reader shows the output later, or the end of the program.
    """
    if _shower.ending:
        _shower.end()
    elif wait:
        _shower.show_rest()
