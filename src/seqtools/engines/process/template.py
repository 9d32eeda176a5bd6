"""Workers that are forked from a template process."""

import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from seqtools._core.errors import WorkerStartError
from seqtools.engines import fault_injection
from seqtools.engines.process import template_main
from seqtools.engines.process.launcher import Child, Launcher
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
"""Seconds for the template to tell that a worker has ended. If it does not, it was stopped, or
hangs, and is of no use."""

_open_fds: set[int] = set()
"""Descriptors of all engines of this process, for a child that is forked to close."""


class ForkedWorker(PoolWorker):
    """A worker with a pair of pipes."""

    __slots__ = ("pid", "results", "tasks")

    def __init__(self, number: int, tasks: int, results: int) -> None:
        super().__init__(number, ResultReader(Pipe(results)), None)
        self.tasks, self.results = tasks, results
        self.pid: int | None = None

    def send(self, task: bytes) -> None:
        """Give it a task."""
        with suppress(BrokenPipeError):
            raising(os.write, self.tasks, task)


class TemplatePool:
    """See the module.

    Args:
        launch: Starts a template that serves a socket, and must not keep some descriptors; or
            returns `None` to be called again, with another socket.
        nworkers: How many workers there are at most.
        budget: Of what may be kept of their memory.
        launcher: The thread that is to call `launch`, if it matters which one does.
    """

    def __init__(
        self,
        launch: Callable[[socket.socket, list[int]], Child | None],
        nworkers: int,
        budget: LeasedBytes,
        launcher: Launcher | None = None,
    ) -> None:
        self._launch = launch
        self._launcher = launcher
        self._nworkers = nworkers
        self._budget = budget
        self._poller = Poller()
        self._watched: dict[int, ForkedWorker] = {}
        self._hired: list[ForkedWorker | None] = [None] * nworkers
        self._control: socket.socket | None = None
        self._child: Child | None = None
        self._death: int | None = None  # can be read when the template has ended
        self._dismissed: dict[ForkedWorker, float] = {}  # when

    @staticmethod
    def possible() -> bool:
        """Return whether this system has all that it takes."""
        if not hasattr(os, "fork") or not hasattr(socket, "send_fds"):
            return False
        try:
            first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except (AttributeError, OSError) as error:
            return for_now(error)  # which the other way, slower, would need as well
        first.close()
        second.close()
        return True

    def start(self) -> None:
        """Start a template."""
        self._let_go_of_template()
        fault_injection.reach("consumer-start")
        while not self._launched():
            self._let_go_of_template()
        assert self._control is not None  # noqa: S101 -- for mypy
        self._poller.register(self._control.fileno())
        # its socket does not tell, if what user code has forked there has it open
        self._death = None if self._child is None else self._child.watch()
        if self._death is not None:
            _open_fds.add(self._death)
            self._poller.register(self._death)
        fault_injection.reach("consumer-started")

    def _launched(self) -> bool:
        """Start a template with a new socket; return whether that was done."""
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = control
        _open_fds.add(control.fileno())

        def launch() -> None:
            with theirs:
                self._child = self._launch(theirs, sorted(_open_fds | self._poller.fds))

        try:
            launch() if self._launcher is None else self._launcher.run(launch)
        except WorkerStartError:  # perhaps there was no thread to call it
            theirs.close()
            raise
        return self._child is not None

    def hire(self, number: int) -> ForkedWorker:
        """Return a new worker; nothing is left where there cannot be one."""
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
            fault_injection.reach("consumer-hire")
            self._request(template_main.FORK, number, *given)
            self._hired[number] = worker
            fault_injection.reach("consumer-hired")
        except BaseException:
            self.let_go(worker)
            raise
        finally:
            for fd in given:
                os.close(fd)
        return worker

    def poll(self, seconds: float | None) -> list[int]:
        """Wait for results and for the template."""
        return self._poller.poll(seconds)

    def rest(self, seconds: float) -> None:
        """Wait, whatever happens."""
        self._poller.rest(seconds)

    def wake(self) -> None:
        """Have `poll` return, or `rest`."""
        self._poller.wake()

    def events(self, polled: Iterable[int]) -> Iterator[Event]:
        """Yield what has happened."""
        told = gone = False
        for fd in polled:
            worker = self._watched.get(fd)
            if worker is not None:
                yield ResultsReady(worker)
            elif fd == self._death:
                gone = True
            elif self._control is not None and fd == self._control.fileno():
                told = True
        if told or gone:  # last: what a worker had sent before it died was read
            yield from self._listen(gone=gone)
        for since in self._dismissed.values():
            if time.monotonic() - since > _PATIENCE and self._child is not None:
                self._child.kill()

    def dismiss(self, worker: ForkedWorker) -> None:
        """Have the template kill a worker, which may be dead already."""
        self._unwatch(worker)
        self._dismissed.setdefault(worker, time.monotonic())
        if worker.pid is not None:
            self._request(template_main.KILL, worker.pid)

    def let_go(self, worker: ForkedWorker) -> None:
        """Close the pipes of a worker, which ends if it has not."""
        self._unwatch(worker)
        self._dismissed.pop(worker, None)
        fds, worker.tasks, worker.results = (worker.tasks, worker.results), -1, -1
        for fd in fds:
            if fd >= 0:
                _open_fds.discard(fd)
                os.close(fd)
        leases, worker.leases = worker.leases, None
        if leases is not None:
            leases.retire()

    def stop(self, workers: Iterable[ForkedWorker]) -> None:
        """Have the template end, and all workers with it."""
        for worker in workers:
            self.let_go(worker)
        self._let_go_of_template()
        self._poller.close()

    def wait(self) -> None:
        """Wait for the end of the template."""
        if self._launcher is not None:
            self._launcher.settle()
        child, self._child = self._child, None
        if child is not None:
            child.end([w.pid for w in self._hired if w is not None and w.pid is not None])
        if self._launcher is not None:
            self._launcher.end()

    def _let_go_of_template(self) -> None:
        if self._control is not None:
            self._poller.unregister(self._control.fileno())
            _open_fds.discard(self._control.fileno())
            self._control.close()
            self._control = None
        if self._death is not None:
            self._poller.unregister(self._death)
            _open_fds.discard(self._death)
            os.close(self._death)
            self._death = None

    def _unwatch(self, worker: ForkedWorker) -> None:
        worker.attached = False
        if self._watched.pop(worker.results, None) is not None:
            self._poller.unregister(worker.results)

    def _request(self, kind: bytes, number: int, *fds: int) -> None:
        if self._control is not None:
            with suppress(BrokenPipeError, ConnectionResetError):  # seen when it is read
                request = template_main.REQUEST.pack(kind, number)
                raising(socket.send_fds, self._control, [request], fds)

    def _listen(self, *, gone: bool) -> Iterator[Event]:
        """Yield what the template has told, and that it ended if it is `gone`."""
        while (message := self._message(gone=gone)) is not None:
            try:
                event = self._understood(message)
            except (
                DamagedMessage
            ):  # or nothing, at the end: it is of no use, and ends if it has not
                self._let_go_of_template()
                yield PoolEnded(0 if self._child is None else self._child.end())
                return
            if event is not None:
                yield event

    def _message(self, *, gone: bool) -> bytes | None:
        """Return what the template has told, `None` if nothing yet, empty if it has ended."""
        for _ in range(2):
            if self._control is None:
                return None
            try:
                return self._control.recv(_LONGEST, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except ConnectionResetError:
                # It ended before it had read all: that is said once, and before what it has told.
                gone = True
        return b"" if gone else None

    def _understood(self, message: bytes) -> Event | None:
        """Return what a message of the template tells, if it is for the engine.

        Raises:
            WorkerStartError: If it says that there can be no workers.
            Damaged: If there is no such message.
        """
        kind, number, status = template_main.ANSWER.unpack(message)
        rest = message[template_main.ANSWER.size :]
        if kind == template_main.FAILED and len(rest) == number:
            raise result_messages.refusal(rest)
        if kind == template_main.EACH and len(rest) == number:
            return LoadedByEach(rest.decode("utf-8", "backslashreplace"))
        if (
            kind == template_main.STARTED
            and not rest
            and 0 <= number < len(self._hired)
            and status > 0
        ):
            started = self._hired[number]
            if started is not None:
                started.pid = status
                if not started.attached:  # it was dismissed before
                    self._request(template_main.KILL, status)
            return None
        if kind == template_main.ENDED and not rest:
            ended = next((w for w in self._hired if w is not None and w.pid == number), None)
            with suppress(ValueError):  # it may be the status of one that goes on
                code = os.waitstatus_to_exitcode(status)
                return None if ended is None else WorkerEnded(ended, code)
        raise DamagedMessage("the template process sent an invalid message")
