"""What a worker process does: it evaluates the items that it is asked for."""

import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from seqtools.engines import frames
from seqtools.engines.shipping import Dumper, Loader
from seqtools.errors import EndOfSequence, Failure, bare_exception, seterr

MODES = ("wrap", "passthrough")

_HOLD = 0.002
"""Seconds for which a value may be held back to send it with others.

Long against the 20 µs that a message costs, short against what a reader notices."""

_LARGE_BUFFER = 1 << 15
"""Bytes from which a buffer is sent beside the pickle: measured break-even is 32 to 64 KB."""


class Worker:
    """Evaluates items by `get`, and answers on a pipe."""

    def __init__(
        self, get: Callable[[int], Any], hints: Any, by_value: list[Any], fd: int, name: str
    ) -> None:
        self._get = get
        self._hints = hints
        self._fd = fd
        self._name = name
        self._dumper = Dumper(by_value)
        self._loader = Loader(by_value)

    def serve(self, tasks: frames.TaskReader) -> None:
        """Evaluate until there is nobody to ask any more."""
        frames.write_result(self._fd, (0, 0, 0, frames.READY, 0.0), b"")
        if self._hints is not None:
            self._hints.take_turns()
        while (task := tasks.read()) is not None:
            seterr(MODES[task.mode])
            if self._hints is not None:
                self._hints(task.ahead)
            self._evaluate(task)

    def _evaluate(self, task: frames.Task) -> None:
        get, clock = self._get, time.perf_counter
        values: list[Any] = []
        done = 0
        began = clock()
        for i in task.indices:
            try:
                values.append(get(i))
            except BaseException as error:  # noqa: BLE001 -- told to the reader
                took = clock() - began
                self._send(task, done, values, took)
                done += len(values)
                self._fail(task.block, done, error, took)
                done += 1
                values = []
                began = clock()
                continue
            if clock() - began > _HOLD:
                self._send(task, done, values, clock() - began)
                done += len(values)
                values = []
                began = clock()
        self._send(task, done, values, clock() - began)

    def _send(self, task: frames.Task, done: int, values: list[Any], took: float) -> None:
        if not values:
            return
        buffers: list[Any] = []

        def aside(buffer: Any) -> bool:
            if buffer.raw().nbytes < _LARGE_BUFFER:
                return True
            buffers.append(buffer.raw())
            return False

        try:
            body = self._dumper.dumps(values, aside)
        except Exception as error:  # noqa: BLE001 -- code of users may raise anything
            if len(values) > 1:  # find out which
                for k, value in enumerate(values):
                    self._send(task, done + k, [value], took / len(values))
                return
            reason = _reason(values[0], error)
            message = f"item {task.indices[done]} cannot be sent from a worker process: {reason}"
            self._fail(task.block, done, TypeError(message), took)
            return
        head = (task.block, done, len(values), frames.VALUES, took)
        frames.write_result(self._fd, head, body, buffers)

    def _fail(self, block: int, done: int, error: BaseException, took: float) -> None:
        if isinstance(error, EndOfSequence):
            frames.write_result(self._fd, (block, done, 1, frames.END, took), b"")
            return
        failure = Failure.caught(error)
        story = traceback.format_exception(failure.error)
        failure.trace = f"in {self._name}:\n{''.join(story)}"
        body = self._dumped(failure)
        frames.write_result(self._fd, (block, done, 1, frames.FAILURE, took), body)

    def _dumped(self, failure: Failure) -> Any:
        """Return a failure pickled, such that it can be loaded."""
        error = failure.error
        for sent in (error, _Bare(error)):
            # an exception that cannot be made again over there is better known here
            with suppress(Exception):  # code of users may raise anything
                body = self._dumper.dumps((sent, failure.path, failure.trace))
                if isinstance(self._loader.loads(body)[0], BaseException):
                    return body
        told = traceback.format_exception_only(error)[0].strip()
        stand_in = RuntimeError(f"{told} (the exception itself cannot be sent)")
        return self._dumper.dumps((stand_in, failure.path, failure.trace))


class _Bare:
    """Pickles an exception as its class, arguments and attributes."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        error = self._error
        return bare_exception, (type(error), error.args, error.__dict__)


def _reason(value: Any, error: Exception) -> str:
    kind = type(value)
    advice = ""
    if (
        "<locals>" in str(error)
        or "not found as" in str(error)
        or "not the same object" in str(error)
    ):
        advice = " (a class or function that was first made in the worker cannot leave it)"
    return f"{kind.__qualname__}: {type(error).__name__}: {error}{advice}"


def leave(status: int) -> NoReturn:
    """End this process at once, but for what was printed."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)
