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
"""

import os
import threading
import time
import warnings
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any

from seqtools import recording
from seqtools.engines import faults, frames
from seqtools.engines.base import AHEAD, END, PAUSE
from seqtools.engines.crews import Crew, Ended, Member, Results
from seqtools.engines.dealing import Dealer
from seqtools.engines.forking import Forking
from seqtools.engines.grouping import GroupOf
from seqtools.engines.heads import Damaged
from seqtools.engines.launch import Child, Launcher, launch, meaning
from seqtools.engines.shipping import Loader, Pickled, Pipeline
from seqtools.engines.shortage import start_thread, told
from seqtools.engines.showing import MOST, said
from seqtools.engines.slots import Budget, Place
from seqtools.engines.spawning import Spawning
from seqtools.engines.template import fork_template
from seqtools.engines.worker import MODES
from seqtools.errors import Failure, ItemTimeout, WorkerDied, WorkerStartError, seterr, summary

_NO_START = "worker processes could not be started"
_KEEPER_SECONDS = 0.01
"""How long the receiver must be away for the keeper to take over."""
_START_SECONDS = 60.0
"""How long a worker may take to start where items may take only so long. Arbitrary: to import
large libraries from a slow disk takes half of it."""
_SLOWER = 10
"""So many times as long as others, and a second, a worker may take to start. Arbitrary."""
_ABOUT_NO_ITEM = frozenset({frames.READY, frames.UNABLE, frames.STAGE})
_MOST_DEATHS = 3
"""Deaths for each worker, in a row and without a result, to give up after. Arbitrary."""


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
    ) -> None:
        self._lock = threading.RLock()  # the garbage collector may close at any point
        self._dealer = Dealer(group_of)
        self._done: list[tuple[int, Any]] = []
        self._fatal: WorkerStartError | None = None
        self._warned = False
        self._closed = False
        self._receiving = False
        self._heard = False  # something is printed, and nobody was told
        self._received = 0
        self._mode = 0  # how errors are to be reported
        self._slowest: float | None = None  # start of a worker, in seconds
        self._unlucky = 0  # workers that died since the last result
        self._nworkers = nworkers  # at most
        self._wanted = nworkers if begin_with is None else begin_with
        self.spent = 0.0
        """Seconds that workers have taken for what they have answered."""
        self.answered = 0
        """Items that they have answered."""
        self.deaths = 0
        """Workers that have died."""
        self._workers: list[Member] = []
        self._hints = hints
        self._timeout = timeout
        self._payload: int | None = None
        self._loader = Loader([])
        if start_method != "fork":  # what cannot be pickled is known before anything starts
            shipment = (pickled or Pickled(source, get, start_hook, hints)).shipped()
            self._payload, self._loader = shipment.fd, Loader(shipment.by_value)
        self._budget = Budget(most_kept)
        try:
            with told(_NO_START):
                self._crew = self._made_crew(start_method, (get, hints, []), start_hook)
        except BaseException:
            if self._payload is not None:
                os.close(self._payload)
            raise
        self._busy = threading.Event()
        self._stopping = threading.Event()
        self._unkept = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="seqtools-keeper", daemon=True)
        try:
            with told(_NO_START):
                self._start()
            start_thread(self._keeper)
        except BaseException:
            self.close()
            raise

    def _made_crew(self, start_method: str, pipeline: Pipeline, hook: Any) -> Crew:
        payload = self._payload
        if payload is None:
            if not hasattr(os, "fork"):
                message = "start_method='fork' needs fork(), which this system lacks"
                raise WorkerStartError(message)
            return Forking(
                lambda control, ours: Child(fork_template(control, pipeline, hook, ours)),
                self._nworkers,
                self._budget,
            )
        if start_method == "spawn" or not Forking.possible():
            return Spawning(payload)
        return Forking(
            lambda control, _: launch(control, payload), self._nworkers, self._budget, Launcher()
        )

    # What an engine does

    def submit(self, indices: Sequence[int], *, first: bool = False) -> None:
        """Take `indices` on, before all others that wait if `first`."""
        with self._lock:
            self._mode = MODES.index(seterr())
            self._dealer.add(indices, first=first)
            if not self._dealer.full and self._fatal is None:
                self._deal()
        if not self._busy.is_set():
            self._busy.set()

    def cancel(self, indices: Collection[int]) -> Collection[int]:
        """Return those of `indices` that no worker was given."""
        with self._lock:
            return self._dealer.cancel(indices)

    def receive(self, *, wait: bool = True) -> list[tuple[int, Any]]:
        """Return what is done, waiting for an item, or for something that a worker prints."""
        if self._budget.exceeded and not self._warned:
            self._warned = True
            self._warn_of_copies()
        self._receiving = True
        try:
            while True:
                with self._lock:
                    if self._done or self._closed or (wait and self._heard):
                        done, self._done = self._done, []
                        self._heard = False
                        return done
                    if self._fatal is not None:
                        raise self._fatal
                polled = self._crew.poll(self._patience() if wait else 0)
                with self._lock:
                    self._handle(polled)
                    if not wait:
                        done, self._done = self._done, []
                        return done
        finally:
            self._received += 1
            self._receiving = False

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
            self._done = []
            workers, self._workers = self._workers, []
            for worker in workers:
                if worker.attached and not worker.keeps:
                    self._overhear(worker)
            self._crew.stop(workers)
            faults.reach("consumer-closed")
        self._stopping.set()
        self._busy.set()
        if self._keeper.is_alive() and threading.get_ident() != self._keeper.ident:
            # not join(): called by the end of a thread, it would make a dummy of that one
            self._unkept.wait()
        self._crew.wait()
        for worker in workers:
            if worker.keeps:
                self._overhear(worker)
        if self._payload is not None:
            os.close(self._payload)

    def busy(self) -> int:
        """Return how many workers are ready and have something to answer."""
        return sum([worker.ready and bool(worker.blocks) for worker in self._workers])

    @property
    def nworkers(self) -> int:
        """The number of workers."""
        return self._wanted

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
            timed = self._timeout is not None
            task = frames.task(
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
                    if isinstance(event, Results):
                        if event.worker.attached:
                            self._read(event.worker)
                    elif isinstance(event, Ended):
                        self._replace(event.worker, event.code)
                    else:
                        self._replace_all(event.code)
                if self._timeout is not None:
                    self._end_overdue(self._timeout)
        except WorkerStartError as error:
            self._fatal = error
        if not self._closed and self._fatal is None:
            if len(self._workers) > self._wanted:
                self._fit()
            self._deal()

    # Taking results

    def _read(self, worker: Member) -> None:
        results, more = worker.reader.read()
        if faults.armed:
            faults.reach("consumer-read")
        try:
            for result in results:
                self._take(worker, result)
        except Damaged as damage:
            worker.reader.damage = str(damage)
        if not more or worker.reader.damage is not None:
            # It is dead, which is going to be told, or has closed its pipe or sent what cannot
            # be, and is of no use.
            self._crew.dismiss(worker)

    def _take(self, worker: Member, result: frames.Result) -> None:
        if result.kind == frames.PRINTED:
            self._hear(worker, result)
            return
        if (result.kind in {frames.READY, frames.UNABLE}) == worker.ready:
            raise Damaged(f"a message of kind {result.kind} comes too early or too late")
        if result.kind in _ABOUT_NO_ITEM:
            self._note(worker, result)
            return
        block = worker.blocks[0] if worker.blocks else None
        if block is None or (result.block, result.done) != (block.number, block.answered):
            raise Damaged("a message answers what was not asked")
        if result.count > len(block.indices) - block.answered:
            raise Damaged("a message has more items than were asked for")
        parts = [self._part(worker, part) for part in result.parts]
        self._unlucky = 0
        worker.path = None
        indices = self._dealer.answered(worker, result.count, result.seconds)
        self.spent += result.seconds
        self.answered += result.count
        if self._timeout is not None:
            worker.since = time.monotonic()
        try:
            self._done += zip(indices, self._outcomes(result, parts), strict=True)
        except Exception as error:  # noqa: BLE001 -- code of users may raise anything
            if len(indices) > 1:  # evaluate again, so that each has a message of its own
                self._dealer.suspect(indices)
                return
            message = f"item {indices[0]} cannot be loaded from a worker process: {summary(error)}"
            kind = MemoryError if isinstance(error, MemoryError) else TypeError
            failed = kind(message)
            failed.__cause__ = error
            self._done.append((indices[0], Failure(failed)))

    def _hear(self, worker: Member, result: frames.Result) -> None:
        """Take what a worker has printed."""
        text, place = self._part(worker, result.parts[0]), result.block
        worker.heard.add(text, begins=bool(place & frames.BEGINS), ends=bool(place & frames.ENDS))
        self._heard = True

    def _overhear(self, worker: Member) -> None:
        """Take what a worker has printed, and nothing else, as it is going to be let go of."""
        with suppress(OSError, MemoryError, Damaged):
            for result in worker.reader.read()[0]:
                if result.kind == frames.PRINTED:
                    self._hear(worker, result)
        worker.heard.end()

    def _note(self, worker: Member, result: frames.Result) -> None:
        """Take note of what a worker tells about itself."""
        if result.kind == frames.READY:
            worker.ready = True
            worker.since = time.monotonic()
            self._slowest = max(self._slowest or 0.0, worker.since - worker.hired)
            return
        body = self._part(worker, result.parts[0])
        if result.kind == frames.UNABLE:
            raise frames.refusal(body)
        try:
            worker.path = self._loader.loads(body)
        except Exception as error:
            raise Damaged("a message about a stage is none") from error

    def _outcomes(self, result: frames.Result, parts: list[memoryview]) -> list[Any]:
        if result.kind == frames.END:
            return [END]
        if result.missing:
            raise MemoryError(f"no {result.missing >> 20:,} MB for what was sent")
        began = time.perf_counter_ns() if recording.active else 0
        loaded: list[Any] = self._loader.loads(parts[0], parts[1:])
        if began:
            recording.note(recording.LOAD, result.count, sum(map(len, parts)), began)
        if faults.armed:
            faults.reach("consumer-loaded")
        if result.kind == frames.FAILURE:
            return [Failure(*loaded)]
        if len(loaded) != result.count:
            raise ValueError(f"there are {len(loaded)} values for {result.count} items")
        return loaded

    @staticmethod
    def _part(worker: Member, part: memoryview | Place) -> memoryview:
        if not isinstance(part, Place):
            return part
        if worker.leases is None:
            raise Damaged("a value is said to be in memory that there is not")
        return worker.leases.lease(part)

    # Deaths

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
        """Take back what a worker that died has not answered."""
        self.deaths += 1
        if worker.attached:
            self._read(worker)  # what it had finished
        worker.heard.end()
        self._crew.let_go(worker)
        alone = bool(worker.blocks) and worker.blocks[0].alone
        began = worker.ready and not (alone and worker.path is None)
        culprit = self._dealer.died(worker, began=began)
        faults.reach("consumer-lost")
        damage = worker.reader.damage
        how = meaning(code) if damage is None else f"what it sent was damaged, as {damage}"
        if culprit is not None:
            why = f"a worker process died twice while it evaluated item {culprit}: {how}"
            self._done.append((culprit, Failure(WorkerDied(why), worker.path or ())))
            self._unlucky = 0
        self._unlucky += 1
        if self._unlucky > _MOST_DEATHS * self._nworkers:
            message = f"worker processes end before they evaluate anything: {how}"
            self._fatal = WorkerStartError(message)

    # Items that take too long

    def _patience(self) -> float:
        """Return for how long to wait at a stretch, in seconds."""
        return PAUSE if self._timeout is None else min(PAUSE, max(self._timeout / 8, 0.001))

    def _end_overdue(self, timeout: float) -> None:
        """Have workers replaced that are at an item for longer than `timeout`."""
        for worker in self._workers:
            if not worker.ready:
                self._hurry(worker)
            elif self._overdue(worker, timeout) is not None:
                self._read(worker)  # what it has answered before, or by now
                culprit = self._overdue(worker, timeout)
                if culprit is not None and worker.attached:
                    self._dealer.gave_up(worker, culprit)
                    message = (
                        f"item {culprit} took longer than timeout={timeout:g} seconds in "
                        f"worker process {worker.number}, which was replaced"
                    )
                    self._done.append((culprit, Failure(ItemTimeout(message))))
                    self._unlucky = 0
                    self._crew.dismiss(worker)

    def _hurry(self, worker: Member) -> None:
        """Have a worker replaced that takes too long to start."""
        took = time.monotonic() - worker.hired
        if took > _START_SECONDS:
            message = (
                f"worker process {worker.number} was not ready after {_START_SECONDS:g} "
                "seconds: start_hook, or loading the pipeline, hangs"
            )
            raise WorkerStartError(message)
        if self._slowest is not None and took > 1 + _SLOWER * self._slowest and worker.attached:
            self._crew.dismiss(worker)

    @staticmethod
    def _overdue(worker: Member, timeout: float) -> int | None:
        """Return the item that a worker is at, if that takes too long."""
        if not worker.blocks:
            return None
        block = worker.blocks[0]
        place, since = block.answered, worker.since
        if worker.leases is not None:
            number, at, began = worker.leases.progress.read()
            if number == block.number and at >= place:
                place, since = at, began
        return block.indices[place] if time.monotonic() - since > timeout else None

    # While the receiver is away

    def _keep(self) -> None:
        try:
            self._keep_on()
        except BaseException as error:  # noqa: BLE001 -- told to who receives next
            self._fatal = WorkerStartError(f"reading results while nobody waits failed: {error!r}")
            self._fatal.__cause__ = error
        finally:
            self._unkept.set()

    def _keep_on(self) -> None:
        seen = -1
        while not self._closed:
            self._busy.wait()
            if self._stopping.wait(_KEEPER_SECONDS):
                return
            if self._receiving or self._received != seen or len(said) > MOST:
                seen = self._received
                continue
            with self._lock:
                if not self._dealer and not any(w.blocks for w in self._workers):
                    self._busy.clear()
                    continue
            polled = self._crew.poll(min(0.05, self._patience()))
            with self._lock:
                if not self._receiving and not self._closed:
                    self._handle(polled)
