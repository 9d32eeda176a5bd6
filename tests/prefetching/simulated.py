"""An engine that does the worst that an engine may, and a source that tells what came of that.

It works only when it is told to, in the thread that tells it, so that what happens follows from
a seed alone.
"""

import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import seqtools
from seqtools._core.errors import EndOfSequence, EvaluationError, Failure, WorkerStartError
from seqtools.engines.base import END, Deliver, GroupOf, Job, Part
from seqtools.prefetching.options import Options

SIZE = 60
"""Items of the source. Arbitrary: more than any window that fills, and soon read."""


class Spoilt(Exception):  # noqa: N818 -- says what is the matter with an item
    """What some items raise: their index, the version of the source, and the evaluation."""


class Source(seqtools.LazySequence[Any]):
    """Items that change with each version, some of which fail.

    An item is its index, the version, and the number of the evaluation that it comes from.
    """

    def __init__(self, rng: random.Random, *, endless: bool = False) -> None:
        self.version = 0
        self.endless = endless
        self.bad = {i for i in range(SIZE) if rng.random() < 0.1}
        self.payload = bytes(rng.choice([0, 10, 300]))
        self.evaluations = 0

    def _size(self) -> int | None:
        return None if self.endless else SIZE

    def _get(self, i: int) -> Any:
        self.evaluations += 1
        if i >= SIZE:
            raise EndOfSequence
        if i in self.bad:
            raise Spoilt(i, self.version, self.evaluations)
        return (i, self.version, self.evaluations, self.payload)


class Simulated:
    """An engine that answers any items of any job, in any order, and some of them again.

    Args:
        get: Evaluates an item.
        source: What it evaluates, to know the number of each evaluation.
        rng: Decides what it does next.
        noted: Counts how often the note of each evaluation was called.
        deliver: Takes parts.
    """

    def __init__(
        self,
        get: Callable[[int], Any],
        source: Source,
        rng: random.Random,
        noted: Counter[int],
        deliver: Deliver,
    ) -> None:
        self._get, self._source, self._deliver = get, source, deliver
        self._rng, self._noted = rng, noted
        self._left: dict[int, tuple[Job, set[int]]] = {}
        self._late: list[Part] = []
        self.asked: Counter[int] = Counter()
        """How often each index was asked for."""
        self.failing = 0.01
        """How probable it is at each step that no worker can be started."""
        self.closed = False
        self.news = False
        self.nworkers = rng.choice([1, 2, 5])
        self.grain = rng.choice([1e-5, 1e-3, 1.0])
        self.group_of: GroupOf | None = rng.choice([None, None, _sevens])

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job] = ()) -> None:
        """Take jobs on."""
        assert not self.closed
        for job in (*urgent, *ahead):
            assert job.id not in self._left, f"{job} was submitted twice"
            assert len(job.indices)
            assert job.offset == 0
            self.asked.update(map(int, job.indices))
            self._left[job.id] = (job, set(range(len(job.indices))))

    def cancel(self, ids: Collection[int]) -> None:
        """Forget some items of these jobs, most often all."""
        for number in ids:
            job, left = self._left.get(number, (None, set()))
            if job is not None and self._rng.random() < 0.8:
                left.difference_update({k for k in left if self._rng.random() < 0.9})
                if not left:
                    self._left.pop(number, None)

    def look(self) -> float:
        """Work, because somebody waits."""
        assert not self.closed or not self._left
        if not self.closed:
            assert self._left or self._late, "a reader waits for what nobody was asked for"
            for _ in range(self._rng.randint(1, 3)):
                self.work()
        return 0.0

    def waited(self, seconds: float) -> None:
        """Note that a reader has waited for so long."""
        assert seconds >= 0

    def tell(self) -> None:
        """Have nothing more to tell."""
        self.news = False

    def close(self, *, wait: bool = True) -> None:
        """End, after what was evaluated has come too late."""
        del wait
        late, self._late = self._late, []
        for part in late:
            self._deliver(part)
        self.closed = True
        self._left.clear()

    def busy(self) -> int:
        """Return how many workers might be at work."""
        return min(self.nworkers, len(self._left))

    def work(self) -> None:
        """Do something, if there is anything to do."""
        rng = self._rng
        if self._late and (not self._left or rng.random() < 0.3):
            self._deliver(self._late.pop(rng.randrange(len(self._late))))
            return
        if rng.random() < 0.02:
            self.news = True
            self._deliver(None)
        if rng.random() < self.failing:
            self._deliver(WorkerStartError("all workers died"))
        entries = list(self._left.values())  # a finalizer may have some of them cancelled
        if not entries:
            return
        job, left = rng.choice(entries)
        places = list(left)
        n = len(job.indices)
        lo = rng.choice(places) if places and rng.random() < 0.8 else rng.randrange(n)
        hi = lo + 1
        while hi < n and rng.random() < 0.6:
            hi += 1
        for part in self._evaluated(job, lo, hi):
            self._hand_over(part)
        left.difference_update(range(lo, hi))
        if not left:
            self._left.pop(job.id, None)

    def _hand_over(self, part: Part) -> None:
        if self._rng.random() < 0.1:
            self._late.append(part)
            return
        self._deliver(part)
        if self._rng.random() < 0.1:  # the same once more, now or at any time
            if self._rng.random() < 0.5:
                self._deliver(part)
            else:
                self._late.append(part)

    def _evaluated(self, job: Job, lo: int, hi: int) -> list[Part]:
        """Return parts with the items at places `lo` to `hi` of a job, each with its note."""
        parts: list[Part] = []
        for k in range(lo, hi):
            failed, outcome = True, END
            try:
                outcome, failed = self._get(int(job.indices[k])), False
            except EndOfSequence:
                pass
            except EvaluationError as error:
                outcome = Failure.caught(error)
            except Spoilt as error:
                outcome = Failure.caught(error)
            note = partial(self._noted.update, [self._source.evaluations])
            last = parts[-1] if parts else None
            if last is None or failed or last.failed:
                seconds = 0.0 if failed else 1e-5
                parts.append(Part(job.id, k, [outcome], seconds, failed=failed, notes=[note]))
            else:
                last.outcomes.append(outcome)
                last.seconds += 1e-5
                last.notes = [*last.notes, note]
        return parts


def _sevens(i: int) -> tuple[int, range]:
    first = i - i % 7
    return first, range(first, first + 7)


class Simulating(Options):
    """Options of a prefetch whose engines are simulated; `make` is set after it is made."""

    make: Callable[..., Simulated]

    def engine(  # type: ignore[override]  # noqa: PLR0913, PLR0917 -- as it is called
        self,
        source: Any,
        get: Callable[[int], Any],
        get_apart: Callable[[int], Any],
        choice: Any = None,
        known: Any = None,
        deliver: Any = None,
    ) -> Any:
        """Return a new simulated engine."""
        del source, get_apart, choice, known
        return self.make(get, deliver)
