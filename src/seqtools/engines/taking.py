"""What workers send, taken apart: values, failures, what is printed, what they tell of themselves.

A message is believed only as far as it fits what its worker was asked for. The lock of the
engine is held by who calls any of this.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from seqtools import recording
from seqtools.engines import faults, frames, values
from seqtools.engines.base import END
from seqtools.engines.crews import Crew, Member
from seqtools.engines.dealing import Dealer
from seqtools.engines.heads import Damaged
from seqtools.engines.shipping import Loader
from seqtools.engines.slots import Place
from seqtools.errors import Failure, summary

_ABOUT_NO_ITEM = frozenset({frames.READY, frames.UNABLE, frames.STAGE})


class Taker:
    """Takes messages of workers, and keeps what came of items until it is received.

    Args:
        dealer: Is told what was answered.
        loader: Makes values of what was sent.
        crew: Ends workers that send what cannot be.
        timed: Whether it is noted when a worker has answered.
    """

    def __init__(self, dealer: Dealer, loader: Loader, crew: Crew, *, timed: bool) -> None:
        self._dealer, self._loader, self._crew, self._timed = dealer, loader, crew, timed
        self.done: list[tuple[int, Any]] = []
        """Indices and what came of them, not yet received."""
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

    def fail(self, index: int, failure: Failure) -> None:
        """Have `failure` be what came of an item for which its worker is to blame no more."""
        self.done.append((index, failure))
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
        block = worker.blocks[0] if worker.blocks else None
        if block is None or (result.block, result.done) != (block.number, block.answered):
            raise Damaged("a message answers what was not asked")
        if result.count > len(block.indices) - block.answered:
            raise Damaged("a message has more items than were asked for")
        parts = [_part(worker, part) for part in result.parts]
        self.unlucky = 0
        worker.path = None
        indices = self._dealer.answered(worker, result.count, result.seconds)
        self.spent += result.seconds
        self.answered += result.count
        if self._timed:
            worker.since = time.monotonic()
        try:
            self.done += zip(indices, self._outcomes(result, parts, indices), strict=True)
        except Exception as error:  # noqa: BLE001 -- memory, or code of users in an error of theirs
            if len(indices) > 1:  # evaluate again, so that each has a message of its own
                self._dealer.suspect(indices)
                return
            self.done.append((indices[0], _unloadable(indices[0], error)))

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
            worker.path = self._loader.loads(body)
        except Exception as error:
            raise Damaged("a message about a stage is none") from error

    def _outcomes(
        self, result: frames.Result, parts: list[memoryview], indices: Sequence[int]
    ) -> list[Any]:
        if result.kind == frames.END:
            return [END]
        if result.missing:
            raise MemoryError(f"no {result.missing >> 20:,} MB for what was sent")
        began = time.perf_counter_ns() if recording.active else 0
        loads = self._loader.loads
        if result.kind == frames.FAILURE:
            outcomes = [Failure(*loads(parts[0]))]
        else:
            outcomes = values.loaded(parts, loads, lambda k, e: _unloadable(indices[k], e))
        if began:
            recording.note(recording.LOAD, result.count, sum(map(len, parts)), began)
        if faults.armed:
            faults.reach("consumer-loaded")
        if len(outcomes) != result.count:
            raise ValueError(f"there are {len(outcomes)} values for {result.count} items")
        return outcomes


def _unloadable(index: int, error: Exception) -> Failure:
    """Return the failure of an item whose value cannot be loaded."""
    message = f"item {index} cannot be loaded from a worker process: {summary(error)}"
    failed = (MemoryError if isinstance(error, MemoryError) else TypeError)(message)
    failed.__cause__ = error
    return Failure(failed)


def _part(worker: Member, part: memoryview | Place) -> memoryview:
    if not isinstance(part, Place):
        return part
    if worker.leases is None:
        raise Damaged("a value is said to be in memory that there is not")
    return worker.leases.lease(part)
