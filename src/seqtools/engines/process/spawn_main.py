"""The main function of a worker that is a separate interpreter.

Its standard input and output at first are its pipes: see `spawn`.
"""

import mmap
import os
import queue
import select
import sys
import threading
import time
import traceback
from typing import NoReturn

from seqtools.engines import fault_injection
from seqtools.engines.dispatch.forwarding import Handlers
from seqtools.engines.process.nesting import begin
from seqtools.engines.process.reaper import guarded
from seqtools.engines.process.standard_streams import connect_to_nothing
from seqtools.engines.process.worker import MORE_PATIENCE, PATIENCE, exit_now, ignore_sigint
from seqtools.engines.process.worker_main import run_worker, with_hook
from seqtools.engines.wire.headers import Header
from seqtools.engines.wire.shipment import Pipeline, ReceivedPipeline
from seqtools.engines.wire.task_messages import TaskReader

START = Header("IQ")
"""The first message: number of the worker, and length of the pipeline, which follows."""
CHUNK = 1 << 18
"""Bytes to read at a time."""


class _Tasks(TaskReader):
    """Tasks read by a thread, which ends the process when the consumer has ended."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._parent = os.getppid()
        self._read: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._closed = False
        self.ending = threading.Event()
        """Set when the main thread is not in code of items any more."""

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._watch, name="seqtools-tasks", daemon=True).start()

    def is_closed(self) -> bool:
        """Return whether the consumer has closed the pipe."""
        return self._closed

    def _more(self) -> bytes:
        return self._read.get()

    def _watch(self) -> None:
        try:
            while data := self._next():
                self._read.put(data)
        except BaseException:  # noqa: BLE001 -- without this thread, no task would ever come
            traceback.print_exc()
            exit_now(1)
        self._closed = True
        self._read.put(b"")
        deadline = time.monotonic() + PATIENCE + MORE_PATIENCE  # as for other start methods
        if self.ending.wait(PATIENCE):  # otherwise it is inside user code, whose result is lost
            time.sleep(max(0.0, deadline - time.monotonic()))
        exit_now(0)

    def _next(self) -> bytes:
        # a child that the consumer has forked may keep the pipe open
        while os.name == "posix" and not select.select([self._fd], [], [], 1.0)[0]:
            if os.getppid() != self._parent:
                exit_now(1)
        return os.read(self._fd, CHUNK)


def main(parent: int) -> NoReturn:
    """Be a worker of the process `parent`, and never return."""
    begin()
    ignore_sigint()
    if guarded(parent):
        fault_injection.guard = os.getppid()
    pipe, results = _own_pipes()
    start = bytearray(START.size)
    _fill(memoryview(start), pipe)
    number, length = START.unpack(start)
    tasks = _Tasks(pipe)

    def load(number: int, handlers: Handlers) -> Pipeline:
        memory = mmap.mmap(-1, length)
        _fill(memoryview(memory), pipe)
        tasks.start()
        delivery = ReceivedPipeline(memory)
        sys.argv[:], flags, hook = delivery.prelude()
        return with_hook(hook, flags, delivery.pipeline)(number, handlers)

    run_worker(number, tasks, results, load, tasks.ending.set)


def _fill(view: memoryview, fd: int) -> None:
    """Read until `view` is full."""
    with view, open(fd, "rb", buffering=0, closefd=False) as file:
        while view:
            n = file.readinto(view)
            if not n:
                exit_now(0)  # the consumer has ended
            view = view[n:]


def _own_pipes() -> tuple[int, int]:
    """Move standard input and output to descriptors that user code does not know; return them."""
    tasks, results = os.dup(0), os.dup(1)
    if sys.platform == "win32":
        import msvcrt

        for fd in (tasks, results):
            msvcrt.setmode(fd, os.O_BINARY)
    connect_to_nothing(0)
    os.dup2(2, 1)
    return tasks, results
