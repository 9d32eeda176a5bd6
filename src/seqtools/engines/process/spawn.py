"""Workers that are separate interpreters, for systems without what a template needs.

These are `fork`, Unix sockets that preserve message boundaries, and sending descriptors. Spawned
workers need only subprocesses with pipes for standard input and output, and threads that wait for
these pipes. They start more slowly, each has a copy of the pipeline, and large values are copied
through the pipe. What code other than Python writes to descriptor 1 goes to standard error.
"""

import mmap
import os
import queue
import select
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from seqtools.engines import fault_injection
from seqtools.engines.dispatch.serving import serving
from seqtools.engines.process.launcher import interpreter
from seqtools.engines.process.nesting import Nesting
from seqtools.engines.process.pool import Event, PoolWorker, ResultsReady, WorkerEnded
from seqtools.engines.process.spawn_main import CHUNK, START
from seqtools.engines.process.worker import MORE_PATIENCE, PATIENCE
from seqtools.engines.resource_errors import start_thread
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.pipes import both_ways

_PATIENCE = PATIENCE + MORE_PATIENCE + 0.1
"""Seconds for workers to end by themselves."""
_MORE_PATIENCE = 0.6
"""Seconds for their guards to end the processes that they have left behind."""
_LOOK = 0.2
"""Seconds between two checks whether a process has ended, which its pipe may not show."""


class SpawnedWorker(PoolWorker):
    """A worker with two threads, one to write tasks and one to read results."""

    __slots__ = ("_report", "_results", "_tasks", "_threads", "_unsent", "inbox", "process")

    def __init__(
        self,
        number: int,
        process: subprocess.Popen[bytes],
        pipes: tuple[int, int],
        report: Callable[[Event], None],
    ) -> None:
        self.inbox = Inbox()
        super().__init__(number, result_messages.ResultReader(self.inbox), None)
        self.process = process
        tasks, results = pipes
        self._tasks, self._results = open(tasks, "wb"), open(results, "rb", buffering=0)  # noqa: SIM115 -- closed by its threads
        self._report = report
        self._unsent: queue.SimpleQueue[bytes | memoryview | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start its threads.

        Raises:
            WorkerStartError: If they cannot be started; then the process has ended.
        """
        try:
            for target in (self._write, self._read):
                name = f"seqtools-pipe-{self.number}"
                thread = threading.Thread(target=_serve, args=(target,), name=name, daemon=True)
                start_thread(thread)
                self._threads.append(thread)
        except BaseException:
            self.kill()
            self.process.wait()
            self.end()
            self.wait()
            self._tasks.close()
            self._results.close()
            raise

    def kill(self) -> None:
        """Let its process, which is a guard with the worker below it, end at once."""
        self.process.terminate()
        if hasattr(signal, "SIGCONT"):
            self.process.send_signal(signal.SIGCONT)  # it may have been stopped

    def wait(self) -> None:
        """Wait for the end of its threads."""
        for thread in self._threads:
            thread.join()

    def send(self, task: bytes | memoryview) -> None:
        """Send it a task."""
        self._unsent.put(task)

    def end(self) -> None:
        """Let it end after everything that was sent."""
        self._unsent.put(None)

    def _write(self) -> None:
        if hasattr(signal, "pthread_sigmask"):  # a broken pipe must not end the program
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
        with suppress(OSError), self._tasks as pipe:  # if it has ended, the other thread notices
            while (data := self._unsent.get()) is not None:
                pipe.write(data)
                pipe.flush()

    def _read(self) -> None:
        """Read results until it has ended."""
        try:
            with self._results as pipe:
                while self._readable(pipe.fileno()) and (data := os.read(pipe.fileno(), CHUNK)):
                    self.inbox.add(data)
                    self._report(ResultsReady(self))
        except (OSError, MemoryError):  # nothing more can be read; its replacement may do better
            self.kill()
        self.inbox.end()
        self._report(ResultsReady(self))  # so that a worker that has closed its pipe is killed
        self._report(WorkerEnded(self, self.process.wait()))
        self.end()

    def _readable(self, fd: int) -> bool:
        """Wait for results; return False if the process has ended and there are none.

        The pipe may stay open after its end, in a process that it has left behind.
        """
        if os.name != "posix":  # there, other processes do not inherit pipes
            return True
        while not select.select([fd], [], [], _LOOK)[0]:
            if self.process.poll() is not None:
                return bool(select.select([fd], [], [], 0)[0])
        return True


def _serve(target: Callable[[], None]) -> None:
    serving.serves = True
    target()


class Inbox:
    """Bytes from a worker that were not parsed yet; see `result_messages.Source`."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._ended = False

    def add(self, data: bytes) -> None:
        """Append bytes."""
        self._chunks.append(data)

    def end(self) -> None:
        """Note that no more bytes follow."""
        self._ended = True

    def read(self, n: int, /) -> bytes:
        """Return `n` bytes, or fewer if there are not so many."""
        ended = self._ended  # before the chunks, to which the other thread appends
        found, missing = [], n
        while missing and self._chunks:
            chunk = self._chunks.popleft()
            if len(chunk) > missing:
                self._chunks.appendleft(chunk[missing:])
                chunk = chunk[:missing]
            found.append(chunk)
            missing -= len(chunk)
        if not found and not ended:
            raise BlockingIOError
        return b"".join(found)

    def readinto(self, view: memoryview, /) -> int:
        """Read into `view`, and return the number of bytes."""
        chunk = self.read(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)


class SpawnPool:
    """See the module."""

    def __init__(self, payload: int, nesting: Nesting) -> None:
        self._nesting = nesting
        with mmap.mmap(payload, 0, access=mmap.ACCESS_READ) as memory:
            self._pipeline = bytes(memory)
        # a `SimpleQueue`, because the garbage collector may call `put` inside of `put`
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._all: list[SpawnedWorker] = []

    def start(self) -> None:
        """Prepare for workers: nothing is needed."""

    def start_worker(self, number: int) -> SpawnedWorker:
        """Return a new worker."""
        fault_injection.reach("consumer-worker")
        # subprocess, before Python 3.13, leaves a pipe open if it cannot make a second one
        tasks, results, theirs, theirs_too = both_ways()
        try:
            process = interpreter(
                f"from seqtools.engines.process.spawn_main import main; main({os.getpid()})",
                self._nesting,
                stdin=theirs,
                stdout=theirs_too,
            )
        except BaseException:
            os.close(tasks)
            os.close(results)
            raise
        finally:
            os.close(theirs)
            os.close(theirs_too)
        worker = SpawnedWorker(number, process, (tasks, results), self._events.put)
        self._all.append(worker)
        worker.send(START.pack(number, len(self._pipeline)))
        worker.send(memoryview(self._pipeline))
        worker.start()
        fault_injection.reach("consumer-worker-requested")
        return worker

    def poll(self, seconds: float | None) -> list[Event]:
        """Wait for events, and return them."""
        events = []
        with suppress(queue.Empty):
            events.append(self._events.get(timeout=seconds))
            while True:
                events.append(self._events.get_nowait())
        return [event for event in events if event is not None]

    def rest(self, seconds: float) -> None:
        """Return at once: waiting saves nothing, because other threads read the pipes."""

    def wake(self) -> None:
        """Make `poll` return."""
        self._events.put(None)

    def events(self, polled: Iterable[Event]) -> Iterator[Event]:
        """Yield the events."""
        yield from polled

    def kill(self, worker: SpawnedWorker) -> None:
        """Kill a worker."""
        worker.attached = False
        worker.kill()

    def release(self, worker: SpawnedWorker) -> None:
        """Let a worker end."""
        worker.attached = False
        worker.end()

    def retire(self, worker: SpawnedWorker) -> None:
        """Let a worker end."""
        worker.end()

    def stop(self, workers: Iterable[SpawnedWorker]) -> None:
        """Let all workers end."""
        for worker in workers:
            self.release(worker)

    def wait(self, read: Callable[[SpawnedWorker], bool]) -> None:
        """Wait until workers have ended; kill those that do not."""
        for patience, guard in ((_PATIENCE, False), (_MORE_PATIENCE, True)):
            deadline = time.monotonic() + patience
            for worker in self._all:
                try:
                    worker.process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    worker.process.kill() if guard else worker.kill()
        for worker in self._all:
            worker.wait()
            read(worker)
        self._all.clear()
