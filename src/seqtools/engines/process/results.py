"""Receives messages of workers: values, failures, output, and reports about the worker itself.

A message is accepted only if it fits the task that its worker was sent.
"""

import pickle
import time
import weakref
from contextlib import suppress

from seqtools._core.errors import Failure
from seqtools.engines import fault_injection
from seqtools.engines.base import Deliver, Part
from seqtools.engines.dispatch.forwarded import take
from seqtools.engines.dispatch.outcomes import UnusableError, parts_of
from seqtools.engines.dispatch.scheduler import Scheduler
from seqtools.engines.process.pool import PoolWorker, WorkerPool
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.arena import SlotPlace
from seqtools.engines.wire.headers import DamagedMessage
from seqtools.engines.wire.result_pickling import ResultLoader

_OUTPUT = frozenset({result_messages.PRINTED, result_messages.NOTE, result_messages.ENDING})
_ABOUT_NO_ITEM = frozenset({result_messages.READY, result_messages.UNABLE, result_messages.STAGE})


class ResultReceiver:
    """Receives messages of workers, and delivers the outcomes of items.

    Args:
        scheduler: Gets the number of answered items.
        loader: Unpickles values. Only the engine keeps it, because it refers to code of the user,
            which may refer to the engine.
        pool: Ends workers that send invalid messages.
        deliver: Receives the outcomes.
    """

    def __init__(
        self, scheduler: Scheduler, loader: ResultLoader, pool: WorkerPool, deliver: Deliver
    ) -> None:
        self._scheduler, self._pool = scheduler, pool
        self._loader = weakref.ref(loader)
        self.deliver = deliver
        self.has_output = False
        """Whether there is output of which the reader was not notified."""
        self.slowest: float | None = None
        """The longest start of a worker, in seconds."""
        self.deaths_in_a_row = 0
        """The number of workers that died since the last result."""

    def read(self, worker: PoolWorker) -> None:
        """Read the messages of a worker; end it if no more valid messages can come."""
        results, more = worker.reader.read()
        if fault_injection.armed:
            fault_injection.reach("consumer-read")
        try:
            for result in results:
                self._handle(worker, result)
        except DamagedMessage as damage:
            worker.reader.damage = str(damage)
        if not more or worker.reader.damage is not None:
            # it has died, or closed its pipe, or sent an invalid message
            self._pool.kill(worker)

    def read_output(self, worker: PoolWorker) -> bool:
        """Read only the output of a worker that is about to end; return whether there is more."""
        more = False
        with suppress(OSError, MemoryError):
            results, more = worker.reader.read()
            for result in results:
                if result.kind in _OUTPUT:
                    self._store_output(worker, result)
        if not more:
            worker.output.end()
        return more

    def fail(self, job: int, offset: int, failure: Failure) -> None:
        """Deliver `failure` as the outcome of an item; its worker is not to blame any more."""
        self.deliver(Part(job, offset, [failure], failed=True))
        self.deaths_in_a_row = 0

    def _handle(self, worker: PoolWorker, result: result_messages.Result) -> None:
        if result.kind in _OUTPUT:
            self._store_output(worker, result)
            return
        if result.kind in _ABOUT_NO_ITEM:
            self._handle_report(worker, result)
            return
        task = worker.assigned[0] if worker.assigned else None
        if task is None or (result.block, result.done) != (task.number, task.answered):
            raise DamagedMessage("a message answers a task that was not sent")
        worker.active_since = time.monotonic()
        if result.kind == result_messages.REST:
            self._scheduler.returned(worker, task)
        else:
            self._answered(worker, result)

    def _answered(self, worker: PoolWorker, result: result_messages.Result) -> None:
        """Deliver the answer of a worker for the next items of its current task."""
        parts = [_part(worker, part) for part in result.parts]
        self.deaths_in_a_row = 0
        worker.path = None
        worker.output.end()  # text that a signal handler of the user has cut off
        items = self._scheduler.answered(worker, worker.assigned[0], result.count, result.seconds)
        loader = self._loader()
        assert loader is not None  # noqa: S101 -- an engine that is collected has ended this first
        try:
            found = parts_of(
                items, loader.loads, result.kind, result.seconds, parts, result.missing
            )
        except UnusableError:
            self._scheduler.suspect(items)
            return
        for each in found:
            self.deliver(each)

    def _store_output(self, worker: PoolWorker, result: result_messages.Result) -> None:
        """Store output of a worker, and what it does at its end."""
        if result.kind == result_messages.ENDING:
            worker.ending = result.block
            return
        self.has_output = True
        piece = _part(worker, result.parts[0])
        if result.kind == result_messages.PRINTED:
            worker.output.add(piece)
            return
        body = worker.output.add_note(result.block, result.done, piece)
        if body is not None:
            loader = self._loader()
            take(body, pickle.loads if loader is None else loader.loads)

    def _handle_report(self, worker: PoolWorker, result: result_messages.Result) -> None:
        """Handle a report of a worker about itself."""
        if result.kind == result_messages.READY:
            worker.ready = True
            worker.active_since = time.monotonic()
            self.slowest = max(self.slowest or 0.0, worker.active_since - worker.started_at)
            return
        body = _part(worker, result.parts[0])
        if result.kind == result_messages.UNABLE:
            raise result_messages.refusal(body)
        loader = self._loader()
        worker.path = None if loader is None else loader.loads(body)


def _part(worker: PoolWorker, part: memoryview | SlotPlace) -> memoryview:
    if not isinstance(part, SlotPlace):
        return part
    assert worker.leases is not None  # noqa: S101 -- for mypy: it has put a value there
    return worker.leases.lease(part)
