"""Workers that are each started anew, from outside: the portable way.

It is for systems that lack what a template process needs: `fork`, sockets of the Unix
domain that keep messages apart, and descriptors sent through them. It needs only
subprocesses with pipes for their standard input and output, and threads that wait for
these. Workers take longer to start, each has a copy of the pipeline, large values
are copied through the pipe, and what is written to descriptor 1 of a worker, past Python, goes
to the standard error.
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
from seqtools.engines.process.launcher import Launcher, interpreter
from seqtools.engines.process.nesting import Nesting
from seqtools.engines.process.pool import Event, PoolWorker, ResultsReady, WorkerEnded, serving
from seqtools.engines.process.spawn_main import CHUNK, GREETING
from seqtools.engines.resource_errors import start_thread
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.pipes import both_ways

_PATIENCE = 0.3
"""Seconds that workers have to end by themselves."""
_MORE_PATIENCE = 0.6
"""Seconds that their guards have to end what they have left behind."""
_LOOK = 0.2
"""Seconds after which to look whether a process is there, where its pipe may not tell."""


class SpawnedWorker(PoolWorker):
    """A worker with two threads, one to write tasks and one to read results."""

    __slots__ = ("_results", "_tasks", "_tell", "_threads", "_unsent", "inbox", "process")

    keeps = True

    def __init__(
        self,
        number: int,
        process: subprocess.Popen[bytes],
        pipes: tuple[int, int],
        tell: Callable[[Event], None],
    ) -> None:
        self.inbox = Inbox()
        super().__init__(number, result_messages.ResultReader(self.inbox), None)
        self.process = process
        tasks, results = pipes
        self._tasks, self._results = open(tasks, "wb"), open(results, "rb", buffering=0)  # noqa: SIM115 -- closed by its threads
        self._tell = tell
        self._unsent: queue.SimpleQueue[bytes | memoryview | None] = queue.SimpleQueue()
        self._threads: dict[int | None, threading.Event] = {}

    def start(self) -> None:
        """Start its threads.

        Raises:
            WorkerStartError: If there are none to be had; the process has ended then.
        """
        try:
            for target in (self._write, self._listen):
                ended = threading.Event()
                thread = threading.Thread(
                    target=self._run,
                    args=(target, ended),
                    name=f"seqtools-pipe-{self.number}",
                    daemon=True,
                )
                start_thread(thread)
                self._threads[thread.ident] = ended
        except BaseException:
            self.kill()
            self.process.wait()
            self.end()
            self.wait()
            self._tasks.close()
            self._results.close()
            raise

    def kill(self) -> None:
        """Have its process end at once, which is a guard with the worker below it."""
        self.process.terminate()
        if hasattr(signal, "SIGCONT"):
            self.process.send_signal(signal.SIGCONT)  # it may have been stopped

    def wait(self) -> None:
        """Wait for the end of its threads."""
        for ident, ended in self._threads.items():
            if ident != threading.get_ident():
                # not join(): called by the end of a thread, it would make a dummy of that one
                ended.wait()

    @staticmethod
    def _run(target: Callable[[], None], ended: threading.Event) -> None:
        serving.serves = True
        try:
            target()
        finally:
            ended.set()

    def send(self, task: bytes | memoryview) -> None:
        """Give it a task."""
        self._unsent.put(task)

    def end(self) -> None:
        """Have it end when it has read what was sent."""
        self._unsent.put(None)

    def _write(self) -> None:
        if hasattr(signal, "pthread_sigmask"):  # it must not end the program where it breaks
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
        with suppress(OSError), self._tasks as pipe:  # it is dead, which the other thread sees
            while (data := self._unsent.get()) is not None:
                pipe.write(data)
                pipe.flush()

    def _listen(self) -> None:
        """Take what it sends until it has ended."""
        try:
            with self._results as pipe:
                while self._readable(pipe.fileno()) and (data := os.read(pipe.fileno(), CHUNK)):
                    self.inbox.add(data)
                    self._tell(ResultsReady(self))
        except (OSError, MemoryError):  # what it sends cannot be read: another may do better
            self.kill()
        self.inbox.end()
        self._tell(ResultsReady(self))  # there are none: one that has closed its pipe is of no use
        self._tell(WorkerEnded(self, self.process.wait()))
        self.end()

    def _readable(self, fd: int) -> bool:
        """Wait for something to read; return False if the process is dead and there is nothing.

        Its pipe alone may not tell, if it has left a process behind that has it open.
        """
        if os.name != "posix":  # there, pipes are inherited only by who is given them
            return True
        while not select.select([fd], [], [], _LOOK)[0]:
            if self.process.poll() is not None:
                return bool(select.select([fd], [], [], 0)[0])
        return True


def _kill_guard(worker: SpawnedWorker) -> None:
    worker.process.kill()


class Inbox:
    """What was read from a worker and not yet looked at; see `result_messages.Source`."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._ended = False

    def add(self, data: bytes) -> None:
        """Take what was read."""
        self._chunks.append(data)

    def end(self) -> None:
        """Note that nothing more comes."""
        self._ended = True

    def read(self, n: int, /) -> bytes:
        """Return `n` bytes, or as many as there are."""
        ended = self._ended  # before it is looked whether something is there
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
        """Read into `view`."""
        chunk = self.read(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)


class SpawnPool:
    """See the module."""

    def __init__(self, payload: int, nesting: Nesting) -> None:
        self._nesting = nesting
        with mmap.mmap(payload, 0, access=mmap.ACCESS_READ) as memory:
            self._pipeline = bytes(memory)
        # `SimpleQueue`, as a thread may be interrupted in `put` by the garbage collector, which
        # puts something too
        self._told: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._all: list[SpawnedWorker] = []
        self._launcher = Launcher()

    def start(self) -> None:
        """Prepare for workers: nothing is needed."""

    def hire(self, number: int) -> SpawnedWorker:
        """Return a new worker."""
        fault_injection.reach("consumer-hire")
        worker = self._launcher.run(lambda: self._launched(number))
        fault_injection.reach("consumer-hired")
        return worker

    def _launched(self, number: int) -> SpawnedWorker:
        # subprocess, before Python 3.13, leaves a pipe open where it cannot make a second one
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
        worker = SpawnedWorker(number, process, (tasks, results), self._tell)
        self._all.append(worker)
        worker.send(GREETING.pack(number, len(self._pipeline)))
        worker.send(memoryview(self._pipeline))
        worker.start()
        return worker

    def poll(self, seconds: float | None) -> list[Event]:
        """Wait until something is told, and return it."""
        told = []
        with suppress(queue.Empty):
            told.append(self._told.get(timeout=seconds))
            while True:
                told.append(self._told.get_nowait())
        return [event for event in told if event is not None]

    def rest(self, seconds: float) -> None:
        """Return at once: there is nothing to be gained, as other threads wait for the pipes."""

    def wake(self) -> None:
        """Have `poll` return."""
        self._told.put(None)

    def events(self, polled: Iterable[Event]) -> Iterator[Event]:
        """Yield what was told."""
        yield from polled

    def dismiss(self, worker: SpawnedWorker) -> None:
        """Kill a worker."""
        worker.attached = False
        worker.kill()

    def let_go(self, worker: SpawnedWorker) -> None:
        """Have a worker end."""
        worker.attached = False
        worker.end()

    def stop(self, workers: Iterable[SpawnedWorker]) -> None:
        """Have all workers end."""
        for worker in workers:
            self.let_go(worker)

    def wait(self) -> None:
        """Wait until workers have ended; kill those that do not."""
        self._launcher.settle()
        for patience, end in ((_PATIENCE, SpawnedWorker.kill), (_MORE_PATIENCE, _kill_guard)):
            deadline = time.monotonic() + patience
            for worker in self._all:
                try:
                    worker.process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    end(worker)
        for worker in self._all:
            worker.wait()
        self._all.clear()
        self._launcher.end()

    def _tell(self, event: Event) -> None:
        self._told.put(event)
