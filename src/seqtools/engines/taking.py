"""What workers send, taken apart: values, failures, what is printed, what they tell of themselves.

A message is believed only as far as it fits what its worker was asked for.
"""

import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from seqtools import recording
from seqtools.engines import faults, frames, values
from seqtools.engines.base import END, Deliver, Part
from seqtools.engines.crews import Crew, Member
from seqtools.engines.heads import Damaged
from seqtools.engines.scheduler import Scheduler
from seqtools.engines.shipping import Loader
from seqtools.engines.slots import Place
from seqtools.errors import Failure, summary

_ABOUT_NO_ITEM = frozenset({frames.READY, frames.UNABLE, frames.STAGE})


class Taker:
    """Takes messages of workers, and delivers what came of items.

    Args:
        scheduler: Is told what was answered.
        loader: Makes values of what was sent. It refers to code of the user, which may refer to
            the engine: so the engine has to keep it, and this does not.
        crew: Ends workers that send what cannot be.
        deliver: Is given the outcomes.
        timed: Whether it is noted when a worker has answered.
    """

    def __init__(
        self, scheduler: Scheduler, loader: Loader, crew: Crew, deliver: Deliver, *, timed: bool
    ) -> None:
        self._scheduler, self._crew, self._timed = scheduler, crew, timed
        self._loader = weakref.ref(loader)
        self.deliver = deliver
        self.heard = False
        """Something is printed, and nobody was told."""
        self.slowest: float | None = None
        """Start of a worker, in seconds."""
        self.unlucky = 0
        """Workers that died since the last result."""
        self.spent = 0.0
        """Seconds that workers have taken for what they have answered."""
        self.answered = 0
        """Items that they have answered."""

    def read(self, worker: Member) -> None:
        """Take what a worker has sent; have it end if nothing of use can come any more."""
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

    def overhear(self, worker: Member) -> None:
        """Take what a worker has printed, and nothing else, as it is going to be let go of."""
        with suppress(OSError, MemoryError, Damaged):
            for result in worker.reader.read()[0]:
                if result.kind == frames.PRINTED:
                    self._hear(worker, result)
        worker.heard.end()

    def fail(self, job: int, offset: int, failure: Failure) -> None:
        """Have `failure` be what came of an item for which its worker is to blame no more."""
        self.deliver(Part(job, offset, [failure], failed=True))
        self.unlucky = 0

    def _take(self, worker: Member, result: frames.Result) -> None:
        if result.kind == frames.PRINTED:
            self._hear(worker, result)
            return
        if (result.kind in {frames.READY, frames.UNABLE}) == worker.ready:
            raise Damaged(f"a message of kind {result.kind} comes too early or too late")
        if result.kind in _ABOUT_NO_ITEM:
            self._note(worker, result)
            return
        task = worker.dealt[0] if worker.dealt else None
        if task is None or (result.block, result.done) != (task.number, task.answered):
            raise Damaged("a message answers what was not asked")
        if self._timed:
            worker.since = time.monotonic()
        if result.kind == frames.REST:
            if not task.answered:  # it could be returned for ever
                raise Damaged("a task is returned of which nothing is answered")
            self._scheduler.returned(worker)
        elif result.count > len(task.indices):
            raise Damaged("a message has more items than were asked for")
        else:
            self._answered(worker, result)

    def _answered(self, worker: Member, result: frames.Result) -> None:
        """Deliver what a worker answers about the next items of the task that it is at."""
        parts = [_part(worker, part) for part in result.parts]
        self.unlucky = 0
        worker.path = None
        items = self._scheduler.answered(worker, result.count, result.seconds)
        self.spent += result.seconds
        self.answered += result.count
        try:
            outcomes, failed = self._outcomes(result, parts, items.indices)
        except Exception as error:  # noqa: BLE001 -- memory, or code of users in an error of theirs
            if result.count > 1:  # evaluate again, so that each has a message of its own
                self._scheduler.suspect(items)
                return
            outcomes, failed = [_unloadable(items.indices[0], error)], [0]
        for begin, end in _pieces(len(outcomes), failed):
            seconds = result.seconds * (end - begin) / len(outcomes)
            piece = outcomes[begin:end] if failed else outcomes
            offset = items.offset + begin
            self.deliver(Part(items.job, offset, piece, seconds, failed=begin in failed))

    def _hear(self, worker: Member, result: frames.Result) -> None:
        """Take what a worker has printed."""
        text, place = _part(worker, result.parts[0]), result.block
        worker.heard.add(text, begins=bool(place & frames.BEGINS), ends=bool(place & frames.ENDS))
        self.heard = True

    def _note(self, worker: Member, result: frames.Result) -> None:
        """Take note of what a worker tells about itself."""
        if result.kind == frames.READY:
            worker.ready = True
            worker.since = time.monotonic()
            self.slowest = max(self.slowest or 0.0, worker.since - worker.hired)
            return
        body = _part(worker, result.parts[0])
        if result.kind == frames.UNABLE:
            raise frames.refusal(body)
        try:
            worker.path = self._loads(body)
        except Exception as error:
            raise Damaged("a message about a stage is none") from error

    def _loads(self, data: Any, buffers: Sequence[Any] = ()) -> Any:
        loader = self._loader()
        assert loader is not None  # noqa: S101 -- an engine that has gone has ended this first
        return loader.loads(data, buffers)

    def _outcomes(
        self, result: frames.Result, parts: list[memoryview], indices: Sequence[int]
    ) -> tuple[list[Any], list[int]]:
        """Return what came of items, and the places of those that failed or are the end."""
        if result.kind == frames.END:
            return [END], [0]
        if result.missing:
            raise MemoryError(f"no {result.missing >> 20:,} MB for what was sent")
        began = time.perf_counter_ns() if recording.active else 0
        failed: list[int] = []
        if result.kind == frames.FAILURE:
            outcomes = [Failure(*self._loads(parts[0]))]
            failed.append(0)
        else:

            def unloadable(place: int, error: Exception) -> Failure:
                failed.append(place)
                return _unloadable(indices[place], error)

            outcomes = values.loaded(parts, self._loads, unloadable)
        if began:
            recording.note(recording.LOAD, result.count, sum(map(len, parts)), began)
        if faults.armed:
            faults.reach("consumer-loaded")
        if len(outcomes) != result.count:
            raise ValueError(f"there are {len(outcomes)} values for {result.count} items")
        return outcomes, failed


def _unloadable(index: int, error: Exception) -> Failure:
    """Return the failure of an item whose value cannot be loaded."""
    message = f"item {index} cannot be loaded from a worker process: {summary(error)}"
    failed = (MemoryError if isinstance(error, MemoryError) else TypeError)(message)
    failed.__cause__ = error
    return Failure(failed)


def _pieces(n: int, failed: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield where pieces of `n` outcomes begin and end, such that what failed is alone."""
    begin = 0
    for place in sorted(failed):
        if begin < place:
            yield begin, place
        yield place, place + 1
        begin = place + 1
    if begin < n:
        yield begin, n


def _part(worker: Member, part: memoryview | Place) -> memoryview:
    if not isinstance(part, Place):
        return part
    if worker.leases is None:
        raise Damaged("a value is said to be in memory that there is not")
    return worker.leases.lease(part)
