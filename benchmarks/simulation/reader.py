"""A reader: its consumer, its window and its engine, on one processor.

The window and the scheduler are those of `prefetch` and of its engine for clusters, with the clock
of the simulation. They are used here as `seqtools.prefetching.pump` and
`seqtools.engines.cluster.dispatcher` use them.
"""

from collections.abc import Callable

from benchmarks.simulation.events import Clock, Cores, Server
from benchmarks.simulation.model import AHEAD, PATIENCE, Costs, Load
from benchmarks.simulation.work import Block, Workers
from seqtools.engines.base import Part
from seqtools.engines.cluster.kinds import EXECUTOR
from seqtools.engines.dispatch.scheduler import Scheduler, WorkerQueue
from seqtools.prefetching import reader as readers
from seqtools.prefetching.lifecycle import RUNS
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
        self._central, self._on_read = scheduler, on_read
        self.cpu, self.link = Server(clock, cores), Server(clock, Cores(0))
        self.workers = Workers(share, costs, load, seed, clock, cores, self._send_back)
        options = Options(share, EXECUTOR, load.max_cached, max_bytes=load.max_bytes)
        self._window = options.window()
        self._window.nworkers = share
        self._reader = readers.Reader(range(items))
        self._arrived: list[Part] = []
        self._scheduler = Scheduler(costs.shortest, most=AHEAD, longest=1 << 16)
        self._places = [WorkerQueue() for _ in range(share)]
        self._numbers = {id(place): k for k, place in enumerate(self._places)}
        self._free = {id(place): place for place in self._places}  # with fewer than two blocks
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
        window, cutter = self._window, self._window.cutter
        cutter.grain = self._grain
        if cutter.seconds:
            window.capacity.fill_workers(
                int(RUNS * window.nworkers * cutter.grain / cutter.seconds)
            )
        _, ahead, urgent = self._window.plan()
        self._scheduler.submit(ahead, urgent)
        self._window.sent([*urgent, *ahead])
        self._post()

    # The engine

    @property
    def _grain(self) -> float:
        if self._load.grain is not None:
            return self._load.grain
        return self._costs.grain(len(self._places))

    def _post(self) -> None:
        """Send blocks to workers that have fewer than two."""
        seconds, patience = self._costs.sent(len(self._places)), PATIENCE * self._grain
        for place, task in self._scheduler.assign([*self._free.values()]):
            if len(place.assigned) >= AHEAD:
                del self._free[id(place)]
            block = Block(task, place, self._numbers[id(place)], patience)
            self.cpu.serve(seconds, self._posted, block)

    def _posted(self, block: Block) -> None:
        self._pass_on(self.workers.receive, block)

    def _send_back(self, block: Block) -> None:
        self._pass_on(self._transfer, block)

    def _pass_on(self, act: Callable[[Block], None], block: Block) -> None:
        """Have the scheduler handle a message, and then `act`."""
        seconds = self._costs.central / 2
        self._central.serve(seconds, self._hop, act, block)

    def _hop(self, act: Callable[[Block], None], block: Block) -> None:
        self._clock.at(self._clock.now + self._costs.hop, act, block)

    def _transfer(self, block: Block) -> None:
        seconds = block.done * self._load.nbytes / self._costs.link
        self.link.serve(seconds, self._take, block)

    def _take(self, block: Block) -> None:
        seconds = self._costs.received(block.done, self._load.nbytes)
        self.cpu.serve(seconds, self._received, block)

    def _received(self, block: Block) -> None:
        self.blocks += 1
        self.held += block.done
        self.most_held = max(self.most_held, self.held)
        done = self._scheduler.answered(block.place, block.task, block.done, block.took)
        self._arrived.append(Part(done.job, done.offset, list(done.indices), block.took))
        if done is not block.task:
            self.again += 1
            self._scheduler.returned(block.place, block.task)
        self._free[id(block.place)] = block.place
        self._post()
        if self._waits_since is not None and self._reader.awaits in {None, done.job}:
            self._reader.awaits = readers.NO_JOB
            self._clock.at(self._clock.now, self._visit)
