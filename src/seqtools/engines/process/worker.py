"""What a worker process does: it evaluates the items that it is asked for."""

import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from seqtools._core import allocator, recording
from seqtools._core.errors import EndOfSequence, Failure, Step, seterr, shortened
from seqtools.engines import fault_injection
from seqtools.engines.base import here
from seqtools.engines.process.output import OutputPipe, flush
from seqtools.engines.process.stage_reports import watched
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.arena import Arena
from seqtools.engines.wire.exceptions import pickled
from seqtools.engines.wire.shipment import ResultDumper
from seqtools.engines.wire.task_messages import TaskMessage, TaskReader
from seqtools.engines.wire.values import PLAIN, OutgoingValues

MODES = ("wrap", "passthrough")

GRAIN = 0.002
"""Seconds of work that are worth a message: so long, a value is held back to be sent with others.

Long against the 20 µs that a message costs, short against what a reader notices."""
_STUCK = 8
"""A task that has taken so many times `GRAIN` is slower than was expected: what is left of it may
be given to other workers. Arbitrary."""
_STRETCH = 16
"""Items between two looks at the clock, where they take next to nothing. A look takes 50 ns, so
that more would save nothing; and all of them may be slow, after quick ones."""

_QUICK = GRAIN / 8 / _STRETCH
"""Seconds for an item that takes next to nothing."""

_IDLE_SECONDS = 5.0
"""Time without work after which the memory of free slots is given back. Arbitrary."""
_PR_SET_PDEATHSIG = 1
_LONGEST_STORY = 30_000
"""Characters of a traceback that are sent. Arbitrary: the exception itself may be of any size."""


class Worker:
    """Evaluates items by `get`, and answers through its outlet."""

    def __init__(  # noqa: PLR0913, PLR0917 -- what it works with
        self,
        get: Callable[[int], Any],
        hints: Any,
        by_value: list[Any],
        outlet: OutputPipe,
        slots: Arena | None,
        name: str,
    ) -> None:
        self._get = fault_injection.around(get) if fault_injection.armed else get
        self._hints = hints
        self._outlet = outlet
        self._slots = slots
        self._name = name
        self._dumper = ResultDumper(by_value)
        self._out = OutgoingValues(self._dumper, slots)

    def serve(self, tasks: TaskReader) -> None:
        """Evaluate until there is nobody to ask any more."""
        self._outlet.answer((0, 0, 0, result_messages.READY, 0.0))
        here.get = self._get
        if self._hints is not None:
            self._hints.take_turns()
        if self._slots is not None:
            allocator.allocate = self._slots.borrow
            tasks.while_idle = (_IDLE_SECONDS, self._slots.trim)
        while (task := tasks.read()) is not None:
            if fault_injection.armed:
                fault_injection.reach("task-read")
            seterr(MODES[task.mode])
            if self._hints is not None:
                self._hints(task.ahead)
            self._evaluate(task)

    def _evaluate(self, task: TaskMessage) -> None:
        get, clock = self._get, time.perf_counter
        if task.watched:
            self._tell(task.block, 0, ())  # that it begins
            get = watched(get, lambda path: self._tell(task.block, done, path))
        done, n = 0, len(task.indices)
        stuck = clock() + _STUCK * GRAIN
        while done < n:
            began = clock()
            if done and began > stuck:
                self._outlet.send((task.block, done, 0, result_messages.REST, 0.0))
                return
            try:
                self._fill(get, task, done, began)
            except BaseException as error:  # noqa: BLE001 -- told to the reader
                took = clock() - began
                done = self._send(task, done, took)
                self._fail(task.block, done, error, took)
                done += 1
            else:
                took = clock() - began
                done = self._send(task, done, took)
                if self._out.refused is not None:
                    self._refuse(task, done, self._out.refused, took)
                    done += 1

    def _fill(self, get: Callable[[int], Any], task: TaskMessage, done: int, began: float) -> None:
        """Evaluate what follows the first `done` items of a task, until values are to be sent."""
        clock, slots, values, indices = (
            time.perf_counter,
            self._slots,
            self._out.values,
            task.indices,
        )
        append, plain, n = values.append, PLAIN, len(indices)
        # without slots, what was answered last tells where it hangs
        hold = -1.0 if task.timed and slots is None else GRAIN
        tell = slots.progress.tell if task.timed and slots is not None else None
        stretch, before = 1, began
        while (at := done + len(values)) < n:
            for i in indices[at : at + stretch]:
                if tell is not None:
                    tell(task.block, done + len(values))
                value = get(i)
                append(value)
                if type(value) not in plain:
                    del value  # what nobody else refers to can be given away as it is
                    if self._settle():
                        return
            now = clock()
            if now - began > hold:
                return
            stretch = min(2 * stretch, _STRETCH) if now - before < _QUICK * stretch else 1
            before = now

    def _settle(self) -> bool:
        """Have the last value taken as it is now; return whether to send it at once."""
        if not recording.active:
            return self._out.settle()
        began = time.perf_counter_ns()
        try:
            return self._out.settle()
        finally:
            recording.note(recording.SEND, 0, 0, began)

    def _tell(self, block: int, done: int, path: tuple[Step, ...]) -> None:
        """Tell which stage is going to call user code."""
        self._outlet.send((block, done, 0, result_messages.STAGE, 0.0), pickle.dumps(path))

    def _send(self, task: TaskMessage, done: int, took: float) -> int:
        """Answer with the values that wait; return how many are answered with these."""
        count = len(self._out.values)
        if not count:
            return done
        began = time.perf_counter_ns() if recording.active else 0
        try:
            parts = self._out.sent()
        except Exception:  # noqa: BLE001 -- whatever it is, the items are to be answered
            self._send_singly(task, done, took / count)
            return done + count
        self._outlet.answer((task.block, done, count, result_messages.VALUES, took), *parts)
        if began:
            recording.note(recording.SEND, count, sum(map(result_messages.length, parts)), began)
        return done + count

    def _send_singly(self, task: TaskMessage, done: int, took: float) -> None:
        """Answer with each of the values by itself, because all of them cannot be sent."""
        for k, parts in enumerate(self._out.sent_singly(), done):
            if isinstance(parts, Exception):
                self._refuse(task, k, parts, took)
            else:
                self._outlet.answer((task.block, k, 1, result_messages.VALUES, took), *parts)

    def _refuse(self, task: TaskMessage, done: int, error: Exception, took: float) -> None:
        """Answer that a value cannot be sent."""
        self._out.refused = None
        reason = f"item {task.indices[done]} cannot be sent from a worker process: {error}"
        kind = MemoryError if isinstance(error, MemoryError) else TypeError
        self._fail(task.block, done, kind(reason), took)

    def _fail(self, block: int, done: int, error: BaseException, took: float) -> None:
        if isinstance(error, EndOfSequence):
            self._outlet.answer((block, done, 1, result_messages.END, took))
            return
        failure = Failure.caught(error)
        failure.trace = f"in {self._name}:\n{_story(failure.error)}"
        sent = pickled(failure.error, self._dumper.dumps)
        body = self._dumper.dumps((sent, failure.path, failure.trace))
        self._outlet.answer((block, done, 1, result_messages.FAILURE, took), body)


def _story(error: BaseException) -> str:
    """Return the traceback of `error`."""
    try:
        return shortened("".join(traceback.format_exception(error)), _LONGEST_STORY)
    except BaseException:  # noqa: BLE001 -- code of users may raise anything
        return "(its traceback cannot be shown)"


def quiet() -> None:
    """Leave Ctrl-C to the consumer, who may go on reading after it.

    A program that is started from here would ignore Ctrl-C for ever if this process did. It
    ignores it only if it would have done so in the consumer.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _do_nothing)
        if hasattr(signal, "siginterrupt"):
            signal.siginterrupt(signal.SIGINT, False)  # noqa: FBT003 -- calls of the system go on


def _do_nothing(*_: object) -> None:
    pass


def end_with(parent: int) -> None:
    """Have this process killed when the thread that started it ends, where that can be done.

    Whatever it does then: it may be in compiled code that never comes back.
    """
    if sys.platform == "linux":
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        leave(1)


def prctl(option: int, argument: int) -> int:
    """Return what the call of that name does, on Linux."""
    import ctypes

    result: int = ctypes.CDLL(None).prctl(option, argument, 0, 0, 0)
    return result


def leave(status: int) -> NoReturn:
    """End this process at once, but for what was printed."""
    flush()
    os._exit(status)
