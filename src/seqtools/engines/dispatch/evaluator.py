"""Evaluates tasks in a worker, and answers them, wherever the worker is.

The answers are the messages of `wire/result_messages`: several values in one message, and each
failure, or the end, in a message of its own.
"""

import pickle
import time
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from seqtools._core import recording
from seqtools._core.error_path import Step
from seqtools._core.errors import EndOfSequence, Failure, seterr, shortened
from seqtools._core.source_code import naming_cells
from seqtools._core.user_exceptions import is_kind
from seqtools.engines import fault_injection
from seqtools.engines.dispatch.stage_reports import watched
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.arena import Arena
from seqtools.engines.wire.exceptions import pickled
from seqtools.engines.wire.result_pickling import ResultDumper
from seqtools.engines.wire.task_messages import TaskMessage
from seqtools.engines.wire.values import IMMUTABLE, OutgoingValues

MODES = ("wrap", "passthrough")

GRAIN = 0.002
"""Seconds of work that are worth a message between processes of one machine: values of this time
are sent together. A message costs 20 µs, and a reader does not notice this time."""
STUCK = 8
"""After this many times `GRAIN`, the worker returns the rest of a task, for others. Arbitrary."""
_STRETCH = 16
"""Most quick items between two reads of the clock, which take 50 ns. Slow items may follow."""
_QUICK = GRAIN / 8 / _STRETCH
"""Seconds up to which an item counts as quick."""
_LONGEST_STORY = 30_000
"""Most characters of a traceback that are sent. Arbitrary. The exception may have any size."""


class Outlet(Protocol):
    """Takes answers; the first argument has the fields of `RESULT` from block to seconds."""

    def answer(self, head: tuple[Any, ...], *parts: Any) -> None:
        """Send a message about items, after all that they have printed."""

    def send(self, head: tuple[Any, ...], *parts: Any) -> None:
        """Send another message."""


class Evaluator:
    """Evaluates items with `get`, and sends answers through its outlet.

    Args:
        get: Evaluates an item.
        hints: Called with the indices that come next, or `None`.
        by_value: The objects that values refer to by number.
        outlet: Takes the answers.
        slots: Memory for large values, if any.
        name: The name of the worker, for errors.
        grain: Seconds after which values are sent, by default `GRAIN`.
        patience: Seconds after which the rest of a task is returned.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- what it works with
        self,
        get: Callable[[int], Any],
        hints: Any,
        by_value: list[Any],
        outlet: Outlet,
        slots: Arena | None,
        name: str,
        *,
        grain: float | None = None,
        patience: float | None = None,
    ) -> None:
        self.get = fault_injection.around(get) if fault_injection.armed else get
        """Evaluates an item."""
        self._hints = hints
        self._outlet = outlet
        self._slots = slots
        self._name = name
        self._dumper = ResultDumper(by_value)
        self._out = OutgoingValues(self._dumper, slots)
        self.grain = GRAIN if grain is None else grain
        """See the class."""
        self.patience = STUCK * GRAIN if patience is None else patience
        """See the class."""

    def evaluate(self, task: TaskMessage) -> None:
        """Evaluate the items of `task`, and answer."""
        seterr(MODES[task.mode])
        if self._hints is not None:
            self._hints(task.ahead)
        self._evaluate(task)

    def _evaluate(self, task: TaskMessage) -> None:
        get, clock = self.get, time.perf_counter
        if task.watched:
            self._tell(task.block, 0, ())  # the item begins
            get = watched(get, lambda path: self._tell(task.block, done, path))
        done, n = 0, len(task.indices)
        stuck = clock() + self.patience
        while done < n:
            began = clock()
            if done and began > stuck:
                self._outlet.send((task.block, done, 0, result_messages.REST, 0.0))
                return
            try:
                self._fill(get, task, done, began)
            except BaseException as error:  # noqa: BLE001 -- sent to the reader
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
        """Evaluate the items after the first `done` of a task, until values should be sent."""
        clock, slots = time.perf_counter, self._slots
        values, indices = self._out.values, task.indices
        append, plain, n = values.append, IMMUTABLE, len(indices)
        # without slots, only the last answer tells which item hangs
        hold = -1.0 if task.timed and slots is None else self.grain
        tell = slots.progress.tell if task.timed and slots is not None else None
        stretch, before = 1, began
        while (at := done + len(values)) < n:
            for i in indices[at : at + stretch]:
                if tell is not None:
                    tell(task.block, done + len(values))
                value = get(i)
                append(value)
                if type(value) not in plain:
                    del value  # a value without other references can be handed over without a copy
                    if self._settle():
                        return
            now = clock()
            if now - began > hold:
                return
            stretch = min(2 * stretch, _STRETCH) if now - before < _QUICK * stretch else 1
            before = now

    def _settle(self) -> bool:
        """Preserve the last value as it is now; return whether to send it at once."""
        if not recording.active:
            return self._out.settle()
        began = time.perf_counter_ns()
        try:
            return self._out.settle()
        finally:
            recording.note(recording.SEND, 0, 0, began)

    def _tell(self, block: int, done: int, path: tuple[Step, ...]) -> None:
        """Report which stage is going to call user code."""
        self._outlet.send((block, done, 0, result_messages.STAGE, 0.0), pickle.dumps(path))

    def _send(self, task: TaskMessage, done: int, took: float) -> int:
        """Send the collected values; return the number of items answered so far."""
        count = len(self._out.values)
        if not count:
            return done
        began = time.perf_counter_ns() if recording.active else 0
        try:
            parts = self._out.sent()
        except Exception:  # noqa: BLE001 -- the items must be answered whatever it is
            self._send_singly(task, done, took / count)
            return done + count
        self._outlet.answer((task.block, done, count, result_messages.VALUES, took), *parts)
        if began:
            recording.note(recording.SEND, count, sum(map(result_messages.length, parts)), began)
        return done + count

    def _send_singly(self, task: TaskMessage, done: int, took: float) -> None:
        """Send each value separately, because they cannot be sent together."""
        for k, parts in enumerate(self._out.sent_singly(), done):
            if isinstance(parts, Exception):
                self._refuse(task, k, parts, took)
            else:
                self._outlet.answer((task.block, k, 1, result_messages.VALUES, took), *parts)

    def _refuse(self, task: TaskMessage, done: int, error: Exception, took: float) -> None:
        """Send the error that a value cannot be sent."""
        self._out.refused = None
        reason = f"item {task.indices[done]} cannot be sent from a worker process: {error}"
        kind = MemoryError if isinstance(error, MemoryError) else TypeError
        self._fail(task.block, done, kind(reason), took)

    def _fail(self, block: int, done: int, error: BaseException, took: float) -> None:
        if is_kind(error, EndOfSequence):
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
        story = naming_cells("".join(traceback.format_exception(error)))
        return shortened(story, _LONGEST_STORY)
    except BaseException:  # noqa: BLE001 -- code of users may raise anything
        return "(its traceback cannot be shown)"
