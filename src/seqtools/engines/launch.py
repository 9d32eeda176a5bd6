"""Starting the template process, and seeing to its end."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from seqtools.engines.shortage import advised
from seqtools.errors import WorkerStartError

_THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""Every worker would use all cores; these are read when a library is loaded, so they are
set before the interpreter starts. A limit that the user has set is kept."""

_PATIENCE = 2.0
"""Seconds for a template to end by itself: it gives its workers 0.3 and kills them then."""


class Child:
    """A process that this one started."""

    def __init__(self, pid: int) -> None:
        self._pid: int | None = pid
        self._status = 0

    def end(self) -> int:
        """Wait for the process to end, in the end kill it; return its exit code."""
        deadline = time.monotonic() + _PATIENCE
        delay = 0.0005
        while self._pid is not None:
            with suppress(ChildProcessError):  # the user has it waited for elsewhere
                if time.monotonic() > deadline:
                    os.kill(self._pid, signal.SIGKILL)
                pid, self._status = os.waitpid(self._pid, os.WNOHANG)
                if not pid:
                    time.sleep(delay)
                    delay = min(2 * delay, 0.02)
                    continue
            self._pid = None
        return os.waitstatus_to_exitcode(self._status)


def launch(control: socket.socket, payload: int) -> Child:
    """Return a new template process that serves `control`, with the pipeline in `payload`.

    Raises:
        WorkerStartError: If there is no interpreter to run it.
    """
    process = interpreter(
        "from seqtools.engines.template import main; "
        f"main({control.fileno()}, {payload}, {os.getpid()})",
        stdin=subprocess.DEVNULL,
        pass_fds=(control.fileno(), payload),
    )
    process.returncode = 0  # from here on it is ours to wait for
    return Child(process.pid)


def interpreter(code: str, **options: Any) -> subprocess.Popen[bytes]:
    """Return a new process of this interpreter that runs `code` and finds the same modules.

    Ctrl-C does not reach it: that is for the consumer.

    Raises:
        WorkerStartError: If there is none.
    """
    path = [os.path.abspath(entry) if entry else os.getcwd() for entry in sys.path]
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined] # noqa: SLF001 -- as multiprocessing does
    if os.name == "posix":
        options["process_group"] = 0
    else:
        options["creationflags"] = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    try:
        return subprocess.Popen(
            [sys.executable, *flags, "-c", f"import sys; sys.path[:] = {path!r}; {code}"],
            env=dict.fromkeys(_THREAD_LIMITS, "1") | os.environ,
            **options,
        )
    except OSError as error:
        what = f"no worker processes, as {sys.executable!r} cannot be started"
        raise WorkerStartError(f"{advised(what, error)}: {error!r}") from error


_USUALLY = {
    "SIGKILL": "usually by the system, which had no memory left",
    "SIGSEGV": "usually a bug in compiled code",
    "SIGBUS": "usually a file that was cut off while it was mapped, or a full disk",
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
