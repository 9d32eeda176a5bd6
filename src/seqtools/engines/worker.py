"""What a worker process does: it evaluates the items that it is asked for."""

import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from seqtools import buffers, recording
from seqtools.engines import faults, frames
from seqtools.engines.asking import Task, TaskReader
from seqtools.engines.base import here
from seqtools.engines.exceptions import Parcel
from seqtools.engines.printing import Outlet, flush
from seqtools.engines.shipping import Dumper, Loader
from seqtools.engines.slots import Borrowed, Slots
from seqtools.engines.watching import watched
from seqtools.errors import EndOfSequence, Failure, Step, seterr, shortened, summary

MODES = ("wrap", "passthrough")

_HOLD = 0.002
"""Seconds for which a value may be held back to send it with others.

Long against the 20 µs that a message costs, short against what a reader notices."""

_LARGE_PICKLE = 1 << 16
"""Bytes from which a pickle is sent through a slot: as many as a pipe may take."""
_IDLE_SECONDS = 5.0
"""Time without work after which the memory of free slots is given back. Arbitrary."""
_LONGEST_STORY = 30_000
"""Characters of a traceback that are sent. Arbitrary: the exception itself may be of any size."""


class Worker:
    """Evaluates items by `get`, and answers through its outlet."""

    def __init__(  # noqa: PLR0913, PLR0917 -- what it works with
        self,
        get: Callable[[int], Any],
        hints: Any,
        by_value: list[Any],
        outlet: Outlet,
        slots: Slots | None,
        name: str,
    ) -> None:
        self._get = faults.around(get) if faults.armed else get
        self._hints = hints
        self._outlet = outlet
        self._slots = slots
        self._name = name
        self._dumper = Dumper(by_value)
        self._loader = Loader(by_value)

    def serve(self, tasks: TaskReader) -> None:
        """Evaluate until there is nobody to ask any more."""
        self._outlet.answer((0, 0, 0, frames.READY, 0.0))
        here.get = self._get
        if self._hints is not None:
            self._hints.take_turns()
        if self._slots is not None:
            buffers.allocate = self._slots.borrow
            tasks.while_idle = (_IDLE_SECONDS, self._slots.trim)
        while (task := tasks.read()) is not None:
            if faults.armed:
                faults.reach("task-read")
            seterr(MODES[task.mode])
            if self._hints is not None:
                self._hints(task.ahead)
            self._evaluate(task)

    def _evaluate(self, task: Task) -> None:
        get, clock, slots = self._get, time.perf_counter, self._slots
        if task.watched:
            self._tell(task.block, 0, ())  # that it begins
            get = watched(get, lambda path: self._tell(task.block, done, path))
        indices, values = task.indices, list[Any]()
        append = values.append
        # without slots, what was answered last tells where it hangs
        hold = -1.0 if task.timed and slots is None else _HOLD
        tell = slots.progress.tell if task.timed and slots is not None else None
        done = 0
        while done < len(indices):
            began = clock()
            until = began + hold
            try:
                for i in indices[done:]:
                    if tell is not None:
                        tell(task.block, done + len(values))
                    append(get(i))
                    if clock() > until:
                        break
            except BaseException as error:  # noqa: BLE001 -- told to the reader
                took = clock() - began
                done = self._send(task, done, values, took)
                self._fail(task.block, done, error, took)
                done += 1
            else:
                done = self._send(task, done, values, clock() - began)

    def _tell(self, block: int, done: int, path: tuple[Step, ...]) -> None:
        """Tell which stage is going to call user code."""
        self._outlet.send((block, done, 0, frames.STAGE, 0.0), pickle.dumps(path))

    def _send(self, task: Task, done: int, values: list[Any], took: float) -> int:
        """Answer with `values`, which is empty then; return how many are answered with these."""
        count = len(values)
        if not count:
            return done
        parts = Parts(self._slots)
        began = time.perf_counter_ns() if recording.active else 0
        try:
            body = self._dumper.dumps(values, parts.add)
            if faults.armed:
                faults.reach("pickled")
        except Exception as error:  # noqa: BLE001 -- code of users may raise anything
            parts.cancel()
            if count > 1:  # find out which
                for value in values:
                    done = self._send(task, done, [value], took / count)
                values.clear()
                return done
            reason = _reason(values[0], error)
            message = f"item {task.indices[done]} cannot be sent from a worker process: {reason}"
            values.clear()
            kind = MemoryError if isinstance(error, MemoryError) else TypeError
            self._fail(task.block, done, kind(message), took)
            return done + 1
        head = (task.block, done, count, frames.VALUES, took)
        values.clear()  # what nobody refers to any more can be given away as it is
        sent = parts.sent(body)
        self._outlet.answer(head, *sent)
        if began:
            recording.note(recording.SEND, count, sum(map(frames.length, sent)), began)
        return done + count

    def _fail(self, block: int, done: int, error: BaseException, took: float) -> None:
        if isinstance(error, EndOfSequence):
            self._outlet.answer((block, done, 1, frames.END, took))
            return
        failure = Failure.caught(error)
        failure.trace = f"in {self._name}:\n{_story(failure.error)}"
        body = self._dumped(failure)
        self._outlet.answer((block, done, 1, frames.FAILURE, took), body)

    def _dumped(self, failure: Failure) -> Any:
        """Return a failure pickled, such that it can be loaded."""
        parcel = Parcel(failure.error, self._dumper.dumps, self._loader.loads)
        return self._dumper.dumps((parcel, failure.path, failure.trace))


class Parts:
    """The parts of a message: what is large of them in slots, where there is room."""

    def __init__(self, slots: Slots | None) -> None:
        self._slots = slots
        self._buffers: list[Any] = []

    def add(self, buffer: pickle.PickleBuffer) -> bool:
        """Take a buffer; return whether it is so small that it belongs into the pickle."""
        raw = buffer.raw()
        if raw.nbytes < buffers.SMALL:
            return True
        found = None if self._slots is None else self._slots.find(raw)
        self._buffers.append(raw if found is None else found)
        return False

    def cancel(self) -> None:
        """Send nothing."""
        for buffer in self._buffers:
            if isinstance(buffer, Borrowed):
                buffer.given = False

    def sent(self, body: Any) -> list[Any]:
        """Return the pickle and the buffers, ready to be written."""
        slots, parts = self._slots, [body, *self._buffers]
        self._buffers.clear()
        if slots is None:
            return parts
        large = len(body) >= _LARGE_PICKLE
        # copies come first, because they may be of parts of what is given away
        for k in range(0 if large else 1, len(parts)):
            if not isinstance(parts[k], Borrowed):
                parts[k] = slots.put(memoryview(parts[k])) or parts[k]
        return [slots.give(part) if isinstance(part, Borrowed) else part for part in parts]


def _reason(value: Any, error: Exception) -> str:
    kind = type(value)
    told, advice = summary(error), ""
    if "<locals>" in told or "not found as" in told or "not the same object" in told:
        advice = " (a class or function that was first made in the worker cannot leave it)"
    return f"{kind.__qualname__}: {told}{advice}"


def _story(error: BaseException) -> str:
    """Return the traceback of `error`."""
    try:
        return shortened("".join(traceback.format_exception(error)), _LONGEST_STORY)
    except BaseException:  # noqa: BLE001 -- code of users may raise anything
        return "(its traceback cannot be shown)"


def quiet() -> None:
    """Leave Ctrl-C to the consumer, who may go on reading after it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def end_with(parent: int) -> None:
    """Have this process killed when the thread that started it ends, where that can be done.

    Whatever it does then: it may be in compiled code that never comes back.
    """
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        leave(1)


def leave(status: int) -> NoReturn:
    """End this process at once, but for what was printed."""
    flush()
    os._exit(status)
