"""A reader who goes on where workers could not be started, and a look at the workers."""

from collections.abc import Callable, Iterator
from typing import Any

from seqtools._core.errors import WorkerStartError
from seqtools.engines.process.spawn import SpawnedWorker
from tests.engines.driven import still
from tests.leaks import guarded


class Reading:
    """What was read from an iterator, and what was said when workers could not be started."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self.seen: list[Any] = []
        self.told: list[str] = []

    def read_until(self, enough: Callable[[], object]) -> None:
        """Read on until there is `enough`."""
        while True:
            try:
                self.seen.append(next(self._items))
            except WorkerStartError as error:
                self.told.append(str(error))
            if enough():
                break

    def read_to(self, n: int) -> None:
        """Read on until `n` items have been read."""
        self.read_until(lambda: len(self.seen) == n)


def workers(p: Any) -> set[Any]:
    """Return the workers of a prefetch if all are there and ready, else none."""
    engine = p._state.pump._engine
    if engine is None:
        return set()
    operator = engine._operator
    with still(engine):
        there = not operator._ended and all(w.ready and pid_of(w) for w in operator.workers)
        return set(operator.workers) if there else set()


def pid_of(worker: Any) -> int:
    """Return the process of a worker, 0 if it is not known yet."""
    return worker.process.pid if isinstance(worker, SpawnedWorker) else worker.pid or 0


def template_of(p: Any) -> int:
    """Return the process that the workers of a prefetch were forked from."""
    return guarded(p._state.pump._engine._operator.pool._child._pid)
