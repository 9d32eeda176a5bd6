"""The workers: which of them evaluates a block, and for how long."""

import math
import random
from collections import deque
from collections.abc import Callable, Sequence

from benchmarks.simulation.events import Clock, Cores
from benchmarks.simulation.model import Costs, Load
from seqtools.engines.base import Job


class Block:
    """Consecutive items of a job that a worker evaluates.

    Args:
        job: The job of the window.
        offset: Offset of its first item in the job.
        n: The number of items.
        seconds: The time after which the worker gives back what is left.
    """

    __slots__ = ("done", "job", "n", "offset", "seconds", "took", "worker")

    def __init__(self, job: Job, offset: int, n: int, seconds: float) -> None:
        self.job, self.offset, self.n, self.seconds = job, offset, n, seconds
        self.worker = -1
        self.done = 0
        """Items that were evaluated."""
        self.took = 0.0
        """Seconds of work of these."""

    @property
    def indices(self) -> Sequence[int]:
        """The items that were evaluated."""
        return self.job.indices[self.offset : self.offset + self.done]


class Workers:
    """The workers of one reader.

    Args:
        n: How many there are.
        costs: What a block costs them.
        load: What an item takes.
        seed: Of the times of items.
        answered: Called with each block when its worker is done with it.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- they meet here
        self,
        n: int,
        costs: Costs,
        load: Load,
        seed: int,
        clock: Clock,
        cores: Cores,
        answered: Callable[[Block], None],
    ) -> None:
        self._costs, self._load = costs, load
        self._random = random.Random(seed)  # noqa: S311 -- not for secrets
        self._clock, self._cores, self._answered = clock, cores, answered
        own = [deque[Block]() for _ in range(n)]
        self._queues = [deque[Block]()] * n if costs.shared else own
        self._idle = set(range(n))
        self._waiting = deque(range(n)) if costs.shared else deque[int]()
        self.busy = 0.0
        """Seconds of items that were evaluated."""

    def receive(self, block: Block) -> None:
        """Have `block` evaluated, by its worker or, with a shared queue, by any."""
        if self._costs.shared:
            self._queues[0].append(block)
            if self._waiting:
                self._begin(self._waiting.popleft())
            return
        self._queues[block.worker].append(block)
        if block.worker in self._idle:
            self._idle.remove(block.worker)
            self._begin(block.worker)

    def _begin(self, worker: int) -> None:
        block = self._queues[worker].popleft()
        self._evaluate(block)
        now, own = self._clock.now, self._costs.on_worker
        begin = self._cores.begin(now, own)
        self._clock.at(begin + own + block.took, self._end, worker, block)

    def _end(self, worker: int, block: Block) -> None:
        self.busy += block.took
        self._answered(block)
        if self._queues[worker]:
            self._begin(worker)
        elif self._costs.shared:
            self._waiting.append(worker)
        else:
            self._idle.add(worker)

    def _evaluate(self, block: Block) -> None:
        """Draw the time of each item, up to the time at which the rest is given back."""
        load, draw = self._load, self._random
        mu = math.log(load.work) - load.sigma**2 / 2 if load.work else 0.0
        took, done = 0.0, 0
        while done < block.n and (not done or took <= block.seconds):
            if load.slow and draw.random() < load.slow:
                took += load.slow_work
            elif load.sigma and load.work:
                took += draw.lognormvariate(mu, load.sigma)
            else:
                took += load.work
            done += 1
        block.done, block.took = done, took
