"""Receives messages of workers: values, failures, output, and reports about the worker itself.

A message is accepted only if it fits the task that its worker was sent.
"""

import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from seqtools._core import recording
from seqtools._core.errors import Failure, summary
from seqtools.engines import fault_injection
from seqtools.engines.base import END, Deliver, Part
from seqtools.engines.process.pool import PoolWorker, WorkerPool
from seqtools.engines.process.scheduler import Scheduler
from seqtools.engines.wire import exceptions, result_messages, values
from seqtools.engines.wire.arena import SlotPlace
from seqtools.engines.wire.headers import DamagedMessage
from seqtools.engines.wire.result_pickling import ResultLoader

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

    def read_output(self, worker: PoolWorker) -> None:
        """Read only the output of a worker that is about to be released."""
        with suppress(OSError, MemoryError):
            for result in worker.reader.read()[0]:
                if result.kind == result_messages.PRINTED:
                    self._store_output(worker, result)
        worker.output.end()

    def fail(self, job: int, offset: int, failure: Failure) -> None:
        """Deliver `failure` as the outcome of an item; its worker is not to blame any more."""
        self.deliver(Part(job, offset, [failure], failed=True))
        self.deaths_in_a_row = 0

    def _handle(self, worker: PoolWorker, result: result_messages.Result) -> None:
        if result.kind == result_messages.PRINTED:
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
            self._scheduler.returned(worker)
        else:
            self._answered(worker, result)

    def _answered(self, worker: PoolWorker, result: result_messages.Result) -> None:
        """Deliver the answer of a worker for the next items of its current task."""
        parts = [_part(worker, part) for part in result.parts]
        self.deaths_in_a_row = 0
        worker.path = None
        worker.output.end()  # text that a signal handler of the user has cut off
        items = self._scheduler.answered(worker, result.count, result.seconds)
        try:
            outcomes, failed = self._outcomes(result, parts, items.indices)
        except Exception as error:  # noqa: BLE001 -- memory, or code of users in an error of theirs
            if result.count > 1:  # evaluate again, so that each item has its own message
                self._scheduler.suspect(items)
                return
            outcomes, failed = [_unloadable(items.indices[0], error)], [0]
        for begin, end in _pieces(len(outcomes), failed):
            seconds = result.seconds * (end - begin) / len(outcomes)
            piece = outcomes[begin:end] if failed else outcomes
            offset = items.offset + begin
            self.deliver(Part(items.job, offset, piece, seconds, failed=begin in failed))

    def _store_output(self, worker: PoolWorker, result: result_messages.Result) -> None:
        """Store output of a worker."""
        worker.output.add(_part(worker, result.parts[0]))
        self.has_output = True

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
        worker.path = self._loads(body)

    def _loads(self, data: Any, buffers: Sequence[Any] = ()) -> Any:
        loader = self._loader()
        assert loader is not None  # noqa: S101 -- an engine that is collected has ended this first
        return loader.loads(data, buffers)

    def _outcomes(
        self, result: result_messages.Result, parts: list[memoryview], indices: Sequence[int]
    ) -> tuple[list[Any], list[int]]:
        """Return the outcomes of items, and the places of those that failed or are the end."""
        if result.kind == result_messages.END:
            return [END], [0]
        if result.missing:
            raise MemoryError(f"no memory for a value of {result.missing >> 20:,} MB")
        began = time.perf_counter_ns() if recording.active else 0
        failed: list[int] = []
        if result.kind == result_messages.FAILURE:
            sent, path, trace = self._loads(parts[0])
            outcomes = [Failure(exceptions.loaded(sent, self._loads), path, trace)]
            failed.append(0)
        else:

            def unloadable(place: int, error: Exception) -> Failure:
                failed.append(place)
                return _unloadable(indices[place], error)

            outcomes = values.loaded(parts, self._loads, unloadable)
        if began:
            recording.note(recording.LOAD, result.count, sum(map(len, parts)), began)
        if fault_injection.armed:
            fault_injection.reach("consumer-loaded")
        return outcomes, failed


def _unloadable(index: int, error: Exception) -> Failure:
    """Return the failure of an item whose value cannot be loaded."""
    message = f"item {index} cannot be loaded from a worker process: {summary(error)}"
    failed = (MemoryError if isinstance(error, MemoryError) else TypeError)(message)
    failed.__cause__ = error
    return Failure(failed)


def _pieces(n: int, failed: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield begin and end of pieces of `n` outcomes, such that each failed one is alone."""
    begin = 0
    for place in sorted(failed):
        if begin < place:
            yield begin, place
        yield place, place + 1
        begin = place + 1
    if begin < n:
        yield begin, n


def _part(worker: PoolWorker, part: memoryview | SlotPlace) -> memoryview:
    if not isinstance(part, SlotPlace):
        return part
    assert worker.leases is not None  # noqa: S101 -- for mypy: it has put a value there
    return worker.leases.lease(part)
