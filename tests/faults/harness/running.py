"""A cell in this process: its pipeline is read, while faults happen."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

import seqtools
from tests.faults.harness import payloads
from tests.faults.harness.cells import Cell
from tests.faults.harness.judging import Verdict, judged
from tests.faults.harness.reading import Reading
from tests.faults.harness.watching import Diary, watched

_MOST_ERRORS = 30  # that are about no item, after which to give up


def run(cell: Cell) -> Verdict:
    """Return what came of a cell."""
    with TemporaryDirectory(prefix="seqtools-faults-") as folder:
        with _armed(cell, folder), watched() as diary:
            reading = _read(cell, folder, diary)
        payloads.end_orphans(folder)
        return judged(cell, Path(folder), diary, reading)


@contextmanager
def _armed(cell: Cell, folder: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQTOOLS_FAULTS", cell.plan)
        patch.setenv("SEQTOOLS_FAULTS_LOG", folder)
        yield


def _read(cell: Cell, folder: str, diary: Diary) -> Reading:
    pipeline, which = payloads.PAYLOADS[cell.payload].build(cell.n, *_touch(cell, folder))
    p = seqtools.prefetch(pipeline, start_hook=_hook(cell, folder), **cell.options)
    reading = Reading(iter(p), which, ordered=cell.options.get("ordered", True))
    while reading.read():
        if reading.unable and (cell.hopeless or len(reading.unable) == _MOST_ERRORS):
            break
        if cell.every and reading.count % cell.every == 0:
            p.close() if cell.act == "renewed:" else _act(cell, diary)
        if cell.reader == "slow" and reading.count % 10 == 0:
            time.sleep(0.02)
    p.close()
    return reading


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
    return payloads.Hook(how, os.path.join(folder, "hooks")) if what == "hook" else None
