"""Workers that are forked from a template process."""

import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from seqtools.engines import fault_injection
from seqtools.engines.process import template_process
from seqtools.engines.process.launcher import Child
from seqtools.engines.process.pool import (
    Event,
    LoadedByEach,
    PoolEnded,
    PoolWorker,
    ResultsReady,
    WorkerEnded,
)
from seqtools.engines.resource_errors import for_now
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.arena_reader import LeasedBytes, share
from seqtools.engines.wire.headers import DamagedMessage
from seqtools.engines.wire.pipes import Pipe, Poller, both_ways, enlarge, raising
from seqtools.engines.wire.result_messages import ResultReader

_LONGEST = 1 << 18
"""Bytes of a message from the template, such as a traceback of 30,000 characters."""

_PATIENCE = 1.0
"""Seconds for the template to report the end of a worker that was killed. If it does not, it was
stopped, or hangs, and is killed."""

_open_fds: set[int] = set()
"""Descriptors of all engines of this process, which a forked template closes."""


class ForkedWorker(PoolWorker):
    """A worker with a pair of pipes."""

    __slots__ = ("pid", "results", "tasks")

    def __init__(self, number: int, tasks: int, results: int) -> None:
        super().__init__(number, ResultReader(Pipe(results)), None)
        self.tasks, self.results = tasks, results
        self.pid: int | None = None

    def send(self, task: bytes) -> None:
        """Send it a task."""
        with suppress(BrokenPipeError):
            raising(os.write, self.tasks, task)


Launch = Callable[[socket.socket, list[int]], Child | None]
"""Starts a template that serves a socket; closes some descriptors in a fork of this process.

It returns `None` if the next function should be called, with another socket.
"""


class TemplatePool:
    """See the module.

    Args:
        launches: Functions that start a template, in the order in which they are tried. After the
            death of a template, only the last one is used.
        nworkers: The largest number of workers.
        budget: Limits how much memory of workers may be kept.
    """

    def __init__(self, launches: Sequence[Launch], nworkers: int, budget: LeasedBytes) -> None:
        self._launches = launches
        self._nworkers = nworkers
        self._budget = budget
        self._poller = Poller()
        self._watched: dict[int, ForkedWorker] = {}  # by descriptor
        self._by_number: list[ForkedWorker | None] = [None] * nworkers
        self._control: socket.socket | None = None
        self._child: Child | None = None
        self._death: int | None = None  # can be read when the template has ended
        self._killed_at: dict[ForkedWorker, float] = {}

    @staticmethod
    def possible() -> bool:
        """Return whether this system has what templates need."""
        if not hasattr(os, "fork") or not hasattr(socket, "send_fds"):
            return False
        try:
            first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except (AttributeError, OSError) as error:
            return for_now(error)  # spawned workers would need the same
        first.close()
        second.close()
        return True

    def start(self) -> None:
        """Start a template."""
        fault_injection.reach("consumer-start")
        for launch in self._launches:
            self._release_template()
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            for each in (self._control, theirs):
                each.settimeout(None)  # whatever `socket.setdefaulttimeout` says
            _open_fds.add(self._control.fileno())
            with theirs:
                self._child = launch(theirs, sorted(_open_fds | self._poller.fds))
            if self._child is not None:
                self._watch_template(self._control, self._child)
                break
        self._launches = self._launches[-1:]
        fault_injection.reach("consumer-started")

    def _watch_template(self, control: socket.socket, child: Child) -> None:
        self._poller.register(control.fileno())
        # its end cannot be seen by its socket, if a process that user code has forked has it open
        self._death = child.watch()
        if self._death is not None:
            _open_fds.add(self._death)
            self._poller.register(self._death)

    def start_worker(self, number: int) -> ForkedWorker:
        """Return a new worker; if that fails, leave nothing behind."""
        tasks, results, *given = both_ways()
        _open_fds.update((tasks, results))
        worker = ForkedWorker(number, tasks, results)
        try:
            os.set_blocking(tasks, False)
            os.set_blocking(results, False)
            enlarge(results)
            memory, worker.leases = share(self._nworkers, self._budget)
            if memory is not None:
                given.append(memory)
            self._watched[results] = worker
            self._poller.register(results)
            fault_injection.reach("consumer-worker")
            self._request(template_process.FORK, number, *given)
            self._by_number[number] = worker
            fault_injection.reach("consumer-worker-requested")
        except BaseException:
            self.release(worker)
            raise
        finally:
            for fd in given:
                os.close(fd)
        return worker

    def poll(self, seconds: float | None) -> list[int]:
        """Wait for results and for the template; return descriptors."""
        return self._poller.poll(seconds)

    def rest(self, seconds: float) -> None:
        """Wait, ignoring all descriptors."""
        self._poller.rest(seconds)

    def wake(self) -> None:
        """Make `poll` or `rest` return."""
        self._poller.wake()

    def events(self, polled: Iterable[int]) -> Iterator[Event]:
        """Yield the events of descriptors."""
        reported = gone = False
        for fd in polled:
            worker = self._watched.get(fd)
            if worker is not None:
                yield ResultsReady(worker)
            elif fd == self._death:
                gone = True
            elif self._control is not None and fd == self._control.fileno():
                reported = True
        if reported or gone:  # last, after the results that a worker had sent before it died
            yield from self._listen(gone=gone)
        for since in self._killed_at.values():
            if time.monotonic() - since > _PATIENCE and self._child is not None:
                self._child.kill()

    def kill(self, worker: ForkedWorker) -> None:
        """Let the template kill a worker, which may have ended."""
        self._unwatch(worker)
        self._killed_at.setdefault(worker, time.monotonic())
        if worker.pid is not None:
            self._request(template_process.KILL, worker.pid)

    def release(self, worker: ForkedWorker) -> None:
        """Close the pipes of a worker, which then ends."""
        self._unwatch(worker)
        self._killed_at.pop(worker, None)
        fds, worker.tasks, worker.results = (worker.tasks, worker.results), -1, -1
        for fd in fds:
            if fd >= 0:
                _open_fds.discard(fd)
                os.close(fd)
        leases, worker.leases = worker.leases, None
        if leases is not None:
            leases.retire()

    def retire(self, worker: ForkedWorker) -> None:
        """Close the pipe of tasks of a worker, which then ends."""
        tasks, worker.tasks = worker.tasks, -1
        if tasks >= 0:
            _open_fds.discard(tasks)
            os.close(tasks)

    def stop(self, workers: Iterable[ForkedWorker]) -> None:
        """Let the template and all workers end."""
        for worker in workers:
            self.retire(worker)
        self._release_control()

    def wait(self, read: Callable[[ForkedWorker], bool]) -> None:
        """Wait for the end of the template, and read what workers send meanwhile."""

        def rest(seconds: float) -> None:
            for fd in self._poller.poll(seconds):
                worker = self._watched.get(fd)
                if worker is not None and not read(worker):
                    self._unwatch(worker)

        child, self._child = self._child, None
        if child is not None:
            child.end(rest)
        for worker in [*self._watched.values()]:
            read(worker)
            self.release(worker)
        self._release_template()
        self._poller.close()

    def _release_template(self) -> None:
        self._release_control()
        if self._death is not None:
            self._poller.unregister(self._death)
            _open_fds.discard(self._death)
            os.close(self._death)
            self._death = None

    def _release_control(self) -> None:
        if self._control is not None:
            self._poller.unregister(self._control.fileno())
            _open_fds.discard(self._control.fileno())
            self._control.close()
            self._control = None

    def _unwatch(self, worker: ForkedWorker) -> None:
        worker.attached = False
        if self._watched.pop(worker.results, None) is not None:
            self._poller.unregister(worker.results)

    def _request(self, kind: bytes, number: int, *fds: int) -> None:
        if self._control is not None:
            with suppress(BrokenPipeError, ConnectionResetError):  # seen when it is read
                request = template_process.REQUEST.pack(kind, number)
                raising(socket.send_fds, self._control, [request], fds)

    def _listen(self, *, gone: bool) -> Iterator[Event]:
        """Yield the events that the template reports, and its end if it is `gone`."""
        while (message := self._message(gone=gone)) is not None:
            try:
                event = self._parse(message)
            except DamagedMessage:  # or an empty message, at its end
                self._release_template()
                yield PoolEnded(None if self._child is None else self._child.end())
                return
            if event is not None:
                yield event

    def _message(self, *, gone: bool) -> bytes | None:
        """Return a message of the template, `None` if there is none, empty if it has ended."""
        for _ in range(2):
            if self._control is None:
                return None
            try:
                return self._control.recv(_LONGEST, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except ConnectionResetError:
                # It ended before it had read all requests. This is raised once, before its
                # messages can be read.
                gone = True
        return b"" if gone else None

    def _parse(self, message: bytes) -> Event | None:
        """Return the event that a message of the template reports, `None` if there is none.

        Raises:
            WorkerStartError: If it reports that no worker can start.
            DamagedMessage: If it is invalid.
        """
        kind, number, value = template_process.ANSWER.unpack(message)
        reason = message[template_process.ANSWER.size :]
        if kind == template_process.FAILED and len(reason) == number:
            raise result_messages.refusal(reason)
        if kind == template_process.EACH and len(reason) == number:
            return LoadedByEach(reason.decode("utf-8", "backslashreplace"))
        if kind == template_process.STARTED and not reason:
            if 0 <= number < len(self._by_number) and value > 0:
                self._note_start(self._by_number[number], value)
                return None
        elif kind == template_process.ENDED and not reason:
            ended = next((w for w in self._by_number if w is not None and w.pid == number), None)
            return None if ended is None else WorkerEnded(ended, value)
        raise DamagedMessage("the template process sent an invalid message")

    def _note_start(self, worker: ForkedWorker | None, pid: int) -> None:
        if worker is not None:
            worker.pid = pid
            if not worker.attached:  # it was killed before its process was known
                self._request(template_process.KILL, pid)
