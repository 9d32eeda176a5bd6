"""Output of items in a worker that is the user's, and may print other things at the same time.

While a thread evaluates items, `sys.stdout` is replaced by a stream that collects what this thread
prints, and passes on what others print. When no thread evaluates items, it is what it was before.
Log records and warnings of that thread are collected in the same way.
"""

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from seqtools.engines.dispatch.forwarding import Forwarding, Target
from seqtools.engines.wire.flags import Flags


class Sink(Target, Protocol):
    """Takes printed text, log records and warnings."""

    flags: Flags | None
    """The flags that say what is logged."""
    end_line: Any
    """Set to a function that ends the line that is being printed."""

    def write(self, text: bytes) -> None:
        """Take whole lines."""


class _Here(threading.local):
    sink: Sink | None = None


class _Stream(io.TextIOBase):
    """Collects the lines of threads that have a sink."""

    def __init__(self, other: Any) -> None:
        self.other = other
        self._here = _Here()
        self._begun = threading.local()

    def connect(self, sink: Sink | None) -> None:
        """Have what this thread prints go to `sink`; `None` to end that."""
        if sink is None:
            self._end()
        else:
            sink.end_line = self._end
        self._here.sink = sink

    def write(self, text: str) -> int:
        """Collect `text`, or pass it on."""
        sink = self._here.sink
        if sink is None:
            return self.other.write(text)  # type: ignore[no-any-return]
        begun = getattr(self._begun, "text", "") + text
        if begun.endswith("\n"):
            begun, whole = "", begun
            sink.write(whole.encode("utf-8", "backslashreplace"))
        self._begun.text = begun
        return len(text)

    def flush(self) -> None:
        """End the line of this thread."""
        if self._here.sink is None:
            if self.other is not None:
                self.other.flush()
        else:
            self._end()

    def _end(self) -> None:
        begun, self._begun.text = getattr(self._begun, "text", ""), ""
        sink = self._here.sink
        if begun and sink is not None:
            sink.write((begun + "\n").encode("utf-8", "backslashreplace"))

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor for programs that are started with this output."""
        return self.other.fileno()  # type: ignore[no-any-return]

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As that of other texts."""
        return getattr(self.other, "encoding", None) or "utf-8"


_lock = threading.Lock()
_users = 0
_stream: _Stream | None = None
_here = _Here()
_logging = 0
_forwarding: Forwarding | None = None


@contextmanager
def captured(sink: Sink) -> Iterator[None]:
    """Have `sink` take what this thread prints in the block."""
    stream = _begin()
    stream.connect(sink)
    _begin_logging()
    before, _here.sink = _here.sink, sink
    try:
        yield
    finally:
        _here.sink = before
        _end_logging()
        stream.connect(None)
        _end(stream)


def _begin_logging() -> None:
    global _forwarding, _logging  # noqa: PLW0603 -- one for a process
    with _lock:
        if _forwarding is None:
            _forwarding = Forwarding(lambda: _here.sink, None, _flags)
        _logging += 1


def _flags() -> Flags | None:
    return None if _here.sink is None else _here.sink.flags


def _end_logging() -> None:
    global _forwarding, _logging  # noqa: PLW0603
    with _lock:
        _logging -= 1
        if not _logging and _forwarding is not None:
            _forwarding.end()
            _forwarding = None


def _begin() -> _Stream:
    global _stream, _users  # noqa: PLW0603 -- one for a process
    with _lock:
        if _stream is None or sys.stdout is not _stream:
            _stream = _Stream(sys.stdout)
            _users = 0
            sys.stdout = _stream
        _users += 1
        return _stream


def _end(stream: _Stream) -> None:
    global _stream, _users  # noqa: PLW0603
    with _lock:
        if stream is not _stream:
            return
        _users -= 1
        if not _users:
            if sys.stdout is stream:
                sys.stdout = stream.other
            _stream = None
