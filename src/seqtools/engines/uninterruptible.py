"""Doing what an interrupt must not spoil where there are none: not in the main thread.

Signal handlers run there only. What they raise may come at almost any step, and leaves undone
what was to follow.
"""

import _thread
import contextvars
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue as SimpleQueue  # noqa: PLC0414 -- looked at by `green`
from types import FrameType

from seqtools._core.errors import creation_site, reader


def uninterrupted(act: Callable[[], object]) -> None:
    """Call `act`, in a thread of its own if this is the main one; what it raises, this raises.

    If this is interrupted, `act` is nevertheless done to its end; except while the main thread
    imports a module, which another thread that refers to it, as pickling does, would wait for.
    """
    if threading.get_ident() != threading.main_thread().ident or imports():
        act()
        return
    context = contextvars.copy_context()
    context.run(reader.set, creation_site())
    outcome = _Outcome(lambda: context.run(act))
    thread = threading.Thread(target=outcome.make, name="seqtools-apart", daemon=True)
    try:
        _thread.start_new_thread(outcome.unless, (thread.start,))
    except RuntimeError:  # there can be no more, or the program ends
        act()
        return
    outcome.wait()


def imports() -> bool:
    """Return whether this thread is importing a module."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 -- public
    while frame is not None:
        spec = frame.f_globals.get("__spec__")
        if frame.f_code.co_name == "<module>" and getattr(spec, "_initializing", False):
            return True
        frame = frame.f_back
    return False


def start(thread: threading.Thread) -> None:
    """Start `thread`; if this is interrupted, it starts nevertheless.

    Its method `start` waits for it, and an interrupt while it does may leave the thread
    stuck, or end in another error.

    Raises:
        RuntimeError: If there can be no other.
    """
    outcome = _Outcome(thread.start)
    # not a `Thread`, as that would have to be started; it is gone when this one has begun
    _thread.start_new_thread(outcome.make, ())
    outcome.wait()


class _Outcome:
    """What becomes of something that another thread does."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act
        self._told: SimpleQueue[BaseException | None] = SimpleQueue()  # waits in a single step

    def make(self) -> None:
        """Do it."""
        try:
            self._act()
        except BaseException as error:  # noqa: BLE001 -- raised where it is waited for
            self._told.put(error)
        else:
            self._told.put(None)

    def unless(self, begin: Callable[[], object]) -> None:
        """Call `begin`, which has it done; if that fails, do it here."""
        try:
            begin()
        except RuntimeError:
            self.make()

    def wait(self) -> None:
        """Wait for it, and raise what it raised."""
        raised = self._told.get()
        if raised is not None:
            try:
                raise raised
            finally:
                del raised  # it refers to this frame
