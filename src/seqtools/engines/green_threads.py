"""Programs in which gevent or eventlet has put green threads in the place of those of the system.

Green threads run by turns, in one thread, and change only where a function waits that was
replaced too. Who waits otherwise, waits for ever. In part, that is a matter of what was
imported first.
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
    """Raise an error if workers, threads or `processes`, would wait for ever in this program.

    Raises:
        WorkerStartError: If so; it says what to do.
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
    # the one written in C waits without them; what seqtools has of it, it has from its import on
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
    """Return the library that has put `obj` in the place of another."""
    library = str(getattr(obj, "__module__", "")).partition(".")[0]
    return library if library in _LIBRARIES else None
