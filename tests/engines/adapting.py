"""An adaptive engine that is given indices by a test, which waits for what it delivers."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any

from seqtools.engines.adaptive.engine import AdaptiveEngine
from seqtools.engines.base import Job, Part
from seqtools.engines.process.engine import ProcessEngine
from seqtools.engines.thread.engine import ThreadEngine
from seqtools.engines.wire.shipment import PickledPipeline
from tests.engines.engines import Moves

_ids = count(1)


class Adapted:
    """An engine that becomes what a choice says, and what it has delivered."""

    def __init__(
        self, choice: Moves, get: Callable[[int], Any], hook: Any = None, start: str = "template"
    ) -> None:
        self.choice = choice
        self.repeats = False
        """Whether items may come twice."""
        self._expected: dict[tuple[int, int], int] = {}
        self._delivered: SimpleQueue[Any] = SimpleQueue()
        self._found: list[tuple[int, Any]] = []
        self.engine = AdaptiveEngine(
            choice,
            lambda n, probe, deliver: ThreadEngine(get, n, hook, probe=probe, deliver=deliver),
            lambda most, n, pickled, deliver: ProcessEngine(
                None, get, most, hook, start, pickled=pickled, begin_with=n, deliver=deliver
            ),
            lambda: PickledPipeline(None, get, hook, None),
            deliver=self._delivered.put,
        )

    def submit(self, indices: Sequence[int], length: int = 1) -> None:
        """Ask for `indices`, in jobs of that `length`."""
        self.engine.submit(self.expect(indices, length))

    def expect(self, indices: Sequence[int], length: int) -> list[Job]:
        """Return such jobs, which are going to be asked for."""
        jobs = [Job(next(_ids), indices[k : k + length]) for k in range(0, len(indices), length)]
        for job in jobs:
            self._expected.update({(job.id, k): i for k, i in enumerate(job.indices)})
        return jobs

    def collect(self, n: int) -> list[tuple[int, Any]]:
        """Return the next `n` items, with their indices; none comes twice."""
        while len(self._found) < n:
            with suppress(Empty):
                part = self._delivered.get(timeout=self.engine.look())
                if isinstance(part, Exception):
                    raise part
                assert isinstance(part, Part)
                for k, outcome in enumerate(part.outcomes, part.offset):
                    if self.repeats and (part.job, k) not in self._expected:
                        continue
                    self._found.append((self._expected.pop((part.job, k)), outcome))
        found, self._found = self._found[:n], self._found[n:]
        return found

    @property
    def pending(self) -> int:
        """How many items are still to be collected."""
        return len(self._expected) + len(self._found)

    @property
    def thread(self) -> Any:
        """The engine of threads, if there is one."""
        return self.engine._thread

    @property
    def process(self) -> Any:
        """The engine of processes, if there is one."""
        return self.engine._process

    @property
    def moving(self) -> bool:
        """Whether there are both, or one that is not what the choice says."""
        both = self.thread is not None and self.process is not None
        return both or (self.choice.method == "process") != (self.process is not None)

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()
