"""Forks workers from a template process, watches over them, and ends them.

consumer ──── socket: fork with these two pipes, kill ───▶ template
   ▲    ◀──── started, ended with this status, failed ────    │ fork
   │                                                          ▼
   └── one pipe of tasks and one of results each ─────────▶ workers
"""

import errno
import mmap
import os
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from typing import NoReturn

from seqtools.engines import fault_injection
from seqtools.engines.dispatch.refusal import pickled_reason
from seqtools.engines.process.launcher import watch
from seqtools.engines.process.signal_pipe import on_child_end
from seqtools.engines.process.worker import MORE_PATIENCE, PATIENCE, end_with, exit_now
from seqtools.engines.process.worker_main import Load, run_worker
from seqtools.engines.resource_errors import advised
from seqtools.engines.wire.headers import DamagedMessage, Header
from seqtools.engines.wire.task_messages import TaskReader

FORK, KILL = b"F", b"K"  # requests: the number of a new worker; the process id of a worker
REQUEST = Header("ci")
STARTED, ENDED = b"S", b"E"  # answers: number, pid; pid, exit code
FAILED, EACH = b"X", b"L"  # answers: length of the reason, which follows; 0
ANSWER = Header("cii")

_GIVEN = (2, 3)
"""Numbers of descriptors for a worker: its pipes, and memory for values if there is any."""
_GRACE = 0.5
"""Seconds for programs that a dead worker has left behind to end, before they are killed."""
_MOST_NUMBERS = 4096
"""Numbers of workers that are told from each other at the end. Arbitrary."""
_LOOK = 100
"""Milliseconds between two checks whether these seconds are over."""


class Template:
    """Serves the consumer.

    Args:
        control: The socket of the consumer.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._parent = os.getppid()
        self._workers: dict[int, int] = {}  # number of each worker, by process id
        self._ending = mmap.mmap(-1, _MOST_NUMBERS)  # shared: workers that are in their end hook
        self._dead: dict[int, float] = {}  # when the programs of dead workers are killed
        self._child_end = on_child_end()
        self._parent_fd = watch(self._parent)
        self._poller = select.poll()
        for fd in (control.fileno(), self._parent_fd, self._child_end.fds[0]):
            if fd is not None:
                self._poller.register(fd, select.POLLIN)

    def fail(self, what: str, error: BaseException) -> NoReturn:
        """Tell the consumer that no worker can start, and end."""
        self._give_up(FAILED, pickled_reason(what, error), 1)

    def have_each_load(self, reason: str) -> NoReturn:
        """Tell the consumer that each worker must load the pipeline itself, and end."""
        self._give_up(EACH, reason.encode("utf-8", "backslashreplace"), 0)

    def _give_up(self, kind: bytes, reason: bytes, status: int) -> NoReturn:
        with suppress(OSError):
            self._control.send(ANSWER.pack(kind, len(reason), 0) + reason)
        exit_now(status)

    def run(self, load: Load) -> NoReturn:
        """Serve the consumer until it ends. Each worker calls `load`."""
        status = 0
        try:
            while True:
                longest = None if self._parent_fd is not None else 1000
                events = self._poller.poll(_LOOK if self._dead else longest)
                fds = {fd for fd, _ in events}
                if self._parent_fd in fds or os.getppid() != self._parent:
                    break
                if self._child_end.fds[0] in fds:
                    self._report_ends()
                if self._dead:
                    self._kill_programs()
                if self._control.fileno() in fds and not self._serve(load):
                    break
        except OSError:  # the consumer has ended
            pass
        except DamagedMessage:
            traceback.print_exc()
            status = 1
        self._end(status)

    def _serve(self, load: Load) -> bool:
        """Handle a request; return whether there may be more."""
        message, fds, flags, _ = socket.recv_fds(self._control, REQUEST.size + 1, 3)
        if not message:
            return False
        for fd in fds:
            os.set_inheritable(fd, False)  # programs that user code starts must not get it
        kind, number = REQUEST.whole(message)
        if kind == KILL:
            if number in self._workers:
                os.kill(number, signal.SIGKILL)
            return True
        if kind != FORK:
            raise DamagedMessage(f"the template process received an unknown request, {kind!r}")
        if len(fds) not in _GIVEN or flags & socket.MSG_CTRUNC:  # this process cannot open more
            self._refuse(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
        self._fork(load, number, fds)
        return True

    def _refuse(self, error: OSError) -> NoReturn:
        self.fail(advised("no worker process could be started", error), error)

    def _fork(self, load: Load, number: int, fds: list[int]) -> None:
        template = os.getpid()
        self._ending[number % _MOST_NUMBERS] = 0
        try:
            fault_injection.reach("template-asked")
            pid = os.fork()
        except OSError as error:
            self._refuse(error)
        if pid == 0:
            self._become_worker(template, load, number, *fds)
        for fd in fds:
            os.close(fd)
        self._workers[pid] = number
        fault_injection.reach("template-forked")
        self._control.send(ANSWER.pack(STARTED, number, pid))

    def _become_worker(  # noqa: PLR0913, PLR0917 -- what a worker needs
        self,
        template: int,
        load: Load,
        number: int,
        tasks: int,
        results: int,
        memory: int | None = None,
    ) -> NoReturn:
        try:
            self._child_end.close()
            os.setpgid(0, 0)  # so that its programs can be told from those of other workers
            end_with(template)
            self._control.close()
            if self._parent_fd is not None:
                os.close(self._parent_fd)
            for stream in (sys.stdout, sys.stderr):
                with suppress(AttributeError, ValueError):
                    stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
            place = number % _MOST_NUMBERS
            run_worker(
                number,
                TaskReader(tasks),
                results,
                load,
                lambda: self._ending.__setitem__(place, 1),
                memory,
            )
        except BaseException:  # noqa: BLE001 -- a worker must never continue as a template
            traceback.print_exc()
        finally:
            exit_now(1)

    def _report_ends(self) -> None:
        """Report workers that have ended, and let programs that they have left behind end.

        These programs are in the process group of the worker, whose number is not free before
        `waitpid` is called for the worker.
        """
        self._child_end.clear()
        for pid in [*self._workers]:
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is not None:
                del self._workers[pid]
                self._dead[pid] = time.monotonic() + _GRACE
                _signal_group(pid, signal.SIGTERM)
                code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
                with suppress(OSError):
                    self._control.send(ANSWER.pack(ENDED, pid, code))

    def _kill_programs(self) -> None:
        """Kill programs that dead workers have left behind, if they had time to end."""
        now = time.monotonic()
        for pid in [pid for pid, until in self._dead.items() if until < now]:
            _signal_group(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            del self._dead[pid]

    def _end(self, status: int) -> NoReturn:
        """End this process, after its workers, which get a moment to end by themselves."""
        self._control.close()
        poller = select.poll()
        poller.register(self._child_end.fds[0], select.POLLIN)
        began, since = time.monotonic(), 0.0
        while self._workers and since < PATIENCE + MORE_PATIENCE and os.getppid() == self._parent:
            poller.poll(20)
            self._report_ends()
            since = time.monotonic() - began
            for pid, number in self._workers.items():
                if since > PATIENCE and not self._ending[number % _MOST_NUMBERS]:
                    os.kill(pid, signal.SIGKILL)  # it is inside user code
        for pid in self._workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in self._workers:
            os.waitpid(pid, 0)
        exit_now(status)


def _signal_group(group: int, signum: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # no process is left, or is ours
        os.killpg(group, signum)
