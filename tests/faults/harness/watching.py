"""A process engine that tells what it takes notice of, and sees whether it keeps its word."""

import os
import signal
import time
from collections.abc import Collection, Iterator, MutableSequence, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import pytest

from seqtools.engines.base import Deliver, Job, Part
from seqtools.engines.dispatch.scheduler import Scheduler
from seqtools.engines.process.engine import ProcessEngine
from seqtools.engines.process.pool import PoolEnded
from seqtools.engines.process.workers import Workers
from tests.engines.driven import still
from tests.leaks import guarded


class Lost(NamedTuple):
    """A worker of which the engine has learned that it is dead."""

    time: float
    pid: int | None
    number: int
    engine: int
    held: Sequence[int]
    """The items that it may have died over."""


class Kill(NamedTuple):
    """A signal that was sent from outside."""

    time: float
    how: str
    what: str
    """`worker` or `template`."""
    pid: int


class Diary:
    """What happened to the engines of a pipeline."""

    def __init__(self) -> None:
        self.engines: list[Watched] = []
        self.lost: MutableSequence[Lost] = []
        self.templates: MutableSequence[float] = []  # when it was learned that one is dead
        self.repeated: list[int] = []  # places in jobs of items that came once more
        self.killed: MutableSequence[Kill] = []


_diary = Diary()
_MOST_CANCELLED = 20_000
"""Items of cancelled jobs that may still come. Arbitrary: several windows."""


class Blaming(Scheduler):
    """Takes note of what a worker had that died."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.held: Sequence[int] = ()

    def died(self, worker: Any, *, began: bool) -> Any:
        self.held = worker.assigned[0].indices if worker.assigned else ()
        return super().died(worker, began=began)


class Losing(Workers):
    """Takes note of workers and templates that have died."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._diary = _diary
        super().__init__(*args, **options)

    def _requeue(self, worker: Any, code: int) -> None:
        when, pid = time.monotonic(), pid_of(worker)
        scheduler = self.scheduler
        assert isinstance(scheduler, Blaming)
        try:
            super()._requeue(worker, code)
        finally:
            lost = Lost(when, pid, worker.number, id(self), scheduler.held)
            self._diary.lost.append(lost)

    def handle(self, event: Any) -> None:
        if isinstance(event, PoolEnded):
            self._diary.templates.append(time.monotonic())
        super().handle(event)


class Watched(ProcessEngine):
    """See the module."""

    def __init__(self, *args: Any, deliver: Deliver, **options: Any) -> None:
        self._diary = diary = _diary
        self._expected = expected = dict[int, set[int]]()  # places in each job
        self._cancelled: list[int] = []

        def delivered(part: Any) -> None:
            if isinstance(part, Part):
                places = range(part.offset, part.offset + len(part.outcomes))
                left = expected.get(part.job, set())
                diary.repeated += [k for k in places if k not in left]
                left.difference_update(places)
                if not left:
                    expected.pop(part.job, None)
            deliver(part)

        super().__init__(*args, deliver=delivered, **options)
        self._diary.engines.append(self)

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job] = ()) -> None:
        for job in (*ahead, *urgent):
            places = range(job.offset, job.offset + len(job.indices))
            self._expected.setdefault(job.id, set()).update(places)
        super().submit(ahead, urgent)

    def cancel(self, ids: Collection[int]) -> None:
        super().cancel(ids)
        # what was begun of them may still come, once
        expected = self._expected
        known = dict.fromkeys([*self._cancelled, *ids])
        left = [number for number in known if number in expected]
        surplus = sum(len(expected.get(number, ())) for number in left) - _MOST_CANCELLED
        while surplus > 0:
            surplus -= len(expected.pop(left.pop(0), ()))
        self._cancelled = left

    def close(self, *, wait: bool = True) -> None:
        super().close(wait=wait)
        with suppress(ValueError):
            self._diary.engines.remove(self)

    # What can be done to it from outside

    def kill_workers(self, how: str, most: int | None = None) -> None:
        """Send a signal to the workers, at once, so that no item goes from one to the next."""
        with still(self):
            for worker in self._operator.workers.all[:most]:
                if worker.attached and (pid := pid_of(worker)):
                    self._kill(pid, how, "worker")

    def kill_template(self, how: str) -> None:
        """Send a signal to the template, if there is one."""
        with still(self):
            child = getattr(self._operator.workers.pool, "_child", None)
            if child is not None and child.pid is not None:
                self._kill(child.pid, how, "template")

    def _kill(self, pid: int, how: str, what: str) -> None:
        when = time.monotonic()
        with suppress(ProcessLookupError):
            forked = hasattr(self._operator.workers.pool, "_child") and what == "worker"
            os.kill(pid if forked else guarded(pid), getattr(signal, how))
            self._diary.killed.append(Kill(when, how, what, pid))


def pid_of(worker: Any) -> int | None:
    """Return the process id of a worker, `None` while it is not known."""
    process = getattr(worker, "process", None)
    return worker.pid if process is None else process.pid


def workers(p: Any) -> set[Any]:
    """Return the workers of a prefetch if all are there and ready, else none."""
    engine = p._state.pump._engine
    if engine is None:
        return set()
    operator = engine._operator
    with still(engine):
        there = not operator._ended and all(w.ready and pid_of(w) for w in operator.workers.all)
        return set(operator.workers.all) if there else set()


def template_of(p: Any) -> int:
    """Return the process that the workers of a prefetch were forked from."""
    return guarded(p._state.pump._engine._operator.workers.pool._child.pid)


@contextmanager
def watched() -> Iterator[Diary]:
    """Have all process engines that are made meanwhile watched."""
    global _diary  # noqa: PLW0603 -- engines are made by prefetch(), which knows no diary
    before, _diary = _diary, Diary()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqtools.engines.process.engine.ProcessEngine", Watched)
        patch.setattr("seqtools.engines.process.engine.Workers", Losing)
        patch.setattr("seqtools.engines.process.engine.Scheduler", Blaming)
        try:
            yield _diary
        finally:
            _diary = before
