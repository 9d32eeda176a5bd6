"""A cell in this process: reads its pipeline, and counts what happened and what went wrong."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import seqtools
from seqtools._core.errors import ItemTimeout, WorkerDied, WorkerStartError
from tests.faults.campaign import payloads
from tests.faults.campaign.cells import Cell
from tests.faults.campaign.judging import Reading, Verdict, judged
from tests.faults.campaign.watching import Diary, watched
from tests.leaks import GRACE, held, leaked

_MOST_ERRORS = 30  # that are about no item, after which to give up


def run(cell: Cell, progress: Callable[[], object] = lambda: None) -> Verdict:
    """Return what came of a cell.

    Args:
        cell: What to try.
        progress: Called at each item, and at the end.
    """
    begin = time.monotonic()
    before = held()
    folder = tempfile.mkdtemp(prefix="seqtools-faults-")
    try:
        with _armed(cell, folder), watched() as diary:
            reading = _read(cell, folder, diary, progress)
        payloads.end_orphans(folder)
        reading.leaks = leaked(before, GRACE)
        return judged(cell, folder, diary, reading, time.monotonic() - begin)
    finally:
        shutil.rmtree(folder)
        progress()


@contextmanager
def _armed(cell: Cell, folder: str) -> Any:
    wanted = {"SEQTOOLS_FAULTS": cell.plan, "SEQTOOLS_FAULTS_LOG": folder}
    before = {name: os.environ.pop(name, None) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


def _read(cell: Cell, folder: str, diary: Diary, progress: Callable[[], object]) -> Reading:
    pipeline, which = payloads.PAYLOADS[cell.payload].build(cell.n, *_touch(cell, folder))
    p = seqtools.prefetch(pipeline, start_hook=_hook(cell, folder), **cell.options)
    reading, items = Reading(), iter(p)
    last = time.monotonic()
    while True:
        try:
            value = next(items)
        except StopIteration:
            break
        except WorkerStartError as error:
            reading.unable.append(str(error))
            if len(reading.unable) == _MOST_ERRORS or cell.hopeless:
                break
        except seqtools.EvaluationError as error:
            reading.failed.append((_place(error), _reason(error)))
            reading.order.append(reading.failed[-1][0])
        else:
            try:
                reading.order.append(which(value))
            except payloads.Wrong as error:
                reading.wrong.append(str(error))
            del value
        now = time.monotonic()
        reading.pause, last = max(reading.pause, now - last), now
        progress()
        if cell.every and len(reading.order) % cell.every == 0:
            p.close() if cell.act == "renewed:" else _act(cell, diary)
        if cell.reader == "slow" and len(reading.order) % 10 == 0:
            time.sleep(0.02)
    del items
    p.close()
    return reading


def _place(error: seqtools.EvaluationError) -> int:
    if error.index is not None:
        return error.index
    told = re.search(r"item (\d+)", str(error))
    return int(told[1]) if told else -1


def _reason(error: seqtools.EvaluationError) -> str:
    cause = error.__cause__
    if isinstance(cause, WorkerDied):
        return "died"
    if isinstance(cause, ItemTimeout):
        return "timeout"
    if isinstance(cause, RuntimeError) and str(cause) == "a fault on demand":
        return "raised"
    if isinstance(cause, TypeError) and "a fault on demand" in str(cause):
        return "not sent"
    return repr(cause)


# What is done from outside


def _act(cell: Cell, diary: Diary) -> None:
    if not diary.engines:
        return
    engine = diary.engines[-1]
    what, how = cell.act.split(":")
    if what in {"all", "both"}:
        engine.kill_workers(how)
    if what in {"one", "away"}:
        engine.kill_workers(how, 1)
    if what in {"template", "both"}:
        engine.kill_template(how)
    if what == "paused":
        engine.kill_workers("SIGSTOP")
        time.sleep(0.02)
        engine.kill_workers("SIGCONT")


def _touch(cell: Cell, folder: str) -> list[Any]:
    what, _, how = cell.act.partition(":")
    if what == "deadly":
        return [payloads.Deadly(cell.struck, how)]
    if what == "orphan":
        return [payloads.Orphans(cell.struck, how, folder)]
    return []


def _hook(cell: Cell, folder: str) -> payloads.Hook | None:
    what, _, how = cell.act.partition(":")
    return payloads.Hook(how, folder) if what == "hook" else None
