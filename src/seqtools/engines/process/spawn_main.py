"""A worker that was started anew, from inside: it is greeted, loads the pipeline, and serves.

What is its standard input and output at first are its pipes: see `spawn`.
"""

import mmap
import os
import pickle
import queue
import select
import sys
import threading
import traceback
from typing import NoReturn

from seqtools._core.errors import summary
from seqtools._core.seeding import seed_generators
from seqtools.engines import fault_injection
from seqtools.engines.process.nesting import begin
from seqtools.engines.process.output import gather
from seqtools.engines.process.reaper import guarded
from seqtools.engines.process.worker import Worker, end_with, leave, quiet
from seqtools.engines.start_hook import call_hook
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.headers import Header
from seqtools.engines.wire.shipment import ReceivedPipeline
from seqtools.engines.wire.task_messages import TaskReader

GREETING = Header("IQ")
"""Number of the worker, length of the pipeline, which follows."""
CHUNK = 1 << 18
"""Bytes to read at a time."""


class _Tasks(TaskReader):
    """Tasks read by a thread, which ends the process when nobody can send any more."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._parent = os.getppid()
        self._read: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        threading.Thread(target=self._watch, name="seqtools-tasks", daemon=True).start()

    def _more(self) -> bytes:
        return self._read.get()

    def _watch(self) -> None:
        try:
            while data := self._next():
                self._read.put(data)
        except BaseException:  # noqa: BLE001 -- without this thread, nothing would ever come
            traceback.print_exc()
            leave(1)
        leave(0)  # also inside of user code: nobody wants what it computes

    def _next(self) -> bytes:
        # a child that the consumer has forked may have our pipe open
        while os.name == "posix" and not select.select([self._fd], [], [], 1.0)[0]:
            if os.getppid() != self._parent:
                leave(1)
        return os.read(self._fd, CHUNK)


def main(parent: int) -> NoReturn:
    """Be a worker of the process `parent`, and never return."""
    begin()
    quiet()
    tell = guarded(parent)
    if tell is None:
        end_with(parent)
    else:
        fault_injection.guard = os.getppid()
        os.close(tell)  # the end of this process is all that there is to tell
    tasks, results = _own_pipes()
    try:
        greeting = bytearray(GREETING.size)
        _fill(memoryview(greeting), tasks)
        number, length = GREETING.unpack(greeting)
        name = f"worker process {number} (pid {os.getpid()})"
        outlet = gather(results)
        try:
            memory = mmap.mmap(-1, length)
            _fill(memoryview(memory), tasks)
            reader = _Tasks(tasks)
            fault_injection.reach("worker-started")
            delivery = ReceivedPipeline(memory)
            sys.argv[:], hook = delivery.prelude()
            if hook is not None:
                call_hook(hook, number)
            fault_injection.reach("worker-hooked")
            get, hints, by_value = delivery.pipeline()
            fault_injection.reach("worker-loaded")
        except BaseException as error:  # noqa: BLE001 -- told to the reader
            story = "".join(traceback.format_exception(error))[-30_000:]
            told = f"start_hook or loading failed in {name}: {summary(error)}"
            outlet.answer((0, 0, 0, result_messages.UNABLE, 0.0), pickle.dumps((told, story)))
            leave(1)
        seed_generators(None)
        Worker(get, hints, by_value, outlet, None, name).serve(reader)
        leave(0)
    except BrokenPipeError:  # nobody wants the results any more
        leave(0)
    except BaseException:  # noqa: BLE001 -- said where it may be read
        traceback.print_exc()
    leave(1)


def _fill(view: memoryview, fd: int) -> None:
    """Read exactly what fits into `view`."""
    with view, open(fd, "rb", buffering=0, closefd=False) as file:
        while view:
            n = file.readinto(view)
            if not n:
                leave(0)  # nobody wants anything any more
            view = view[n:]


def _own_pipes() -> tuple[int, int]:
    """Return descriptors of what were standard input and output, which user code cannot reach."""
    tasks, results = os.dup(0), os.dup(1)
    if sys.platform == "win32":
        import msvcrt

        for fd in (tasks, results):
            msvcrt.setmode(fd, os.O_BINARY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return tasks, results
