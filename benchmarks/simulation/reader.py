"""A reader: its consumer, its window and its engine, on one processor.

The window is that of `prefetch`, with the clock of the simulation. It is used here as
`seqtools.prefetching.pump` uses it.
"""

from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush

from benchmarks.simulation.events import Clock, Cores, Server
from benchmarks.simulation.model import AHEAD, PATIENCE, Costs, Load
from benchmarks.simulation.work import Block, Workers
from seqtools.engines.base import Job, Part
from seqtools.prefetching import reader as readers
from seqtools.prefetching.options import Options
from seqtools.prefetching.pump import _PAUSING_SECONDS


class Reader:
    """Reads `items` items in order, each once.

    Args:
        items: The length of its sequence.
        share: The number of its workers.
        scheduler: What all readers share.
        on_read: Called with each index, when the consumer gets it.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- they meet here
        self,
        items: int,
        share: int,
        costs: Costs,
        load: Load,
        seed: int,
        clock: Clock,
        cores: Cores,
        scheduler: Server,
        on_read: Callable[[int], object] | None = None,
    ) -> None:
        self._items, self._costs, self._load, self._clock = items, costs, load, clock
        self._scheduler, self._on_read = scheduler, on_read
        self.cpu, self.link = Server(cores), Server(Cores(0))
        self.workers = Workers(share, costs, load, seed, clock, cores, self._send_back)
        options = Options(share, "process", load.max_cached, max_bytes=load.max_bytes)
        self._window = options.window()
        self._window.nworkers = share
        self._window.cutter.grain = load.seconds_of_block(costs)
        self._reader = readers.Reader(range(items))
        self._arrived: list[Part] = []
        self._jobs: deque[Block] = deque()  # wait for a worker, those given back first
        self._given = [0] * share  # blocks that a worker has
        self._slots = [(k, worker) for k in range(AHEAD) for worker in range(share)]
        heapify(self._slots)
        self.read = self.held = self.most_held = self.blocks = self.again = 0
        self.waited = 0.0
        self._waits_since: float | None = None
        clock.at(0.0, self._visit)

    # The consumer

    def _visit(self) -> None:
        """Take a run of items, or wait for one."""
        now, window, reader = self._clock.now, self._window, self._reader
        if self._waits_since is not None:
            self.waited += now - self._waits_since
            self._waits_since = None
        self._give_out()
        run = window.visit(reader, pausing=now - reader.served > _PAUSING_SECONDS)
        if run is None:
            if self.read == self._items:
                return
            window.starved()
        self._plan()
        run = run or reader.next_run()
        if run is None:
            awaited = reader.awaited()
            job = awaited.job if awaited else None
            reader.awaits = job.id if job else None
            self._waits_since = now
            return
        reader.awaits, reader.served = readers.NO_JOB, now
        values = list(run.values or ())
        for _ in values:
            run.values.popleft()  # type: ignore[union-attr]
        if values != list(range(self.read, self.read + len(values))):
            raise AssertionError(f"item {self.read} is due, got {values}")
        self.held -= len(values)
        self.read += len(values)
        if self._on_read is not None:
            for i in values:
                self._on_read(i)
        self._clock.at(now + len(values) * self._load.step, self._visit)

    def _give_out(self) -> None:
        for part in self._arrived:
            self._window.arrived(part)
        if self._arrived:
            self._window.weighed([int(self._load.nbytes)])
            self._arrived = []

    def _plan(self) -> None:
        """Give the engine the jobs for which the window has room."""
        window = self._window
        _, ahead, urgent = window.plan()
        self._jobs.extendleft([self._block(job) for job in reversed(urgent)])
        self._jobs.extend([self._block(job) for job in ahead])
        window.sent([*urgent, *ahead])
        self._deal()

    # The engine

    def _block(self, job: Job) -> Block:
        seconds = PATIENCE * self._load.seconds_of_block(self._costs)
        return Block(job, 0, len(job.indices), seconds)

    def _deal(self) -> None:
        """Send blocks to workers that have fewer than two, first to those that have fewest."""
        while self._jobs and self._slots:
            given, worker = heappop(self._slots)
            if given != self._given[worker]:
                heappush(self._slots, (self._given[worker], worker))
                continue
            self._given[worker] += 1
            block = self._jobs.popleft()
            block.worker = worker
            self._clock.at(self.cpu.serve(self._clock.now, self._costs.post), self._posted, block)

    def _posted(self, block: Block) -> None:
        done = self._scheduler.serve(self._clock.now, self._costs.central / 2)
        self._clock.at(done + self._costs.hop, self.workers.receive, block)

    def _send_back(self, block: Block) -> None:
        done = self._scheduler.serve(self._clock.now, self._costs.central / 2)
        self._clock.at(done + self._costs.hop, self._transfer, block)

    def _transfer(self, block: Block) -> None:
        seconds = block.done * self._load.nbytes / self._costs.link
        self._clock.at(self.link.serve(self._clock.now, seconds), self._take, block)

    def _take(self, block: Block) -> None:
        costs = self._costs
        seconds = costs.take + costs.block(block.done, self._load.nbytes) - costs.block()
        self._clock.at(self.cpu.serve(self._clock.now, seconds), self._received, block)

    def _received(self, block: Block) -> None:
        self.blocks += 1
        self.held += block.done
        self.most_held = max(self.most_held, self.held)
        self._given[block.worker] -= 1
        heappush(self._slots, (self._given[block.worker], block.worker))
        part = Part(block.job.id, block.offset, list(block.indices), block.took)
        self._arrived.append(part)
        if block.done < block.n:
            self.again += 1
            rest = Block(block.job, block.offset + block.done, block.n - block.done, block.seconds)
            self._jobs.appendleft(rest)
        self._deal()
        awaits = self._reader.awaits
        if self._waits_since is not None and awaits in {None, block.job.id}:
            self._reader.awaits = readers.NO_JOB
            self._clock.at(self._clock.now, self._visit)
