"""Workers that are forked from a template process."""

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from seqtools.engines import faults, frames, slots, template
from seqtools.engines.crews import AllEnded, Ended, Event, Member, Results
from seqtools.engines.frames import ResultReader
from seqtools.engines.heads import Damaged
from seqtools.engines.launch import Child
from seqtools.engines.pipes import Pipe, Poller, enlarge
from seqtools.engines.slots import Budget, Leases

_LONGEST = 1 << 18
"""Bytes of a message from the template, such as a traceback of 30,000 characters."""

_open_fds: set[int] = set()
"""Descriptors of all engines of this process, for a child that is forked to close."""


class ForkedWorker(Member):
    """A worker with a pair of pipes."""

    __slots__ = ("pid", "results", "tasks")

    def __init__(self, number: int, tasks: int, results: int, leases: Leases | None) -> None:
        super().__init__(number, ResultReader(Pipe(results)), leases)
        self.tasks, self.results = tasks, results
        self.pid: int | None = None

    def send(self, task: bytes) -> None:
        """Give it a task."""
        with suppress(BrokenPipeError):
            os.write(self.tasks, task)


class Forking:
    """See the module."""

    def __init__(
        self,
        launch: Callable[[socket.socket, list[int]], Child],
        nworkers: int,
        budget: Budget,
    ) -> None:
        self._launch = launch  # given the socket of the template, and what it must not keep
        self._nworkers = nworkers
        self._budget = budget
        self._poller = Poller()
        self._watched: dict[int, ForkedWorker] = {}
        self._hired: list[ForkedWorker | None] = [None] * nworkers
        self._control: socket.socket | None = None
        self._child: Child | None = None

    @staticmethod
    def possible() -> bool:
        """Return whether this system has all that it takes."""
        if not hasattr(os, "fork") or not hasattr(socket, "send_fds"):
            return False
        try:
            first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except (AttributeError, OSError):
            return False
        first.close()
        second.close()
        return True

    def start(self) -> None:
        """Start a template."""
        self._let_go_of_template()
        faults.reach("consumer-start")
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = control
        _open_fds.add(control.fileno())
        with theirs:
            self._child = self._launch(theirs, sorted(_open_fds | self._poller.fds))
        self._poller.register(control.fileno())
        faults.reach("consumer-started")

    def hire(self, number: int) -> ForkedWorker:
        """Return a new worker."""
        theirs, tasks = os.pipe()
        results, theirs_too = os.pipe()
        os.set_blocking(tasks, False)
        os.set_blocking(results, False)
        enlarge(results)
        _open_fds.update((tasks, results))
        given = [theirs, theirs_too]
        leases = None
        memory = slots.create(self._nworkers)
        if memory is not None:
            leases = Leases(*memory, self._budget)
            given.append(memory[0])
        faults.reach("consumer-hire")
        self._request(template.FORK, number, *given)
        for fd in given:
            os.close(fd)
        worker = ForkedWorker(number, tasks, results, leases)
        self._hired[number] = self._watched[results] = worker
        self._poller.register(results)
        faults.reach("consumer-hired")
        return worker

    def poll(self, seconds: float) -> list[int]:
        """Wait for results and for the template."""
        return self._poller.poll(seconds)

    def events(self, polled: Iterable[int]) -> Iterator[Event]:
        """Yield what has happened."""
        told = False
        for fd in polled:
            worker = self._watched.get(fd)
            if worker is not None:
                yield Results(worker)
            elif self._control is not None and fd == self._control.fileno():
                told = True
        if told:  # last: what a worker had sent before it died was read
            yield from self._listen()

    def dismiss(self, worker: ForkedWorker) -> None:
        """Have the template kill a worker, which may be dead already."""
        self._unwatch(worker)
        if worker.pid is not None:
            self._request(template.KILL, worker.pid)

    def let_go(self, worker: ForkedWorker) -> None:
        """Close the pipes of a worker, which ends if it has not."""
        self._unwatch(worker)
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
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _let_go_of_template(self) -> None:
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
                socket.send_fds(self._control, [template.REQUEST.pack(kind, number)], fds)

    def _listen(self) -> Iterator[Event]:
        """Yield what the template tells."""
        while self._control is not None:
            try:
                message = self._control.recv(_LONGEST, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except ConnectionResetError:
                message = b""
            event: Event | None
            try:
                event = self._understood(message)
            except Damaged:  # or nothing, at the end: it is of no use, and ends if it has not
                self._let_go_of_template()
                event = AllEnded(0 if self._child is None else self._child.end())
            if event is not None:
                yield event

    def _understood(self, message: bytes) -> Event | None:
        """Return what a message of the template tells, if it is for the engine.

        Raises:
            WorkerStartError: If it says that there can be no workers.
            Damaged: If there is no such message.
        """
        kind, number, status = template.ANSWER.unpack(message)
        rest = message[template.ANSWER.size :]
        if kind == template.FAILED and len(rest) == number:
            raise frames.refusal(rest)
        if kind == template.STARTED and not rest and 0 <= number < len(self._hired) and status > 0:
            started = self._hired[number]
            if started is not None:
                started.pid = status
                if not started.attached:  # it was dismissed before
                    self._request(template.KILL, status)
            return None
        if kind == template.ENDED and not rest:
            ended = next((w for w in self._hired if w is not None and w.pid == number), None)
            with suppress(ValueError):  # it may be the status of one that goes on
                code = os.waitstatus_to_exitcode(status)
                return None if ended is None else Ended(ended, code)
        raise Damaged("the template process sent what it never sends")
