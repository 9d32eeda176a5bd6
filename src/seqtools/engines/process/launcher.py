"""Starting processes, and seeing to their end."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

from seqtools._core.errors import WorkerStartError
from seqtools.engines.process.hash_seed import hash_seed
from seqtools.engines.process.interpreter import executable
from seqtools.engines.process.nesting import Nesting
from seqtools.engines.process.pool import serving
from seqtools.engines.resource_errors import advised, start_thread

_THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""Every worker would use all cores; these are read when a library is loaded, so they are
set before the interpreter starts. A limit that the user has set is kept."""

_PATIENCE = 0.6
"""Seconds for a template to end by itself: it gives its workers 0.3 and kills them then."""

T = TypeVar("T")


class Launcher:
    """A thread that starts processes, and is there as long as they are.

    Linux ends a process with the *thread* that started it, if it asks for that. Who wants
    workers may be a thread that ends before them; this one does not. What it starts is not
    lost to a Ctrl-C either, which only the main thread gets.
    """

    def __init__(self) -> None:
        self._orders: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def run(self, order: Callable[[], T]) -> T:
        """Return what `order` does, called in the thread.

        Raises:
            WorkerStartError: If there can be no such thread.
        """
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="seqtools-launcher", daemon=True)
            start_thread(thread)
            self._thread = thread
        answer: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

        def answered() -> None:
            try:
                answer.put((order(), None))
            except BaseException as error:  # noqa: BLE001 -- raised where it was ordered
                answer.put((None, error))

        self._orders.put(answered)
        result, raised = answer.get()
        if raised is not None:
            raise raised
        return result  # type: ignore[return-value]

    def finish_with(self, order: Callable[[], object]) -> None:
        """Have `order` done, and the thread ended after it; do not wait for that.

        It must not raise.
        """

        def done() -> None:
            order()

        self._orders.put(done)
        self._orders.put(None)

    def has_ended(self, seconds: float) -> bool:
        """Return whether the thread has ended, or does within so many seconds."""
        return self._ended.wait(seconds)

    def settle(self) -> None:
        """Wait until what was ordered is done, also by who was interrupted since."""
        if self._thread is not None and threading.get_ident() != self._thread.ident:
            self.run(lambda: None)

    def end(self) -> None:
        """End the thread, and with it the processes that it has started."""
        if self._thread is not None and threading.get_ident() != self._thread.ident:
            self._orders.put(None)
            # not join(): called by the end of a thread, it would make a dummy of that one
            self._ended.wait()
            self._thread = None

    def _run(self) -> None:
        serving.serves = True
        while (order := self._orders.get()) is not None:
            order()
            del order  # it refers to whose thread this is
        self._ended.set()


class Child:
    """A process that this one started."""

    def __init__(self, pid: int) -> None:
        self._pid: int | None = pid
        self._asked = 0.0  # when it was first asked to end
        self._status = 0

    def watch(self) -> int | None:
        """Return a descriptor as `watch` does."""
        return None if self._pid is None else watch(self._pid)

    def kill(self) -> None:
        """Have the process end at once, with all that it guards; kill it if it goes on."""
        if self._pid is None:
            return
        now = time.monotonic()
        self._asked = self._asked or now
        with suppress(ProcessLookupError):  # the user has had it waited for elsewhere
            if now - self._asked < _PATIENCE:
                self._signal(signal.SIGTERM)
                self._signal(signal.SIGCONT)  # it may have been stopped
            else:
                self._signal(signal.SIGKILL)

    def end(self, family: Iterable[int] = ()) -> int:
        """Wait for the process to end, in the end kill it; return its exit code.

        It takes the processes of its `family` with it, as the system sees to if it is killed.
        """
        deadline = time.monotonic() + _PATIENCE
        delay = 0.0005
        orphans: list[int] = []
        while self._pid is not None:
            with suppress(ChildProcessError):  # the user has it waited for elsewhere
                if time.monotonic() > deadline:
                    orphans = orphans or [fd for pid in family if (fd := watch(pid)) is not None]
                    self.kill()
                if not self.has_ended():
                    time.sleep(delay)
                    delay = min(2 * delay, 0.02)
                    continue
            self._pid = None
        for fd in orphans:
            poller = select.poll()
            poller.register(fd, select.POLLIN)
            poller.poll(1000 * _PATIENCE)
            os.close(fd)
        return os.waitstatus_to_exitcode(self._status)

    def has_ended(self) -> bool:
        """Return whether the process has ended, and take note of its status.

        Raises:
            ChildProcessError: If it was waited for elsewhere.
        """
        assert self._pid is not None  # noqa: S101 -- for mypy
        pid, self._status = os.waitpid(self._pid, os.WNOHANG)
        return pid != 0

    def _signal(self, signum: int) -> None:
        assert self._pid is not None  # noqa: S101 -- for mypy
        os.kill(self._pid, signum)


def launch(control: socket.socket, payload: int, nesting: Nesting, *arguments: str) -> Child:
    """Return a new template process that serves `control`, with the pipeline in `payload`.

    It is given `arguments`.

    Raises:
        WorkerStartError: If there is no interpreter to run it.
    """
    process = interpreter(
        template_code(control.fileno(), payload, os.getpid()),
        nesting,
        *arguments,
        stdin=subprocess.DEVNULL,
        pass_fds=(control.fileno(), payload),
    )
    process.returncode = 0  # from here on it is ours to wait for
    return Child(process.pid)


def template_code(control: int, payload: int, consumer: int) -> str:
    """Return the code of a template process, given its descriptors and the consumer."""
    return (
        "from seqtools.engines.process.template_main import main; "
        f"main({control}, {payload}, {consumer})"
    )


def watch(pid: int) -> int | None:
    """Return a descriptor that is readable when process `pid` has ended, if there can be one."""
    if hasattr(os, "pidfd_open"):
        with suppress(OSError):
            return os.pidfd_open(pid)
    return None


def command(code: str, nesting: Nesting, *arguments: str) -> list[str]:
    """Return the command for an interpreter that runs `code` and finds the same modules.

    Raises:
        WorkerStartError: If there is none.
    """
    path = list(_absolute(sys.path))
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined] # noqa: SLF001 -- as multiprocessing does
    code = f"import sys; sys.path[:] = {path!r}; {code}"
    return [executable(), *flags, "-c", code, *arguments, *nesting.arguments()]


def environment() -> dict[str, str]:
    """Return the environment of an interpreter."""
    return dict.fromkeys(_THREAD_LIMITS, "1") | os.environ | {"PYTHONHASHSEED": hash_seed()}


def interpreter(
    code: str, nesting: Nesting, *arguments: str, **options: Any
) -> subprocess.Popen[bytes]:
    """Return a new process of this interpreter that runs `code` and finds the same modules.

    It is given `arguments`. Ctrl-C does not reach it: that is for the consumer.

    Raises:
        WorkerStartError: If there is none.
    """
    if os.name == "posix":
        options["process_group"] = 0
    else:
        options["creationflags"] = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    line = command(code, nesting, *arguments)
    try:
        return subprocess.Popen(line, env=environment(), **options)
    except OSError as error:
        what = f"worker processes cannot start, because {line[0]!r} cannot be run"
        raise WorkerStartError(f"{advised(what, error)}: {error!r}") from error


def _absolute(path: Iterable[str]) -> Iterator[str]:
    for entry in path:
        # what is relative to a working directory that was deleted is nowhere
        with suppress(FileNotFoundError):
            yield os.path.abspath(entry)


_USUALLY = {
    "SIGKILL": "usually by the system, which had no memory left",
    "SIGSEGV": "usually a bug in compiled code",
    "SIGBUS": "usually a file that was truncated while it was mapped, or a full disk",
    "SIGABRT": "usually compiled code that gave up",
    "SIGFPE": "usually a division by zero in compiled code",
    "SIGILL": "usually code compiled for another processor",
    "SIGXCPU": "a limit on the processor time",
    "SIGTERM": "somebody asked it to end",
}


def meaning(code: int) -> str:
    """Return how a process ended, in words, from its exit code."""
    if code >= 0:
        return f"it exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"it was killed by signal {-code}"
    reason = _USUALLY.get(name)
    return f"it was killed by {name}" + (f", {reason}" if reason else "")
