"""Faults on demand: a process that dies, stops or fails at a named point of the protocol.

They prove that nothing is lost, whatever dies and whenever. In the environment,

        SEQTOOLS_FAULTS="sent:SIGKILL:3,9 half-sent:segfault:2"
        SEQTOOLS_FAULTS_LOG=/some/folder

has the process that reaches `sent` for the third and the ninth time killed there, and the
one that writes the second message in the middle of it. With a folder for the log, passing
a point is counted over all processes, the replacements too; without, in each by itself.

Without such a variable, a point that every message passes costs a look at `armed`, 0.01 µs,
and those around an item are not there at all.
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
    "server-importing": "it is going to import a package",
    "server-asked": "it is asked for a template",
    "server-forked": "it has forked a template, and told nobody",
    # the guard of a template or of a spawned worker
    "guard-asked": "it is going to fork what it guards",
    # the template process
    "template-started": "it runs, and has loaded nothing",
    "template-again": "it has loaded the pipeline, which has threads, and starts again",
    "template-loaded": "it has loaded the pipeline, or is going to have workers load it",
    "template-asked": "it is asked for a worker",
    "template-forked": "it has forked a worker, and told nobody",
    # a worker
    "worker-started": "it runs, and nothing else",
    "worker-hooked": "its start hook has run",
    "worker-loaded": "it has the pipeline",
    "idle": "it waits for a task",
    "task-read": "it has a task",
    "item-begun": "it is going to evaluate an item",
    "item-done": "it has evaluated an item",
    "pickled": "it has pickled values, and sent nothing",
    "slot-taken": "it has a slot for a value, with nothing in it",
    "slot-half": "the first half of a value is in its slot",
    "sending": "it has a message with items, and has written nothing of it",
    "header-sent": "the head of a message is written",
    "half-sent": "half of what follows the head is written",
    "sent": "all of the message is written",
    # the consumer
    "consumer-start": "it is going to start a template",
    "consumer-started": "a template is started",
    "consumer-hire": "it has what a worker needs, and did not ask for one",
    "consumer-hired": "it has asked for a worker",
    "consumer-deal": "it is going to send a task",
    "consumer-dealt": "a task is sent",
    "consumer-polled": "it knows that something has happened",
    "consumer-read": "it has read results",
    "consumer-loaded": "it has made values of results",
    "consumer-lost": "it has taken the work of a dead worker back",
    "consumer-close": "it is going to end the workers",
    "consumer-closed": "it has told the workers to end",
}
"""Where a fault can be, and what was done by then."""

RECORD = struct.Struct("<dqi")
"""What a process notes in the log at a point: time as of `time.monotonic`, item, its number."""

armed = False
"""Whether there is a fault anywhere."""


class Fault(NamedTuple):
    """What is going to happen at a point."""

    kind: str
    times: frozenset[int]
    """How often the point is passed by then, counted from 1; empty for every time."""


class Passed(NamedTuple):
    """A record of the log."""

    time: float
    """As of `time.monotonic`."""
    item: int
    """The item that was evaluated, -1 if it is not known."""
    pid: int
    """The process, or the guard by which the consumer knows it."""


_faults: dict[str, Fault] = {}
_passed: dict[str, int] = {}
_log: str | None = None
guard: int | None = None
"""The process by which the consumer knows this one, if it is another."""


def arm(text: str | None = None, log: str | None = None) -> None:
    """Take the faults from `text`, or from the environment.

    Raises:
        ValueError: If there is no such point or kind of fault.
    """
    global armed, _log  # noqa: PLW0603 -- a look at `armed` is all that a point may cost
    text = os.environ.get("SEQTOOLS_FAULTS", "") if text is None else text
    _log = log or os.environ.get("SEQTOOLS_FAULTS_LOG")
    _faults.clear()
    _passed.clear()
    _faults.update(parsed(text))
    armed = bool(_faults)


def parsed(text: str) -> dict[str, Fault]:
    """Return the faults that `text` asks for, by their points.

    Raises:
        ValueError: If there is no such point or kind of fault.
    """
    found = {}
    for entry in text.split():
        point, kind, times = (*entry.split(":"), "", "")[:3]
        if point not in POINTS or (kind not in _KINDS and not hasattr(errno, kind)):
            message = f"a fault is point:kind:times, got {entry!r}"
            raise ValueError(message)
        found[point] = Fault(kind, frozenset(map(int, filter(None, times.split(",")))))
    return found


def reach(point: str, item: int = -1) -> None:
    """Have happen what is to happen at `point`, if it is time for it."""
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
    """Return `get` between two points."""

    def between(i: int) -> Any:
        reach("item-begun", i)
        value = get(i)
        reach("item-done", i)
        return value

    return between


def passed(point: str, log: str) -> list[Passed]:
    """Return who has passed `point`, in order."""
    try:
        with open(os.path.join(log, point), "rb") as file:
            return [Passed(*record) for record in RECORD.iter_unpack(file.read())]
    except FileNotFoundError:
        return []


def injected(text: str, log: str) -> list[tuple[str, str, Passed]]:
    """Return the faults of `text` that did happen: point, kind, and where it was, by time."""
    found = [
        (point, fault.kind, record)
        for point, fault in parsed(text).items()
        for count, record in enumerate(passed(point, log), 1)
        if fault.kind != "nothing" and (not fault.times or count in fault.times)
    ]
    return sorted(found, key=lambda each: each[2].time)


def _count(point: str, item: int) -> int:
    if _log is None:
        _passed[point] = _passed.get(point, 0) + 1
        return _passed[point]
    fd = os.open(os.path.join(_log, point), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        # the system appends in one step, so every record has a place of its own
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
    """Have a signal do what it does where nobody, such as `faulthandler`, handles it."""
    with suppress(ValueError):  # in another thread than the main one
        signal.signal(number, signal.SIG_DFL)


def _fail() -> None:
    raise RuntimeError("a fault on demand")


_KINDS: dict[str, Callable[[], Any]] = {
    "segfault": _segfault,
    "SIGABRT": _abort,
    "exit": lambda: os._exit(0),
    "raise": _fail,
    "hang": lambda: threading.Event().wait(),
    "nothing": lambda: None,  # the log says when a point was passed
    **{
        name: _kill(name)
        for name in ("SIGKILL", "SIGSTOP", "SIGTERM", "SIGINT")
        if hasattr(signal, name)
    },
}

arm()
