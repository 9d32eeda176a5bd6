"""The operator: the thread that does all the work of a process engine.

        notes ──▶ operator ──▶ tasks for workers
                     │  ▲
        deliver ◀────┘  └───── results, deaths, timeouts

Only this thread handles workers and their tasks. Other threads append a note, which is a single
step, and wake it. So no interrupt can come between two steps that belong together, no lock is held
that the garbage collector might need, and work continues whatever the reader does.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from queue import SimpleQueue
from typing import Any

from seqtools._core.errors import WorkerStartError
from seqtools.engines import fault_injection
from seqtools.engines.base import Job
from seqtools.engines.dispatch.output_display import MOST, said
from seqtools.engines.dispatch.pending_warnings import PendingWarnings
from seqtools.engines.dispatch.recent_jobs import RecentJobs
from seqtools.engines.dispatch.serving import await_end, serving
from seqtools.engines.process.background_threads import KnownReasons
from seqtools.engines.process.pool import LoadedByEach
from seqtools.engines.process.workers import Workers
from seqtools.engines.resource_errors import as_start_error, start_thread
from seqtools.engines.wire.arena_reader import LeasedBytes

NO_START = "worker processes could not be started"

_REST = 0.01
"""Seconds in which results accumulate if no reader waits and workers have enough work. Waking for
each result costs 60 µs; several at once cost half of that each."""
_SOON, _LATELY = 0.0025, 0.1
"""Seconds after a request, and after a reader had to wait, in which results are delivered at once.
Arbitrary."""
_MOMENT = 0.01
"""Seconds between two checks whether the output was shown. Arbitrary."""

Note = tuple[Any, ...]
"""A method of `Operator`, not bound, and its arguments."""


class Operator:
    """See the module. It refers to no object of the user, except values that are being delivered.

    Args:
        workers: The workers.
        budget: Limits how much shared memory of workers the consumer may keep.
        known: Records why each worker loads the pipeline itself.
        payload: File descriptor to be closed at the end, if any.
    """

    def __init__(
        self, workers: Workers, budget: LeasedBytes, known: KnownReasons, payload: int | None
    ) -> None:
        self.workers = workers
        self.warnings = PendingWarnings()
        """Warnings for the reader."""
        self._budget, self._known, self._payload = budget, known, payload
        self._has_warned = False  # that too much memory is kept
        self._recent = RecentJobs()
        self._notes: deque[Note] = deque()
        self._waits = False  # the thread waits for events, or is about to
        self.awaited = 0.0
        """The last time when a reader had to wait."""
        self._waited = 0.0  # seconds of the last wait for events
        self._noted = 0.0  # the last time when a note was handled
        self._closing = False
        self._ended = False
        self._end: SimpleQueue[None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    # From any thread

    def start(self) -> None:
        """Start the workers, in the calling thread, and then the operator thread.

        Raises:
            WorkerStartError: If they cannot be started.
        """
        with as_start_error(NO_START):
            self.workers.start()
        # A thread that has ended drops its arguments, so passing `self` as an argument makes no
        # cycle that would keep the memory of workers until the garbage collector runs.
        thread = threading.Thread(
            target=Operator._run, args=(self,), name="seqtools-operator", daemon=True
        )
        self._thread = thread
        try:
            start_thread(thread)
        except WorkerStartError:
            self._thread = None  # so that `close` does its work
            raise

    def note(self, *note: Any) -> None:
        """Have the operator call a method of this class: the function, and its arguments."""
        self._notes.append(note)
        self.wake()

    def wake(self) -> None:
        """Wake the operator if there are notes."""
        if self._notes and self._waits:
            self.workers.pool.wake()

    def close(self, *, wait: bool) -> None:
        """End the workers and the thread.

        Args:
            wait: Whether to wait until the thread has ended. Otherwise the caller may be the
                garbage collector, in a thread that holds a lock for which the operator waits, so
                this waits for a limited time.
        """
        self._closing = True
        thread = self._thread
        if thread is None:
            self._finish()
            return
        if serving.serves:
            self.workers.receiver.deliver = _drop
        self.workers.pool.wake()
        await_end(thread, lambda: self._ended, self._end, wait=wait)
        self.workers.receiver.deliver = _drop

    # In the thread

    def _run(self) -> None:
        serving.serves = True
        try:
            with as_start_error("worker processes cannot go on"):
                while not self._closing:
                    self._step()
        except BaseException as error:  # noqa: BLE001 -- delivered to the reader
            self._fail(error)
        finally:
            self._finish()

    def _step(self) -> None:
        """Wait for an event or a note, and handle it."""
        polled = None
        if len(said) > MOST:  # workers wait until a reader has shown the output
            time.sleep(_MOMENT)
        else:
            self._waits = True
            if self._may_wait():
                self.workers.pool.rest(_REST)
            began = time.monotonic()
            seconds = 0 if self._notes or self._closing else self.workers.patience()
            polled = self.workers.pool.poll(seconds)
            self._waited = time.monotonic() - began
            self._waits = False
        if self._closing:
            return
        if polled is not None:
            self._handle_events(polled)
        if self._notes:
            self._handle_notes()
        if len(self.workers.all) > self.workers.wanted:
            self.workers.adjust_number()
        self.workers.send_tasks()
        self._notify_reader()

    def _may_wait(self) -> bool:
        """Return whether results may accumulate, because no reader needs them now."""
        if self._closing or self._notes or self._waited > _REST:
            return False
        now = time.monotonic()
        if now - self._noted < _SOON or now - self.awaited < _LATELY:
            return False
        workers, seconds = self.workers.all, self.workers.scheduler.seconds_of_work
        return bool(workers) and min(map(seconds, workers)) > 1.5 * _REST

    def _handle_events(self, polled: Any) -> None:
        """Handle events and timeouts."""
        if fault_injection.armed:
            fault_injection.reach("consumer-polled")
        for event in self.workers.pool.events(polled):
            if isinstance(event, LoadedByEach):
                self._note_each(event.reason)
            else:
                self.workers.handle(event)
        self.workers.end_overdue()

    def _note_each(self, reason: str) -> None:
        """Note why each worker must load the pipeline itself, and warn once."""
        if not self._known:
            self._known.reason = reason
            self._warn(
                f"{reason}, so each worker process loads the pipeline itself, which takes more "
                "time and memory: to load it once, import or create that in the function that "
                "uses it"
            )

    def _warn(self, message: str) -> None:
        self.warnings.append(message)
        self.workers.receiver.deliver(None)

    def _fail(self, error: BaseException) -> None:
        """Deliver an error, because no more items can be evaluated."""
        failed = error
        if not isinstance(failed, WorkerStartError):
            failed = WorkerStartError(f"worker processes cannot go on: {error!r}")
            failed.__cause__ = error
        if not self._closing:
            for worker in self.workers.all:  # its output is shown before the error
                self.workers.receiver.read_output(worker)
                worker.output.end()
            self.workers.receiver.deliver(failed)

    def _finish(self) -> None:
        """End the workers, and release their resources."""
        if self._ended:
            return
        try:
            self.workers.end()
            if self._payload is not None:
                os.close(self._payload)
        finally:
            self.workers.receiver.deliver = _drop
            self._notes.clear()
            self._ended = True
            self._end.put(None)

    # Notes

    def _handle_notes(self) -> None:
        self._noted = time.monotonic()
        while self._notes:
            what, *arguments = self._notes.popleft()
            what(self, *arguments)

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job], mode: int) -> None:
        """Accept jobs."""
        self.workers.mode = mode
        new = self._recent.new
        self.workers.scheduler.submit(new(ahead), new(urgent))

    def cancel(self, ids: Collection[int]) -> None:
        """Forget the waiting tasks of these jobs."""
        self.workers.scheduler.cancel(ids, self.workers.all)

    def resize(self, wanted: int) -> None:
        """Change the number of workers to `wanted`, or to as many as the system allows."""
        self.workers.wanted = wanted
        try:
            with as_start_error(NO_START):
                self.workers.adjust_number()
        except WorkerStartError:
            self.workers.wanted = max(1, len(self.workers.all))

    def _notify_reader(self) -> None:
        """Notify the reader that there is output to show, or a warning."""
        if self._budget.exceeded and not self._has_warned:
            self._has_warned = True
            self._warn(self._budget.warning())
        if self.workers.receiver.has_output:
            self.workers.receiver.has_output = False
            self.workers.receiver.deliver(None)


def _drop(_: object) -> None:
    """Drop parts that arrive after the end."""
