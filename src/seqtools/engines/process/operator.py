"""The operator: the thread that does all that a process engine has to do.

        notes ──▶ operator ──▶ tasks for workers
                     │  ▲
        deliver ◀────┘  └───── results, deaths, what takes too long

It alone knows workers and what they were given. Other threads leave it a note, which is a single
step, and wake it. So no interrupt comes between two steps that belong together, no lock is held
that the garbage collector might want, and work goes on whatever the reader does.
"""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from seqtools._core.errors import WorkerStartError
from seqtools.engines import fault_injection
from seqtools.engines.base import PAUSE, Job
from seqtools.engines.process.background_threads import KnownReasons
from seqtools.engines.process.output_display import MOST, said
from seqtools.engines.process.pool import WorkerPool, serving
from seqtools.engines.process.recent_jobs import RecentJobs
from seqtools.engines.process.results import ResultReceiver
from seqtools.engines.process.scheduler import Scheduler
from seqtools.engines.process.workers import Workers
from seqtools.engines.resource_errors import start_thread, told
from seqtools.engines.wire.arena_reader import LeasedBytes

NO_START = "worker processes could not be started"

_PATIENCE = 2.0
"""Seconds that the garbage collector waits for the end of an engine. Arbitrary."""
_REST = 0.01
"""Seconds for which to let results gather where a reader asks for nothing, which is slow then,
while workers have enough to do. To wake for each of them costs 60 µs, where several at once cost
half of that each."""
_SOON, _LATELY = 0.0025, 0.1
"""Seconds since something was asked for, and since a reader had to wait, within which results
are delivered at once. Arbitrary."""
_MOMENT = 0.01
"""Seconds after which to look again whether what was printed is shown. Arbitrary."""

Note = tuple[Any, ...]
"""A method of `Operator`, not bound, and its arguments."""


class Operator(Workers):
    """See the module. It refers to nothing that belongs to the user, except values on their way.

    Args:
        budget: Of what may be kept of the memory of workers.
        payload: Descriptor to be closed at the end, if any.

    All others are those of `Workers`.
    """

    def __init__(  # noqa: PLR0913 -- what it works with
        self,
        pool: WorkerPool,
        scheduler: Scheduler,
        receiver: ResultReceiver,
        nworkers: int,
        wanted: int,
        *,
        timeout: float | None,
        hinted: bool,
        budget: LeasedBytes,
        known: KnownReasons,
        payload: int | None,
    ) -> None:
        super().__init__(
            pool, scheduler, receiver, nworkers, wanted, timeout=timeout, hinted=hinted, known=known
        )
        self.budget = budget
        self._recent = RecentJobs()
        self._payload = payload
        self._noticed = False  # that too much memory is kept
        self._notes: deque[Note] = deque()
        self._waits = False  # or is about to
        self.awaited = 0.0
        """When a reader had to wait for the last time."""
        self._waited = 0.0  # for how long, the last time
        self._noted = 0.0  # when there was something to be done for others, the last time
        self._closing = False
        self._ended = False
        self._end: SimpleQueue[None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    # From any thread

    def start(self) -> None:
        """Start the workers, in this thread, and the one that is to look after them.

        Raises:
            WorkerStartError: If there can be none.
        """
        with told(NO_START):
            self._start_pool()
        # `self` is an argument, of which a thread that has ended lets go: so there is no cycle that
        # would keep the memory of workers until the garbage collector comes
        thread = threading.Thread(
            target=Operator._run, args=(self,), name="seqtools-operator", daemon=True
        )
        self._thread = thread
        try:
            start_thread(thread)
        except WorkerStartError:
            self._thread = None  # so that its work is left to `close`
            raise

    def note(self, *note: Any) -> None:
        """Have something done: a method of this class, and its arguments."""
        self._notes.append(note)
        self.wake()

    def wake(self) -> None:
        """Have what is noted done."""
        if self._notes and self._waits:
            self.pool.wake()

    def close(self, *, wait: bool) -> None:
        """End the workers and the thread.

        Args:
            wait: Whether to wait for that, however long it takes. The caller may be the garbage
                collector otherwise, at a point where the thread waits for something that the
                caller has, such as a lock: so it waits only for a while.
        """
        self._closing = True
        thread = self._thread
        if thread is None:
            self._finish()
            return
        if serving.serves:
            self.receiver.deliver = _nobody
        self.pool.wake()
        deadline = time.monotonic() + _PATIENCE
        # At the end of the program, and in a child that was forked, other threads do not run;
        # the system sees to the workers then.
        while (
            not self._ended
            and not serving.serves
            and thread.is_alive()
            and not sys.is_finalizing()
            and (wait or time.monotonic() < deadline)
        ):
            try:
                # not join(): called by the end of a thread, it would make a dummy of that one
                self._end.get(timeout=PAUSE)
            except Empty:
                continue
            self._end.put(None)  # for others who wait
        self.receiver.deliver = _nobody

    # In the thread

    def _run(self) -> None:
        serving.serves = True
        try:
            with told("worker processes cannot go on"):
                while not self._closing:
                    self._go_on()
        except BaseException as error:  # noqa: BLE001 -- told to the reader
            self._give_up(error)
        finally:
            self._finish()

    def _go_on(self) -> None:
        """Wait until there is something to do, and do it."""
        polled = None
        if len(said) > MOST:  # workers wait until a reader has shown that
            time.sleep(_MOMENT)
        else:
            self._waits = True
            if self._may_rest():
                self.pool.rest(_REST)
            began = time.monotonic()
            polled = self.pool.poll(0 if self._notes or self._closing else self._seconds())
            self._waited = time.monotonic() - began
            self._waits = False
        if self._closing:
            return
        if polled is not None:
            self._look(polled)
        if self._notes:
            self._heed()
        if len(self.workers) > self.wanted:
            self._fit()
        self._deal()
        self._tell()

    def _may_rest(self) -> bool:
        """Return whether to let results gather, because nobody is in need of them."""
        if self._closing or self._notes or self._waited > _REST:
            return False
        now = time.monotonic()
        if now - self._noted < _SOON or now - self.awaited < _LATELY:
            return False
        lasts = self._scheduler.lasts
        return bool(self.workers) and min(map(lasts, self.workers)) > 1.5 * _REST

    def _look(self, polled: Any) -> None:
        """See to what has happened, and to what takes too long."""
        if fault_injection.armed:
            fault_injection.reach("consumer-polled")
        for event in self.pool.events(polled):
            self._see_to(event)
        if self._timeouts is not None:
            self._timeouts.end_overdue(self.workers)

    def _seconds(self) -> float | None:
        """Return for how long to wait for something to happen."""
        for worker in self.workers:
            if worker.dealt or not worker.ready or not worker.attached:
                return self._patience
        return None

    def _give_up(self, error: BaseException) -> None:
        """Deliver what is wrong, because nothing can be evaluated any more."""
        failed = error
        if not isinstance(failed, WorkerStartError):
            failed = WorkerStartError(f"worker processes cannot go on: {error!r}")
            failed.__cause__ = error
        if not self._closing:
            for worker in self.workers:  # what it has printed is shown before that
                self.receiver.overhear(worker)
            self.receiver.deliver(failed)

    def _finish(self) -> None:
        """End the workers, and let go of all that belongs to them."""
        if self._ended:
            return
        try:
            self._end_workers()
            if self._payload is not None:
                os.close(self._payload)
        finally:
            self.receiver.deliver = _nobody
            self._notes.clear()
            self._ended = True
            self._end.put(None)

    # Notes

    def _heed(self) -> None:
        self._noted = time.monotonic()
        while self._notes:
            what, *arguments = self._notes.popleft()
            what(self, *arguments)

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job], mode: int) -> None:
        """Take jobs on."""
        self._mode = mode
        new = self._recent.new
        self._scheduler.submit(new(ahead), new(urgent))

    def cancel(self, ids: Collection[int]) -> None:
        """Forget what no worker was given of these jobs."""
        self._scheduler.cancel(ids, self.workers)

    def resize(self, wanted: int) -> None:
        """Have so many workers, or as many as the system allows."""
        self.wanted = wanted
        try:
            with told(NO_START):
                self._fit()
        except WorkerStartError:
            self.wanted = max(1, len(self.workers))

    def _tell(self) -> None:
        """Tell the reader that there is something to be shown, or to be warned of."""
        if self.budget.exceeded and not self._noticed:
            self._noticed = True
        elif not self.receiver.heard:
            return
        self.receiver.heard = False
        self.receiver.deliver(None)


def _nobody(_: object) -> None:
    """Take what comes after the end."""
