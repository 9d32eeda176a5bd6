"""An engine under test and its deliveries."""

import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any

from seqtools._core.errors import Failure, WorkerStartError
from seqtools.engines.base import END, PAUSE, Engine, Job, Part
from seqtools.testing.gate import LIMIT, Gate

_ids = count(1)


class Maker:
    """Creates engines and gates.

    Args:
        make: Returns an engine for a function, a number of workers and `deliver`.
        host: The address of this machine for workers.
        resizes: Whether the engine chooses its number of workers.
    """

    def __init__(
        self, make: Callable[..., Engine], host: str = "127.0.0.1", *, resizes: bool = False
    ) -> None:
        self._gates: list[Gate] = []
        self._make, self._host, self.resizes = make, host, resizes

    @contextmanager
    def trial(
        self, get: Callable[[int], Any], nworkers: int = 2, **options: Any
    ) -> "Iterator[Trial]":
        """Return a context with a new engine, which is closed at the end."""
        trial = Trial()
        trial.engine = self._make(get, nworkers, deliver=trial.deliver, **options)
        try:
            yield trial
        finally:
            while self._gates:  # because a thread that waits at a gate cannot be stopped
                self._gates.pop().open()
            with warnings.catch_warnings():  # a thread that just passed a gate may still run
                warnings.simplefilter("ignore")
                trial.engine.close()

    def gate(self) -> Gate:
        """Return a new gate, which opens when the next trial ends."""
        self._gates.append(Gate(self._host))
        return self._gates[-1]


class Trial:
    """An engine and its deliveries."""

    engine: Engine

    def __init__(self) -> None:
        self._delivered: SimpleQueue[Any] = SimpleQueue()
        self._jobs: dict[int, Job] = {}
        self.outcomes: dict[tuple[int, int], Any] = {}
        """For each job and position in it, the first outcome."""
        self.order: list[int] = []
        """The indices of these outcomes, in the order of arrival."""
        self.parts = 0
        """How many parts have arrived."""
        self.refused: WorkerStartError | None = None
        """The error that was delivered instead of items, if there was one."""

    def deliver(self, part: Any) -> None:
        """Receive a part, from any thread."""
        self._delivered.put(part)

    def submit(self, *jobs: Sequence[int], urgent: bool = False) -> list[Job]:
        """Submit a job for each sequence of indices, and return the jobs."""
        made = [Job(next(_ids), indices) for indices in jobs]
        self._jobs.update({job.id: job for job in made})
        if urgent:
            self.engine.submit((), made)
        else:
            self.engine.submit(made)
        return made

    def collect(self, *jobs: Job, looking: bool = True) -> list[Any]:
        """Return the outcomes of all items of `jobs`, once they are delivered.

        Args:
            *jobs: Submitted jobs.
            looking: Whether to call `look` while waiting, as readers do.

        Raises:
            AssertionError: If items are missing, or if a delivery is not valid.
        """
        wanted = [(job.id, k) for job in jobs for k in range(len(job.indices))]
        since, arrived = time.monotonic(), 0  # when the last of them arrived, and how many
        pause = 0.01
        while missing := [place for place in wanted if place not in self.outcomes]:
            began = time.monotonic()
            self.receive(timeout=pause)
            self.engine.waited(time.monotonic() - began)
            if self.refused is not None:
                message = f"it delivered {self.refused!r} instead of items"
                raise AssertionError(message) from self.refused
            if arrived != len(self.outcomes):
                since, arrived = time.monotonic(), len(self.outcomes)
            if time.monotonic() > since + LIMIT:
                items = sorted({self._index(*place) for place in missing})
                raise AssertionError(f"items {items} should be delivered, they never were")
            pause = min(PAUSE, max(0.001, self.look())) if looking else PAUSE
        return [self.outcomes[place] for place in wanted]

    def look(self) -> float:
        """Call `look` and `tell` of the engine."""
        pause = self.engine.look()
        if not isinstance(pause, int | float) or math.isnan(pause) or pause < 0:
            raise AssertionError(f"look should return seconds, got {pause!r}")
        if self.engine.news:
            self.engine.tell()
        return pause

    def receive(self, timeout: float = 0.0) -> None:
        """Process all deliveries; wait for the first until `timeout`."""
        with suppress(Empty):
            self._receive(
                self._delivered.get(timeout=timeout) if timeout else self._delivered.get_nowait()
            )
            while True:
                self._receive(self._delivered.get_nowait())

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait until `holds()`, and process deliveries meanwhile; `what` is the error if never."""
        deadline = time.monotonic() + LIMIT
        while not holds():
            self.receive(timeout=0.005)
            self.look()
            if time.monotonic() > deadline:
                raise AssertionError(what)

    def _index(self, number: int, place: int) -> int:
        return int(self._jobs[number].indices[place])

    def _receive(self, part: Any) -> None:
        if part is None:
            return
        if isinstance(part, WorkerStartError):
            self.refused = part
            return
        _check(part)
        self.parts += 1
        job = self._jobs.get(part.job)
        if job is None:
            raise AssertionError(f"{part!r} should be of a job that was submitted")
        n = len(job.indices)
        if part.offset < 0 or part.offset + len(part.outcomes) > n:
            raise AssertionError(f"{part!r} should be of places in a job of {n} items")
        for k, outcome in enumerate(part.outcomes, part.offset):
            if (job.id, k) not in self.outcomes:
                self.outcomes[job.id, k] = outcome
                self.order.append(self._index(job.id, k))
        for note in part.notes:
            note()


def _check(part: Any) -> None:
    if not isinstance(part, Part):
        message = f"what is delivered should be a Part, a WorkerStartError or None, got {part!r}"
        raise AssertionError(message)  # noqa: TRY004 -- a promise that is not kept
    if not part.outcomes:
        raise AssertionError(f"a part should have items, got {part!r}")
    no_values = [each for each in part.outcomes if isinstance(each, Failure) or each is END]
    if part.failed and not len(part.outcomes) == len(no_values) == 1:
        raise AssertionError(f"what failed should be a part of its own, got {part!r}")
    if not part.failed and no_values:
        raise AssertionError(f"a part with a Failure or END should be marked, got {part!r}")
    if not part.seconds >= 0:
        raise AssertionError(f"seconds should be 0 or more, got {part.seconds} for {part!r}")
