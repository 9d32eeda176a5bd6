"""Running code where no interrupt can come: outside the main thread.

Signal handlers run only in the main thread. Their exceptions may come at almost any step, and the
rest of the interrupted code does not run.
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
    """Call `act`, in a separate thread if this is the main thread; raise what it raises.

    If this call is interrupted, `act` still runs to its end. Exceptions: while the main thread
    imports a module, `act` runs in it, because another thread that uses the module, as pickling
    does, would wait for the import. When the interpreter ends, no other thread runs.
    """
    if threading.get_ident() != threading.main_thread().ident or sys.is_finalizing() or imports():
        act()
        return
    context = contextvars.copy_context()
    context.run(reader.set, creation_site())
    outcome = _Outcome(lambda: context.run(act))
    thread = threading.Thread(target=outcome.make, name="seqtools-apart", daemon=True)
    try:
        _thread.start_new_thread(outcome.unless, (thread.start,))
    except RuntimeError:  # no thread can be started, or the program ends
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
    """Start `thread`; even if this call is interrupted, it starts.

    `Thread.start` waits for the thread, and an interrupt of that wait may leave the thread
    stuck, or cause another error.

    Raises:
        RuntimeError: If no thread can be started.
    """
    if sys.is_finalizing():  # it would never run, and this call wait forever
        raise RuntimeError("can't start a thread when the interpreter ends")
    outcome = _Outcome(thread.start)
    # not a `Thread`, because that would have to be started in turn
    _thread.start_new_thread(outcome.make, ())
    outcome.wait()


class _Outcome:
    """The outcome of a function that another thread calls."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act
        self._told: SimpleQueue[BaseException | None] = SimpleQueue()  # waits in a single step

    def make(self) -> None:
        """Call the function, and store its outcome."""
        try:
            self._act()
        except BaseException as error:  # noqa: BLE001 -- raised where it is waited for
            self._told.put(error)
        else:
            self._told.put(None)

    def unless(self, begin: Callable[[], object]) -> None:
        """Call `begin`, which starts a thread for the function; if that fails, call it here."""
        try:
            begin()
        except RuntimeError:
            self.make()

    def wait(self) -> None:
        """Wait for the outcome, and raise the exception of the function, if any."""
        raised = self._told.get()
        if raised is not None:
            try:
                raise raised
            finally:
                del raised  # it refers to this frame
