"""A process engine that tells what it takes notice of, and sees whether it keeps its word."""

import os
import signal
import time
from collections import Counter
from collections.abc import Collection, Iterator, MutableSequence, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import pytest

from seqtools.engines import frames
from seqtools.engines.process import ProcessEngine
from seqtools.engines.taking import Taker
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
        self.ready: MutableSequence[tuple[float, int]] = []  # when which worker began to work
        self.repeated: list[int] = []  # indices that came once more
        self.killed: MutableSequence[Kill] = []


_diary = Diary()


class Noting(Taker):
    """Takes note of when workers begin to work."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._diary = _diary
        super().__init__(*args, **options)

    def _take(self, worker: Any, result: frames.Result) -> None:
        if result.kind == frames.READY:
            self._diary.ready.append((time.monotonic(), worker.number))
        super()._take(worker, result)


class Watched(ProcessEngine):
    """See the module."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._diary = _diary
        self._expected: Counter[int] = Counter()
        super().__init__(*args, **options)
        self._diary.engines.append(self)

    def submit(self, indices: Sequence[int], *, first: bool = False) -> None:
        with self._lock:
            self._expected.update(indices)
        super().submit(indices, first=first)

    def cancel(self, indices: Collection[int]) -> Collection[int]:
        with self._lock:
            dropped = super().cancel(indices)
            self._expected.subtract(dropped)
        return dropped

    def receive(self, *, wait: bool = True) -> list[tuple[int, Any]]:
        done = super().receive(wait=wait)
        with self._lock:
            for i, _ in done:
                self._expected[i] -= 1
                if self._expected[i] < 0:
                    self._diary.repeated.append(i)
                if not self._expected[i]:
                    del self._expected[i]
        return done

    def close(self, *, wait: bool = True) -> None:
        super().close(wait=wait)
        with suppress(ValueError):
            self._diary.engines.remove(self)

    # What an engine takes notice of; the lock is held

    def _lost(self, worker: Any, code: int) -> None:
        when, pid, blocks = time.monotonic(), pid_of(worker), [*worker.blocks]
        super()._lost(worker, code)
        # it may have died over what is not answered by what it had sent, which is read only now
        held = next((left for block in blocks if len(left := block.left())), ())
        self._diary.lost.append(Lost(when, pid, worker.number, id(self), held))

    def _replace_all(self, code: int) -> None:
        self._diary.templates.append(time.monotonic())
        super()._replace_all(code)

    # What can be done to it from outside

    def kill_workers(self, how: str, most: int | None = None) -> None:
        """Send a signal to the workers, at once, so that no item goes from one to the next."""
        with self._lock:
            for worker in self._workers[:most]:
                if worker.attached and (pid := pid_of(worker)):
                    self._kill(pid, how, "worker")

    def kill_template(self, how: str) -> None:
        """Send a signal to the template, if there is one."""
        with self._lock:
            child = getattr(self._crew, "_child", None)
            if child is not None and child._pid is not None:
                self._kill(child._pid, how, "template")

    def _kill(self, pid: int, how: str, what: str) -> None:
        when = time.monotonic()
        with suppress(ProcessLookupError):
            forked = hasattr(self._crew, "_child") and what == "worker"
            os.kill(pid if forked else guarded(pid), getattr(signal, how))
            self._diary.killed.append(Kill(when, how, what, pid))


def pid_of(worker: Any) -> int | None:
    """Return the process id of a worker, `None` while it is not known."""
    process = getattr(worker, "process", None)
    return worker.pid if process is None else process.pid


@contextmanager
def watched() -> Iterator[Diary]:
    """Have all process engines that are made meanwhile watched."""
    global _diary  # noqa: PLW0603 -- engines are made by prefetch(), which knows no diary
    before, _diary = _diary, Diary()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqtools.engines.process.ProcessEngine", Watched)
        patch.setattr("seqtools.engines.process.Taker", Noting)
        try:
            yield _diary
        finally:
            _diary = before
