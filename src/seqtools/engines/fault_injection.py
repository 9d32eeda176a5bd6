"""Faults on demand, for tests: a process dies, stops or fails at a named point of the protocol.

In the environment,

        SEQTOOLS_FAULTS="sent:SIGKILL:3,9 half-sent:segfault:2"
        SEQTOOLS_FAULTS_LOG=/some/folder

kills the process that reaches `sent` for the third and the ninth time, and crashes the process
that writes the second message, in the middle of it. With a folder for the log, all processes
together count how often a point is reached; without it, each process counts for itself.

Without these variables, a point that every message reaches costs a look at `armed`, 0.01 µs, and
there are no points around an item.
"""

import ctypes
import errno
import os
import signal
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

POINTS = {
    # the fork server
    "server-started": "it runs, and has imported nothing",
    "server-importing": "it is about to import a package",
    "server-asked": "it has a request for a template",
    "server-forked": "it has forked a template, and not reported it",
    # the guard of a template or of a spawned worker
    "guard-asked": "it is about to fork the process that it guards",
    # the template process
    "template-started": "it runs, and has loaded nothing",
    "template-again": "it has loaded a pipeline that has threads, and not reported it",
    "template-loaded": "it has loaded the pipeline, unless workers do",
    "template-asked": "it has a request for a worker",
    "template-forked": "it has forked a worker, and not reported it",
    # a worker
    "worker-started": "it runs, and has done nothing",
    "worker-hooked": "its start hook has run",
    "worker-loaded": "it has the pipeline",
    "idle": "it waits for a task",
    "task-read": "it has a task",
    "item-begun": "it is about to evaluate an item",
    "item-done": "it has evaluated an item",
    "pickled": "it has pickled values, and sent nothing",
    "slot-taken": "it has an empty slot for a value",
    "slot-half": "the first half of a value is in its slot",
    "sending": "it has a message with items, and has written nothing of it",
    "header-sent": "it has written the header of a message",
    "half-sent": "it has written the header of a message, and half of the rest",
    "sent": "it has written a message",
    # the consumer
    "consumer-start": "it is about to start a template",
    "consumer-started": "it has started a template",
    "consumer-worker": "it has the pipes of a worker, and is about to request it",
    "consumer-worker-requested": "it has requested a worker",
    "consumer-task": "it is about to send a task",
    "consumer-task-sent": "it has sent a task",
    "consumer-polled": "it has received events",
    "consumer-read": "it has read results",
    "consumer-loaded": "it has loaded the values of results",
    "consumer-requeued": "it has requeued the items of a dead worker",
    "consumer-close": "it is about to end the workers",
    "consumer-closed": "it has let the workers end",
}
"""The points, and what has happened there."""

RECORD = struct.Struct("<dqi")
"""A record of the log: time as of `time.monotonic`; item, or -1; and process id, see `guard`."""

armed = False
"""Whether there is any fault."""


class Fault(NamedTuple):
    """What happens at a point."""

    kind: str
    times: frozenset[int]
    """When it happens, counted from 1; empty for every time."""


_faults: dict[str, Fault] = {}
_passed: dict[str, int] = {}
_log: str | None = None
guard: int | None = None
"""The process id by which the consumer knows this process, if it is that of its guard."""


def arm(text: str | None = None) -> None:
    """Read the faults from `text`, or from the environment.

    Raises:
        ValueError: If a point or kind of fault does not exist.
    """
    global armed, _log  # noqa: PLW0603 -- a point must cost no more than a look at `armed`
    text = os.environ.get("SEQTOOLS_FAULTS", "") if text is None else text
    _log = os.environ.get("SEQTOOLS_FAULTS_LOG")
    _faults.clear()
    _passed.clear()
    _faults.update(parsed(text))
    armed = bool(_faults)


def parsed(text: str) -> dict[str, Fault]:
    """Return the faults that `text` describes, by their points; raise as `arm` does."""
    found = {}
    for entry in text.split():
        point, kind, times = (*entry.split(":"), "", "")[:3]
        if point not in POINTS or (kind not in _KINDS and not hasattr(errno, kind)):
            message = f"a fault is point:kind:times, got {entry!r}"
            raise ValueError(message)
        found[point] = Fault(kind, frozenset(map(int, filter(None, times.split(",")))))
    return found


def reach(point: str, item: int = -1) -> None:
    """Cause the fault at `point`, if it is time for it."""
    fault = _faults.get(point)
    if fault is None:
        return
    count = _count(point, item)
    if not fault.times or count in fault.times:
        if fault.kind in _KINDS:
            _KINDS[fault.kind]()
        else:
            number = getattr(errno, fault.kind)
            raise OSError(number, os.strerror(number))


def around(get: Callable[[int], Any]) -> Callable[[int], Any]:
    """Return `get` with a point before it and one after it."""

    def between(i: int) -> Any:
        reach("item-begun", i)
        value = get(i)
        reach("item-done", i)
        return value

    return between


def _count(point: str, item: int) -> int:
    if _log is None:
        _passed[point] = _passed.get(point, 0) + 1
        return _passed[point]
    fd = os.open(os.path.join(_log, point), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        # the system appends in one step, so records of several processes do not mix
        os.write(fd, RECORD.pack(time.monotonic(), item, guard or os.getpid()))
        return os.lseek(fd, 0, os.SEEK_CUR) // RECORD.size
    finally:
        os.close(fd)


def _kill(name: str) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), getattr(signal, name))


def _segfault() -> None:
    _undo_handler(signal.SIGSEGV)
    ctypes.string_at(0)


def _abort() -> None:
    _undo_handler(signal.SIGABRT)
    os.abort()


def _undo_handler(number: int) -> None:
    """Remove the handler of a signal, such as that of `faulthandler`."""
    with suppress(ValueError):  # not in the main thread
        signal.signal(number, signal.SIG_DFL)


def _fail() -> None:
    raise RuntimeError("a fault on demand")


_KINDS: dict[str, Callable[[], Any]] = {
    "segfault": _segfault,
    "SIGABRT": _abort,
    "exit": lambda: os._exit(0),
    "raise": _fail,
    "hang": lambda: threading.Event().wait(),
    "nothing": lambda: None,  # only the log is written
    **{
        name: _kill(name)
        for name in ("SIGKILL", "SIGSTOP", "SIGTERM", "SIGINT")
        if hasattr(signal, name)
    },
}

arm()
