"""The workers: which of them evaluates a block, and for how long."""

import math
import random
from collections import deque
from collections.abc import Callable

from benchmarks.simulation.events import Clock, Cores
from benchmarks.simulation.model import Costs, Load
from seqtools.engines.dispatch.scheduler import Task, WorkerQueue


class Block:
    """A task that was sent to a worker.

    Args:
        task: The task of the scheduler.
        place: Where the scheduler has it.
        worker: The number of the worker.
        patience: The time after which the worker gives back what is left.
    """

    __slots__ = ("done", "patience", "place", "task", "took", "worker")

    def __init__(self, task: Task, place: WorkerQueue, worker: int, patience: float) -> None:
        self.task, self.place, self.worker, self.patience = task, place, worker, patience
        self.done = 0
        """Items that were evaluated."""
        self.took = 0.0
        """Seconds of work of these."""


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
        costs = self._costs
        computes = block.done * self._load.nbytes * costs.on_worker_per_byte
        computes += min(costs.on_cores, costs.on_worker)
        # threads of its own do the rest, while it goes on with the next block
        self._cores.end(self._clock.now, max(0.0, costs.on_cores - costs.on_worker))
        waits = max(0.0, costs.on_worker - costs.on_cores) + block.took
        end = self._cores.end(self._clock.now, computes) if computes else self._clock.now
        self._clock.at(end + waits, self._end, worker, block)

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
        while done < len(block.task.indices) and took <= block.patience:
            if load.slow and draw.random() < load.slow:
                took += load.slow_work
            elif load.sigma and load.work:
                took += draw.lognormvariate(mu, load.sigma)
            else:
                took += load.work
            done += 1
        block.done, block.took = done, took
