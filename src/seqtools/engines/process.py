"""Items evaluated by worker processes.

        submit ──▶ backlog ──▶ blocks ══ pipe of tasks ══▶ worker ──┐
                      ▲  (those of a worker that died)              │
        receive ◀── done ◀── results ◀══ pipe of results ═══════════┘

Every worker has a pair of pipes of its own, so that there is no lock that one could
take with it when it dies. It is given a few blocks of indices at a time, about 20 ms of
work, and the rest waits in the backlog, where it can be cancelled, and from where the
worker that is free takes it.

Results are read by the thread that receives. While it is away, a keeper takes over, so
that work goes on, and that no worker waits because its pipe is full.

When a worker dies, what it had finished is delivered, and the rest is evaluated again.
One of the items that it had begun may be the cause, so these are given out one by one,
and the one at which a worker dies again is an error.

The engine gives out work and has the workers that it should. What they send is for the
`Taker`, which also keeps what is done; their ends are for `Deaths`, and items that take too
long for `Timeouts`.
"""

import os
import threading
import time
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any

from seqtools.engines import asking, faults
from seqtools.engines.base import AHEAD, PAUSE
from seqtools.engines.classes import classes_by_value
from seqtools.engines.crews import Ended, Event, LoadedByEach, Member, Results
from seqtools.engines.dealing import Dealer
from seqtools.engines.deaths import Deaths
from seqtools.engines.grouping import GroupOf
from seqtools.engines.hiring import made_crew
from seqtools.engines.keeping import Keeper
from seqtools.engines.leases import Budget
from seqtools.engines.shipping import Loader, Pickled, Pipeline
from seqtools.engines.shortage import told
from seqtools.engines.taking import Taker
from seqtools.engines.threads import Known
from seqtools.engines.timeouts import Timeouts
from seqtools.engines.worker import MODES
from seqtools.errors import WorkerStartError, seterr

_NO_START = "worker processes could not be started"


class ProcessEngine:
    """Worker processes, each with its pipes, forked from a template process."""

    def __init__(  # noqa: PLR0913, PLR0917 -- what a worker needs
        self,
        source: Any,
        get: Callable[[int], Any],
        nworkers: int,
        start_hook: Callable[..., object] | None = None,
        start_method: str = "template",
        hints: Any = None,
        *,
        timeout: float | None = None,
        most_kept: int = 1 << 30,
        group_of: GroupOf | None = None,
        pickled: Pickled | None = None,
        begin_with: int | None = None,
        known: Known | None = None,
    ) -> None:
        self._lock = threading.RLock()  # the garbage collector may close at any point
        self._fatal: WorkerStartError | None = None
        self._warned = False
        self._closed = False
        self._mode = 0  # how errors are to be reported
        self._wanted = nworkers if begin_with is None else begin_with
        self._workers: list[Member] = []
        self._hints = hints
        self._payload: int | None = None
        if start_method != "fork":  # what cannot be pickled is known before anything starts
            shipment = (pickled or Pickled(source, get, start_hook, hints)).shipped()
            self._payload, by_value = shipment.fd, shipment.by_value
            pipeline: Pipeline = (get, hints, [])
        else:
            by_value = [*classes_by_value()]
            pipeline = (get, hints, by_value)
        self._budget = Budget(most_kept)
        self._known = Known() if known is None else known
        try:
            with told(_NO_START):
                self._crew = made_crew(
                    start_method,
                    pipeline,
                    start_hook,
                    self._payload,
                    nworkers,
                    self._budget,
                    self._known,
                )
        except BaseException:
            if self._payload is not None:
                os.close(self._payload)
            raise
        self._dealer = dealer = Dealer(group_of, hinted=hints is not None)
        self._taker = taker = Taker(dealer, Loader(by_value), self._crew, timed=timeout is not None)
        self._deaths = Deaths(dealer, taker, self._crew, nworkers)
        self._timeouts: Timeouts | None = None
        self._patience = PAUSE  # for how long to wait at a stretch, in seconds
        if timeout is not None:
            self._timeouts = Timeouts(timeout, dealer, taker, self._crew)
            self._patience = min(PAUSE, self._timeouts.patience)
        self._keeper = Keeper(self._go_on, self._give_up)
        try:
            with told(_NO_START):
                self._start()
            self._keeper.start()
        except BaseException:
            self.close()
            raise

    # What an engine does

    def submit(self, indices: Sequence[int], *, first: bool = False) -> None:
        """Take `indices` on, before all others that wait if `first`."""
        with self._lock:
            self._mode = MODES.index(seterr())
            self._dealer.add(indices, first=first)
            if not self._dealer.full and self._fatal is None:
                self._deal()
        self._keeper.wake()

    def cancel(self, indices: Collection[int]) -> Collection[int]:
        """Return those of `indices` that no worker was given."""
        with self._lock:
            return self._dealer.cancel(indices)

    def receive(self, *, wait: bool = True) -> list[tuple[int, Any]]:
        """Return what is done, waiting for an item, or for something that a worker prints."""
        if self._budget.exceeded and not self._warned:
            self._warned = True
            self._warn_of_copies()
        taker, keeper = self._taker, self._keeper
        keeper.receiving = True
        try:
            while True:
                if self._known.news:  # while nothing is taken that it could lose
                    self._known.warn()
                with self._lock:
                    if taker.done or self._closed or (wait and taker.heard):
                        done, taker.done = taker.done, []
                        taker.heard = False
                        return done
                    if self._fatal is not None:
                        raise self._fatal
                polled = self._crew.poll(self._patience if wait else 0)
                with self._lock:
                    self._handle(polled)
                    if not wait and not self._known.news:
                        done, taker.done = taker.done, []
                        return done
        finally:
            keeper.received += 1
            keeper.receiving = False

    def withdraw(self) -> list[int]:
        """Return what no worker was given, which is not going to come back.

        What may have killed a worker is not among it.
        """
        with self._lock:
            return self._dealer.withdraw()

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self._workers)

    @property
    def begun(self) -> bool:
        """Whether a worker has loaded the pipeline."""
        return any(worker.ready for worker in self._workers)

    def resize(self, nworkers: int) -> None:
        """Have so many workers from now on, up to the number given at first.

        It stays at those that there are where the system refuses more.
        """
        with self._lock:
            if self._closed or self._fatal is not None:
                return
            self._wanted = nworkers
            try:
                with told(_NO_START):
                    self._fit()
            except WorkerStartError:
                self._wanted = max(1, len(self._workers))

    def close(self, *, wait: bool = True) -> None:
        """Stop all work and end the processes."""
        del wait  # they can be killed, so there is nothing to wait for in vain
        with self._lock:
            if self._closed:
                return
            self._closed = True
            faults.reach("consumer-close")
            self._dealer.clear()
            self._taker.done = []
            workers, self._workers = self._workers, []
            for worker in workers:
                if worker.attached and not worker.keeps:
                    self._taker.overhear(worker)
            self._crew.stop(workers)
            faults.reach("consumer-closed")
        self._keeper.end()
        self._crew.wait()
        for worker in workers:
            if worker.keeps:
                self._taker.overhear(worker)
        if self._payload is not None:
            os.close(self._payload)

    def busy(self) -> int:
        """Return how many workers are ready and have something to answer."""
        return sum([worker.ready and bool(worker.blocks) for worker in self._workers])

    @property
    def nworkers(self) -> int:
        """The number of workers."""
        return self._wanted

    @property
    def spent(self) -> float:
        """Seconds that workers have taken for what they have answered."""
        return self._taker.spent

    @property
    def answered(self) -> int:
        """Items that they have answered."""
        return self._taker.answered

    @property
    def deaths(self) -> int:
        """Workers that have died."""
        return self._deaths.count

    def _warn_of_copies(self) -> None:
        message = (
            f"more than {self._budget.most >> 20:,} MB of values from worker processes are kept: "
            "from here on, values are copied out of the memory of the workers"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=2)

    # The lock is held

    def _start(self) -> None:
        self._crew.start()
        self._fit()

    def _fit(self) -> None:
        """Hire workers that are missing, and let go of those that are too many and idle."""
        while len(self._workers) < self._wanted:
            self._workers.append(self._crew.hire(len(self._workers)))
        while len(self._workers) > self._wanted and not self._workers[-1].blocks:
            self._crew.let_go(self._workers.pop())

    def _deal(self) -> None:
        workers = [worker for worker in self._workers[: self._wanted] if worker.attached]
        for worker, block in self._dealer.deal(workers):
            # an item that may do harm is not to do it in a thread that reads ahead
            hinted = self._hints is not None and not block.alone
            ahead = self._dealer.ahead(worker, block, AHEAD) if hinted else ()
            timed = self._timeouts is not None
            task = asking.task(
                block.number, block.indices, self._mode, ahead, timed=timed, watched=block.alone
            )
            if len(worker.blocks) == 1:
                worker.since = time.monotonic()
            if faults.armed:
                faults.reach("consumer-deal")
            try:
                worker.send(task)
            except BlockingIOError:
                self._dealer.refused(worker)
                return
            if faults.armed:
                faults.reach("consumer-dealt")

    def _handle(self, polled: Any) -> None:
        if faults.armed:
            faults.reach("consumer-polled")
        try:
            with told("worker processes cannot go on"):
                for event in self._crew.events(polled):
                    self._see_to(event)
                if self._timeouts is not None:
                    self._timeouts.end_overdue(self._workers)
        except WorkerStartError as error:
            self._fatal = error
        if not self._closed and self._fatal is None:
            if len(self._workers) > self._wanted:
                self._fit()
            self._deal()

    def _see_to(self, event: Event) -> None:
        if isinstance(event, Results):
            if event.worker.attached:
                self._taker.read(event.worker)
        elif isinstance(event, Ended):
            self._replace(event.worker, event.code)
        elif isinstance(event, LoadedByEach):
            self._known.add(event.reason)
        else:
            self._replace_all(event.code)

    def _replace(self, worker: Member, code: int) -> None:
        if worker in self._workers:
            self._lost(worker, code)
            if self._fatal is None:
                self._workers[worker.number] = self._crew.hire(worker.number)

    def _replace_all(self, code: int) -> None:
        for worker in self._workers:  # which are still there to be let go of, if this fails
            self._lost(worker, code)
        self._workers = []
        if self._fatal is None:
            self._start()

    def _lost(self, worker: Member, code: int) -> None:
        self._fatal = self._deaths.settle(worker, code) or self._fatal

    # While the receiver is away, by the keeper

    def _go_on(self) -> None:
        """Do for a moment what `receive` does, but for returning something."""
        with self._lock:
            if not self._dealer and not any(w.blocks for w in self._workers):
                self._keeper.rest()
                return
        polled = self._crew.poll(min(0.05, self._patience))
        with self._lock:
            if not self._keeper.receiving and not self._closed:
                self._handle(polled)

    def _give_up(self, error: WorkerStartError) -> None:
        """Have `receive` raise `error`."""
        self._fatal = error
