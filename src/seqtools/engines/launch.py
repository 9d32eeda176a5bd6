"""Starting the template process, and seeing to its end."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

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
        """Wait for the process to end, in the end kill it; return its wait status."""
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
        return self._status


def launch(control: socket.socket, payload: int) -> Child:
    """Return a new template process that serves `control`, with the pipeline in `payload`.

    Raises:
        WorkerStartError: If there is no interpreter to run it.
    """
    path = [os.path.abspath(entry) if entry else os.getcwd() for entry in sys.path]
    code = (
        f"import sys; sys.path[:] = {path!r}; "
        "from seqtools.engines.template import main; "
        f"main({control.fileno()}, {payload}, {os.getpid()})"
    )
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined] # noqa: SLF001 -- as multiprocessing does
    environ = dict.fromkeys(_THREAD_LIMITS, "1") | os.environ
    try:
        process = subprocess.Popen(
            [sys.executable, *flags, "-c", code],
            stdin=subprocess.DEVNULL,
            env=environ,
            pass_fds=(control.fileno(), payload),
            process_group=0,  # Ctrl-C is for the consumer
        )
    except OSError as error:
        message = f"no worker processes, as {sys.executable!r} cannot be started: {error}"
        raise WorkerStartError(message) from error
    process.returncode = 0  # from here on it is ours to wait for
    return Child(process.pid)


_USUALLY = {
    signal.SIGKILL: "usually by the system, which had no memory left",
    signal.SIGSEGV: "usually a bug in compiled code",
    signal.SIGBUS: "usually a file that was cut off while it was mapped, or a full disk",
    signal.SIGABRT: "usually compiled code that gave up",
    signal.SIGFPE: "usually a division by zero in compiled code",
    signal.SIGILL: "usually code compiled for another processor",
    signal.SIGXCPU: "a limit on the processor time",
    signal.SIGTERM: "somebody asked it to end",
}


def meaning(status: int) -> str:
    """Return how a process ended, in words, from its wait status."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"it exited with code {code}"
    try:
        received = signal.Signals(-code)
    except ValueError:
        return f"it was killed by signal {-code}"
    reason = _USUALLY.get(received)
    return f"it was killed by {received.name}" + (f", {reason}" if reason else "")
