"""A thread of a thread engine: takes tasks from the pool, and evaluates them."""

import threading
from collections.abc import Callable
from itertools import chain, islice
from time import perf_counter
from typing import Any

from seqtools._core.errors import EndOfSequence, Failure, WorkerStartError, summary
from seqtools.engines.base import AHEAD, END, here
from seqtools.engines.hooks import call_hook
from seqtools.engines.thread.pool import Pool
from seqtools.engines.thread.slot import CLOSING, IN_END_HOOK, UserWork, WorkerSlot
from seqtools.engines.thread.stealing import STOP, StealableTask


def attend(
    pool: Pool, slot: WorkerSlot, instead: tuple[WorkerSlot, tuple[int, float]] | None = None
) -> None:
    """Work at `slot` until the pool is closed.

    Args:
        pool: The pool with the tasks.
        slot: The slot of this thread, unless another thread has taken it.
        instead: The slot of a thread to abandon first, with its item and when that began; if the
            item has just finished, this thread ends at once.
    """
    try:
        if instead is None or pool.take_over(*instead, slot):
            _work(pool, slot)
    except BaseException as error:  # noqa: BLE001 -- delivered to readers
        # not an error of user code, which would be an outcome
        _fail(pool, f"thread {threading.current_thread().name} failed: {error!r}", error)


def _work(pool: Pool, slot: WorkerSlot) -> None:
    try:
        slot.free.pop()
    except IndexError:
        return
    slot.threads = [threading.current_thread()]
    if not _prepare(pool, slot.number):
        return
    while (task := pool.next(slot)) is not None:
        if not _do(pool, slot, task):
            return
        task = None  # an idle thread must not keep its last task alive
    if pool.end_hook is not None:
        _call_end_hook(slot, pool.end_hook)
    slot.ending = CLOSING  # the interpreter does that after the last function has returned


def _call_end_hook(slot: WorkerSlot, hook: Callable[..., object]) -> None:
    slot.ending = IN_END_HOOK
    try:
        call_hook(hook, slot.number)
    except BaseException as error:  # noqa: BLE001 -- told to the reader
        from seqtools.engines.dispatch.forwarded import tell_failed_end_hook

        tell_failed_end_hook(threading.current_thread().name, error)


def _prepare(pool: Pool, number: int) -> bool:
    """Call the start hook, and return whether it succeeded."""
    work = pool.work()
    if work is None:
        return False
    here.get = work.get
    try:
        if work.hook is not None:
            call_hook(work.hook, number)
    except BaseException as error:  # noqa: BLE001 -- delivered to the reader
        _fail(pool, f"start_hook failed in thread {number}: {summary(error)}", error)
        return False
    finally:
        here.get = None
    return True


def _fail(pool: Pool, what: str, error: BaseException) -> None:
    work = pool.work()
    if work is not None and not pool.closed:
        start_error = WorkerStartError(what)
        start_error.__cause__ = error
        work.deliver(start_error)


def _do(pool: Pool, slot: WorkerSlot, task: StealableTask) -> bool:
    """Evaluate a task; return False if another thread has replaced this one."""
    work = pool.work()
    if work is None:
        return True  # the pool is closed
    here.get = work.get
    try:
        if work.hints is not None:
            _hint(pool, task, work.hints)
        return _evaluate(pool, slot, task, work)
    finally:
        here.get = None


def _evaluate(pool: Pool, slot: WorkerSlot, task: StealableTask, work: UserWork) -> bool:
    get, probe = work.get, work.probe
    singly = probe is not None or work.timeout is not None
    goes_on = True
    while goes_on:
        failed: Any = None
        append = task.outcomes.append
        try:
            if not singly:
                for i in iter(task.todo.popleft, STOP):
                    append(get(i))
            else:
                for i in iter(task.todo.popleft, STOP):
                    slot.timed.append((i, perf_counter()))
                    value = get(i) if probe is None else probe(get, i)
                    if not slot.answers():
                        return False
                    append(value)
                    del value
        except EndOfSequence:
            failed = END
        except BaseException as error:  # noqa: BLE001 -- delivered to the reader
            failed = Failure.caught(error)
        if singly and failed is not None and not slot.answers():
            return False
        # Drop references to values, which only the reader should keep; errors refer to this frame.
        del append
        goes_on = pool.deliver(slot, task, failed, work.deliver)
        del failed
    return True


def _hint(pool: Pool, task: StealableTask, hints: Any) -> None:
    """Send hints about the items of `task` and, if these are few, about the items after them."""
    indices = task.job.indices
    if len(indices) < AHEAD:
        others = [t.job.indices[t.done : t.size] for t in pool.tasks() if t is not task]
        later = [job.indices for job in list(pool.waiting.values())[:AHEAD]]
        indices = list(islice(chain(indices, *others, *later), AHEAD))
    hints(indices)
