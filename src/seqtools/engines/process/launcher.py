"""Starts processes, and ends them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from seqtools._core.errors import WorkerStartError
from seqtools.engines.process.hash_seed import hash_seed
from seqtools.engines.process.interpreter import executable
from seqtools.engines.process.nesting import Nesting
from seqtools.engines.resource_errors import advised

_THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""Variables that keep each worker from using all cores. Libraries read them when they are loaded,
so they are set before the interpreter starts. A limit that the user has set is kept."""

_PATIENCE = 0.6
"""Seconds for a process that was asked to end to do so, before it is killed."""
_MORE_PATIENCE = 0.9
"""Seconds for a template to end by itself: it kills its workers after 0.7 seconds."""


class Child:
    """A process that this one started."""

    def __init__(self, pid: int) -> None:
        self.pid: int | None = pid
        self._killed_at = 0.0  # the first time
        self._code: int | None = None

    def watch(self) -> int | None:
        """Return a descriptor as `watch` does."""
        return None if self.pid is None else watch(self.pid)

    def kill(self) -> None:
        """End the process and all processes that it guards; kill it if it has not ended since."""
        if self.pid is None:
            return
        now = time.monotonic()
        self._killed_at = self._killed_at or now
        with suppress(ProcessLookupError):  # the program has waited for it
            if now - self._killed_at < _PATIENCE:
                self._signal(signal.SIGTERM)
                self._signal(signal.SIGCONT)  # it may have been stopped
            else:
                self._signal(signal.SIGKILL)

    def end(self, rest: Callable[[float], object] = time.sleep) -> int | None:
        """Wait for the process to end, and kill it if it does not.

        Args:
            rest: Waits for some seconds.

        Returns:
            Its exit code, `None` if it is not known.
        """
        deadline = time.monotonic() + _MORE_PATIENCE
        delay = 0.0005
        while self.pid is not None:
            with suppress(ChildProcessError):  # the program has waited for it
                if time.monotonic() > deadline:
                    self.kill()
                if not self.has_ended():
                    rest(delay)
                    delay = min(2 * delay, 0.02)
                    continue
            self.pid = None
        return self._code

    def has_ended(self) -> bool:
        """Return whether the process has ended, and store its exit code.

        Raises:
            ChildProcessError: If the program has waited for it.
        """
        assert self.pid is not None  # noqa: S101 -- for mypy
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self._code = os.waitstatus_to_exitcode(status)
        return pid != 0

    def _signal(self, signum: int) -> None:
        assert self.pid is not None  # noqa: S101 -- for mypy
        os.kill(self.pid, signum)


def launch(control: socket.socket, payload: int, nesting: Nesting, *, load_each: bool) -> Child:
    """Return a new template process, started as a fresh interpreter.

    Args:
        control: The socket that it serves.
        payload: The file with the pipeline.
        nesting: Its place among consumers and workers.
        load_each: Whether its workers load the pipeline, and not the template.

    Raises:
        WorkerStartError: If no interpreter can be run.
    """
    process = interpreter(
        "from seqtools.engines.process.template_main import main; "
        f"main({control.fileno()}, {payload}, {os.getpid()}, load_each={load_each})",
        nesting,
        stdin=subprocess.DEVNULL,
        pass_fds=(control.fileno(), payload),
    )
    process.returncode = 0  # from here on, `Child` waits for it
    return Child(process.pid)


def watch(pid: int) -> int | None:
    """Return a descriptor that is readable when process `pid` has ended, if there can be one."""
    if hasattr(os, "pidfd_open"):
        with suppress(OSError):
            return os.pidfd_open(pid)
    return None


def command(code: str, nesting: Nesting) -> list[str]:
    """Return the command for an interpreter that runs `code` and finds the same modules.

    Raises:
        WorkerStartError: If this process is no interpreter.
    """
    path = list(_absolute(sys.path))
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined] # noqa: SLF001 -- as multiprocessing does
    code = f"import sys; sys.path[:] = {path!r}; {code}"
    return [executable(), *flags, "-c", code, *nesting.arguments()]


def environment() -> dict[str, str]:
    """Return the environment of an interpreter."""
    return dict.fromkeys(_THREAD_LIMITS, "1") | os.environ | {"PYTHONHASHSEED": hash_seed()}


def interpreter(code: str, nesting: Nesting, **options: Any) -> subprocess.Popen[bytes]:
    """Start an interpreter that runs `code` and finds the same modules.

    Ctrl-C does not reach it, because the consumer handles that. `options` are those of `Popen`.

    Raises:
        WorkerStartError: If no interpreter can be run.
    """
    if os.name == "posix":
        options["process_group"] = 0
    else:
        options["creationflags"] = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    line = command(code, nesting)
    try:
        return subprocess.Popen(line, env=environment(), **options)
    except OSError as error:
        what = f"worker processes cannot start, because {line[0]!r} cannot be run"
        raise WorkerStartError(f"{advised(what, error)}: {error!r}") from error


def _absolute(path: Iterable[str]) -> Iterator[str]:
    for entry in path:
        # a relative path means nothing if the working directory was deleted
        with suppress(FileNotFoundError):
            yield os.path.abspath(entry)


_USUAL_REASONS = {
    "SIGKILL": "usually by the system, which had no memory left",
    "SIGSEGV": "usually a bug in compiled code",
    "SIGBUS": "usually a file that was truncated while it was mapped, or a full disk",
    "SIGABRT": "usually compiled code that gave up",
    "SIGFPE": "usually a division by zero in compiled code",
    "SIGILL": "usually code compiled for another processor",
    "SIGXCPU": "a limit on the processor time",
    "SIGTERM": "somebody asked it to end",
}


def meaning(code: int | None) -> str:
    """Return how a process ended, in words, from its exit code."""
    if code is None:
        return "the process that they depend on has ended"
    if code >= 0:
        return f"it exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"it was killed by signal {-code}"
    reason = _USUAL_REASONS.get(name)
    return f"it was killed by {name}" + (f", {reason}" if reason else "")
