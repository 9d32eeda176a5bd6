"""What a thread of a thread engine does: it takes tasks from the pool, and evaluates them."""

import threading
from itertools import chain, islice
from time import perf_counter
from typing import Any

from seqtools.engines.base import AHEAD, END, here
from seqtools.engines.hooks import call_hook
from seqtools.engines.stealing import STOP, Task
from seqtools.engines.thread_pool import Pool, Seat, Work
from seqtools.errors import EndOfSequence, Failure, WorkerStartError, summary


def attend(pool: Pool, seat: Seat, instead: tuple[Seat, tuple[int, float]] | None = None) -> None:
    """Work at `seat` until the pool is closed.

    Args:
        pool: Where tasks come from.
        seat: The place to take, unless another thread has done so.
        instead: The place of a thread to give up first, and since when it evaluates which item;
            nothing happens if that has come to its end just now.
    """
    try:
        if instead is None or pool.take_over(*instead, seat):
            _work(pool, seat)
    except BaseException as error:  # noqa: BLE001 -- told to readers
        # user code is not to blame: what it raises is an outcome
        _fail(pool, f"thread {threading.current_thread().name} failed: {error!r}", error)


def _work(pool: Pool, seat: Seat) -> None:
    try:
        seat.free.pop()
    except IndexError:
        return
    seat.threads = [threading.current_thread()]
    if not _prepare(pool, seat.number):
        return
    while (task := pool.next(seat)) is not None:
        if not _do(pool, seat, task):
            return
        task = None  # a thread that rests must not keep what it has done


def _prepare(pool: Pool, number: int) -> bool:
    """Call the start hook, and return whether that went well."""
    work = pool.work()
    if work is None:
        return False
    here.get = work.get
    try:
        if work.hook is not None:
            call_hook(work.hook, number)
    except BaseException as error:  # noqa: BLE001 -- told to the reader
        _fail(pool, f"start_hook failed in thread {number}: {summary(error)}", error)
        return False
    finally:
        here.get = None
    return True


def _fail(pool: Pool, what: str, error: BaseException) -> None:
    work = pool.work()
    if work is not None and not pool.closed:
        told = WorkerStartError(what)
        told.__cause__ = error
        work.deliver(told)


def _do(pool: Pool, seat: Seat, task: Task) -> bool:
    """Evaluate a task; return False if another thread has taken the place of this one."""
    work = pool.work()
    if work is None:
        return True  # the pool is closed
    here.get = work.get
    try:
        if work.hints is not None:
            _hint(pool, task, work.hints)
        return _evaluate(pool, seat, task, work)
    finally:
        here.get = None


def _evaluate(pool: Pool, seat: Seat, task: Task, work: Work) -> bool:
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
                    seat.timed.append((i, perf_counter()))
                    value = get(i) if probe is None else probe(get, i)
                    if not seat.answers():
                        return False
                    append(value)
                    del value
        except EndOfSequence:
            failed = END
        except BaseException as error:  # noqa: BLE001 -- told to the reader
            failed = Failure.caught(error)
        if singly and failed is not None and not seat.answers():
            return False
        # The reader alone decides how long a value lives; and an error refers to this frame.
        del append
        goes_on = pool.tell(seat, task, failed, work.deliver)
        del failed
    return True


def _hint(pool: Pool, task: Task, hints: Any) -> None:
    """Tell of the items of `task`, and of those that come then, if these are few."""
    indices = task.job.indices
    if len(indices) < AHEAD:
        others = [t.job.indices[t.done : t.size] for t in pool.tasks() if t is not task]
        later = [job.indices for job in list(pool.waiting.values())[:AHEAD]]
        indices = list(islice(chain(indices, *others, *later), AHEAD))
    hints(indices)
