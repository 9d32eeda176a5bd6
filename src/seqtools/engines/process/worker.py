"""A worker process: reads tasks, has them evaluated, and ends with the consumer."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from seqtools._core import allocator
from seqtools.engines import fault_injection
from seqtools.engines.base import here
from seqtools.engines.dispatch.evaluator import Evaluator
from seqtools.engines.process.output import OutputPipe, flush
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.arena import Arena
from seqtools.engines.wire.task_messages import TaskReader

_IDLE_SECONDS = 5.0
"""Seconds without work after which the memory of free slots is released. Arbitrary."""
PATIENCE = 0.3
"""Seconds for a worker to end what it evaluates, when it is told to end; then it is killed."""
MORE_PATIENCE = 0.4
"""Seconds more for its end hook and the functions registered for its end: `close` has to end within
a second."""
_PR_SET_PDEATHSIG = 1


def serve(  # noqa: PLR0913, PLR0917 -- what it works with
    tasks: TaskReader,
    get: Callable[[int], Any],
    hints: Any,
    by_value: list[Any],
    outlet: OutputPipe,
    slots: Arena | None,
    name: str,
) -> None:
    """Evaluate tasks until the pipe of tasks is closed; see `Evaluator` for the arguments."""
    outlet.by_value = by_value
    evaluator = Evaluator(get, hints, by_value, outlet, slots, name)
    outlet.answer((0, 0, 0, result_messages.READY, 0.0))
    here.get = evaluator.get
    if hints is not None:
        hints.take_turns()
    if slots is not None:
        allocator.allocate = slots.borrow
        tasks.while_idle = (_IDLE_SECONDS, slots.trim)
    while (task := tasks.read()) is not None and not tasks.is_closed():
        if fault_injection.armed:
            fault_injection.reach("task-read")
        evaluator.evaluate(task)


def ignore_sigint() -> None:
    """Let Ctrl-C do nothing in this process: the consumer handles it, and may continue reading.

    The signal gets a handler and is not ignored, because programs started from here would inherit
    that. If the consumer ignores it, they do too.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _do_nothing)
        if hasattr(signal, "siginterrupt"):
            signal.siginterrupt(signal.SIGINT, False)  # noqa: FBT003 -- system calls continue


def _do_nothing(*_: object) -> None:
    pass


def end_with(parent: int) -> None:
    """Have the system kill this process when the thread that started it ends, if possible.

    This works even if the process is in compiled code that never returns.
    """
    if sys.platform == "linux":
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        exit_now(1)


def prctl(option: int, argument: int) -> int:
    """Return the result of the system call `prctl`, on Linux."""
    import ctypes

    result: int = ctypes.CDLL(None).prctl(option, argument, 0, 0, 0)
    return result


def exit_now(status: int) -> NoReturn:
    """End this process at once, after its output was sent."""
    flush()
    os._exit(status)
