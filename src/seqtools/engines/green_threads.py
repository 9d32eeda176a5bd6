"""Programs in which gevent or eventlet has replaced threads by green threads.

Green threads share one thread, and switch only in functions that wait and were replaced too. Any
other function that waits for another green thread waits forever.
"""

import os
import select
import socket
import subprocess
import sys
import threading
from typing import Any

from seqtools._core.errors import WorkerStartError
from seqtools.engines import uninterruptible

_LIBRARIES = ("gevent", "eventlet")


def refuse_green(*, processes: bool) -> None:
    """Raise an error if workers, threads or `processes`, would wait forever in this program.

    Raises:
        WorkerStartError: If so, with advice.
    """
    if not any(library in sys.modules for library in _LIBRARIES):
        return
    if processes:
        for name, obj in _needed_by_processes().items():
            library = _library_of(obj)
            if library:
                message = (
                    f"worker processes cannot be used in this program, because {library} has "
                    f"replaced {name}: use method='thread' or nworkers=0, or a program in which "
                    "nothing is replaced"
                )
                raise WorkerStartError(message)
        return
    library = _library_of(threading.get_ident)
    # the queue that is written in C, and was imported by seqtools before it was replaced
    if library and uninterruptible.SimpleQueue.__module__ == "_queue":
        message = (
            f"worker threads would wait forever in this program, because {library} has replaced "
            "threads, but not everything that seqtools uses with them: have it replace "
            "everything before seqtools is imported, or use nworkers=0"
        )
        raise WorkerStartError(message)


def _needed_by_processes() -> dict[str, Any]:
    return {
        "threading": threading.get_ident,
        "socket": socket.socket,
        "select": select.select,
        "subprocess": subprocess.Popen,
        "os.fork": getattr(os, "fork", None),
        "os.waitpid": getattr(os, "waitpid", None),
        "os.read": os.read,
    }


def _library_of(obj: Any) -> str | None:
    """Return the library that has replaced something by `obj`, if any."""
    library = str(getattr(obj, "__module__", "")).partition(".")[0]
    return library if library in _LIBRARIES else None
