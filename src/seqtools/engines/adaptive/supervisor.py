"""The thread that handles notes for an engine."""

import contextvars
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from seqtools._core.errors import creation_site, reader
from seqtools.engines.resource_errors import start_thread


def start_supervisor(handle: Callable[[Any], None], notes: "SimpleQueue[Any]") -> threading.Thread:
    """Start a thread that calls the method `handle` for each note, until a note is `None`.

    While it waits, it has no reference to the object of the method, so that this can be collected.
    The lines of warnings are those of the reader that starts it.

    Raises:
        WorkerStartError: If there can be no thread.
    """
    context = contextvars.copy_context()
    context.run(reader.set, creation_site())
    thread = threading.Thread(
        target=context.run,
        args=(_supervise, weakref.WeakMethod(handle), notes),
        name="seqtools-supervisor",
        daemon=True,
    )
    start_thread(thread)
    return thread


def _supervise(ref: "weakref.WeakMethod[Callable[[Any], None]]", notes: "SimpleQueue[Any]") -> None:
    while (note := notes.get()) is not None and (handle := ref()) is not None:
        handle(note)
        del note, handle  # they refer to objects of the user
