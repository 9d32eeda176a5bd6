"""A cluster of Dask on this machine, until the engine is closed.

The scheduler has a process of its own, because it takes as much time for a task as this process
does. The workers are forked from one that has imported Dask; so they start in a tenth of the time.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from seqtools._core.errors import summary
from seqtools.engines.cluster.transport import BrokenError

_LONGEST_END = 3.0
"""Seconds for the processes to end by themselves. Arbitrary."""
_LONGEST_NAME = 40
"""Characters of a folder. Names of sockets have 107, of which the rest of theirs takes about 60."""
_TIMEOUT = 10
"""Seconds for the client to be connected. Arbitrary."""


class LocalDask:
    """Starts and ends a cluster.

    Args:
        nworkers: The number of worker processes, of one thread each.
        resources: What each of them has.
        interpreter: Starts an interpreter that runs code, in a process group of its own; takes
            options of `Popen` too.
        meaning: Returns in words how a process has ended, given its exit code.
    """

    def __init__(
        self,
        nworkers: int,
        resources: Mapping[str, float],
        interpreter: Callable[..., "subprocess.Popen[bytes]"],
        meaning: Callable[[int | None], str],
    ) -> None:
        self._nworkers, self._resources = nworkers, dict(resources)
        self._interpreter, self._meaning = interpreter, meaning
        self._process: subprocess.Popen[bytes] | None = None
        self._client: Any = None
        self._folder: str | None = None

    def start(self) -> Any:
        """Return a client of the cluster, once it runs.

        Raises:
            BrokenError: If it does not start.
        """
        self._folder = _folder()
        process = self._process = self._interpreter(
            "from seqtools.engines.cluster.dask_main import main; "
            f"main({self._nworkers}, {self._resources!r}, {os.getpid()}, {self._folder!r}, "
            f"{sys.argv!r})",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        from distributed import Client  # takes a second, while the other process does it too

        assert process.stdout is not None  # noqa: S101 -- for mypy
        address = process.stdout.readline().decode().strip()
        if not address:
            code = process.wait()
            raise BrokenError(f"no local cluster of Dask could be started: {self._meaning(code)}")
        try:
            self._client = Client(address, set_as_default=False, timeout=_TIMEOUT)
        except OSError as error:
            message = f"the local cluster of Dask cannot be reached: {summary(error)}"
            raise BrokenError(message) from error
        return self._client

    def ended(self) -> str | None:
        """Return how the process of the scheduler has ended, `None` if it runs."""
        process = self._process
        if process is None or process.poll() is None:
            return None
        return self._meaning(process.returncode)

    def close(self) -> None:
        """End all processes, and the client."""
        process, client, folder = self._process, self._client, self._folder
        if client is not None:
            with suppress(Exception):
                client.close(timeout=_LONGEST_END)
            self._client = None
        if process is not None:
            _end(process)
            self._process = None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
            self._folder = None


def _folder() -> str:
    """Return a new temporary folder, whose name is short enough for that of a socket in it."""
    usual = tempfile.gettempdir()
    short = usual if os.name != "posix" or len(usual) <= _LONGEST_NAME else "/tmp"  # noqa: S108 -- a folder of our own in there
    return tempfile.mkdtemp(prefix="seqtools-dask-", dir=short)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Have a process end, and kill it with all that it has started if it does not."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    deadline = time.monotonic() + _LONGEST_END
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    if process.returncode is None:
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    process.wait()
