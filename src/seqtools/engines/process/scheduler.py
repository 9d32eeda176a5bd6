"""Which worker is given which tasks, and which item is to blame when a worker dies.

A state machine without processes, clocks and locks: `process` sends what it deals, and tells it
what became of it. Tasks are dealt whole, because the window has cut jobs to a few milliseconds
of work. They are dealt in this order:

1. Items that may have killed a worker, one by one, each to a worker that has nothing else.
   Nothing else is dealt until all of these are, so that there are such workers.
2. Jobs that are urgent.
3. What was taken back from a worker.
4. What was set aside for the worker, if workers prepare for what comes.
5. What waits, as `affinity` says.
6. What was set aside for another worker, if this one is idle.
"""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import TypeVar

from seqtools.engines.base import AHEAD, Job
from seqtools.engines.process.affinity import Task, TaskQueue, WorkerQueue, drop, tasks_of

__all__ = ["Scheduler", "Task", "WorkerQueue"]

_DEALT_SECONDS = 0.02
"""Work dealt to a worker beforehand: enough for it while the operator waits for the lock of the
interpreter a few times, which takes 5 ms each. Arbitrary."""
_MOST_DEALT = 16
"""Tasks dealt to a worker beforehand: as many as the smallest pipe takes."""

H = TypeVar("H", bound=WorkerQueue)


class Scheduler:
    """Deals tasks to workers.

    Every item of a job that was not cancelled is answered, given up, or named as a
    culprit once. Until then exactly one task has it, which waits or was dealt.

    Args:
        grain: Seconds of work that are worth a message.
        hinted: Whether workers prepare for what they are told to come. Then tasks are set aside
            for each of them: if all were told of the same ones, most would prepare in vain.
    """

    def __init__(self, grain: float, *, hinted: bool = False) -> None:
        self._grain = grain
        self._hinted = hinted
        self._suspects: deque[Task] = deque()
        self._urgent: deque[Task] = deque()
        self._again: deque[Task] = deque()  # taken back
        self._waiting = TaskQueue(hinted=hinted)
        self._left = 0  # tasks to be dealt, except suspects
        self._died_once: set[tuple[int, int]] = set()  # job and offset of items, see `died`
        # An item takes, by a moving average. It is taken for long before one is known.
        self._seconds = _DEALT_SECONDS
        self._numbers = 0
        self.full = False
        """Whether no worker takes more until one has answered."""

    def __bool__(self) -> bool:
        """Return whether something is to be dealt."""
        return bool(self._left or self._suspects)

    # What the engine is asked for

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job] = ()) -> None:
        """Take jobs on; those that are `urgent` before all that wait."""
        for job in urgent:
            tasks = tasks_of(job)
            self._urgent += tasks
            self._left += len(tasks)
        for job in ahead:
            for task in tasks_of(job):
                self._waiting.add(task)
                self._left += 1

    def cancel(self, ids: Collection[int], hands: Sequence[WorkerQueue]) -> None:
        """Forget what was not dealt of these jobs; what was dealt is not dealt again.

        `hands` are those of all workers.
        """
        jobs = frozenset(ids)
        for queue in (self._urgent, self._again, *[hand.own for hand in hands]):
            self._left -= drop(queue, jobs)
        self._left -= self._waiting.drop(jobs)
        drop(self._suspects, jobs)
        for task in chain.from_iterable([hand.dealt for hand in hands]):
            if task.job in jobs:
                task.wanted = False
        if self._died_once:
            self._died_once = {place for place in self._died_once if place[0] not in jobs}

    def clear(self, hands: Sequence[WorkerQueue]) -> None:
        """Forget all that was not dealt."""
        self._waiting.clear()
        for queue in (self._urgent, self._again, *[hand.own for hand in hands]):
            queue.clear()
        self._left = 0
        self._suspects.clear()

    # What workers are given

    def deal(self, hands: Sequence[H]) -> Iterator[tuple[H, Task]]:
        """Yield tasks for workers that have little to do, the one with the least first."""
        while self._suspects:
            idle = next((hand for hand in hands if not hand.dealt), None)
            self.full = idle is None
            if idle is None:
                return
            yield idle, self._dealt(idle, self._suspects.popleft())
        self.full = False
        while self._left:
            hand = self._receiver(hands)
            if hand is None:
                self.full = self._for_all()
                return
            task = self._next(hand, hands)
            if task is not None:
                self._left -= 1
                yield hand, self._dealt(hand, task)
            elif not hand.dealt:
                return  # nothing is left but what is set aside for workers that are not here

    def coming(self, hand: WorkerQueue) -> list[int]:
        """Return what a worker is probably given next, up to `AHEAD` indices."""
        return self._waiting.coming(hand)

    def lasts(self, hand: WorkerQueue) -> float:
        """Return for about how many seconds a worker has something to do."""
        return hand.items * self._seconds

    # What became of it

    def answered(self, hand: WorkerQueue, n: int, seconds: float) -> Task:
        """Return the next `n` items of a worker, which has answered them after `seconds`."""
        if seconds:
            # Only half way, because one item may take much longer than others.
            self._seconds += 0.5 * (seconds / n - self._seconds)
        hand.items -= n
        task = hand.dealt[0]
        if n == len(task.indices):
            hand.dealt.popleft()
        else:
            whole, task = task, task.piece(0, n)
            whole.drop(n)
        if self._died_once:
            self._died_once.difference_update([(task.job, task.offset + k) for k in range(n)])
        return task

    def suspect(self, task: Task) -> None:
        """Have the items of `task`, which was answered, evaluated again, each alone.

        For an answer of which no use can be made because of one of its items.
        """
        if task.wanted:
            self._suspects += task.parts(1, alone=True)

    def returned(self, hand: WorkerQueue) -> None:
        """Take back the rest of the task that a worker is at, which has become slow.

        The worker goes on with the next task that it was dealt.
        """
        task = hand.dealt.popleft()
        hand.items -= len(task.indices)
        length = max(1, int(self._grain / max(self._seconds, 1e-9)))
        self._take_back(task.parts(length, alone=task.alone))

    def refused(self, hand: WorkerQueue) -> None:
        """Take back the last task that was dealt to a worker, because it cannot be sent.

        To go on with `deal` then would yield the same task again.
        """
        task = hand.dealt.pop()
        hand.items -= len(task.indices)
        self._take_back([task])

    def gave_up(self, hand: WorkerQueue, at: int = 0) -> tuple[int, int, int]:
        """Take back all that a worker has, except the item that it is at, which takes too long.

        Args:
            hand: What the worker has. It is given nothing more.
            at: How many items of the first task it has evaluated after those it has answered.

        Returns:
            Job, offset and index of the item that takes too long.
        """
        task = hand.dealt.popleft()
        culprit = task.job, task.offset + at, task.indices[at]
        self._died_once.discard(culprit[:2])
        rest = task.piece(0, at), task.piece(at + 1, len(task.indices))
        self._take_all_back(hand, *[part for part in rest if len(part.indices)])
        return culprit

    def died(self, hand: WorkerQueue, *, began: bool) -> tuple[int, int, int] | None:
        """Take back all that a worker has that died.

        It may have died because of any item of its first task, if it `began` with it. From now
        on, each of these is evaluated alone.

        Returns:
            Job, offset and index of the item because of which two workers died, if there is
            one. A death counts only if no other item can be its cause: of several items that
            the worker had, most were not even begun.
        """
        first = hand.dealt.popleft() if hand.dealt and began else None
        self._take_all_back(hand)
        if first is None or not first.wanted:
            return None
        place = first.job, first.offset
        if first.alone and place in self._died_once:
            self._died_once.discard(place)
            return *place, first.indices[0]
        if len(first.indices) == 1:
            self._died_once.add(place)
        self._suspects += first.parts(1, alone=True)
        return None

    def let_go(self, hand: WorkerQueue) -> None:
        """Take back what is set aside for a worker that is given nothing more."""
        self._waiting.put_back(hand.own)
        hand.own.clear()
        hand.key = hand.following = None

    # Parts

    def _for_all(self) -> bool:
        """Return whether there is something that may be dealt to any worker."""
        return bool(self._urgent or self._again or self._waiting)

    def _receiver(self, hands: Sequence[H]) -> H | None:
        """Return the worker that has least to do, of those for which there is something."""
        for_all = self._for_all()
        # If less is left for each worker than this one would have, the rest is for the workers
        # that are done first, so that all end at the same time.
        share = self._left // len(hands) if hands else 0
        found = None
        for hand in hands:
            if found is not None and hand.items >= found.items:
                continue
            dealt = hand.dealt
            if not dealt:
                found = hand
            elif dealt[0].alone or not (for_all or hand.own):
                continue
            elif len(dealt) < 2:  # noqa: PLR2004 -- one to do, one to go on with
                found = hand
            elif len(dealt) < _MOST_DEALT:
                enough = _DEALT_SECONDS if len(dealt) < share else 2 * self._grain
                if hand.items * self._seconds < enough:
                    found = hand
        return found

    def _next(self, hand: WorkerQueue, hands: Sequence[WorkerQueue]) -> Task | None:
        """Return what a worker is given, `None` if all is set aside for other workers."""
        if self._hinted and not hand.own:
            self._set_aside(hands)  # also where it is given something else: it is told of this
        if self._urgent:
            return self._urgent.popleft()
        if self._again:
            return self._again.popleft()
        if hand.own:
            task = hand.own.popleft()
            self._set_aside(hands)  # now, because a worker is told what comes with each task
            return task
        if self._waiting:
            return self._waiting.take(hand, hands)
        if not hand.dealt:
            other = max(hands, key=lambda other: len(other.own))
            if other.own:
                return other.own.pop()  # the last, for which that worker has prepared least
        return None

    def _set_aside(self, hands: Sequence[WorkerQueue]) -> None:
        """Set tasks aside for the workers, for all of them together about `AHEAD` items.

        Each goes to the worker that has least. So they take turns, and what a worker is given
        lies close together.
        """
        if not self._waiting:
            return
        share = max(1, AHEAD // len(hands))
        held = [sum([len(task.indices) for task in hand.own]) for hand in hands]
        while self._waiting and (least := min(held)) < share:
            k = held.index(least)
            task = self._waiting.take(hands[k], hands)
            hands[k].own.append(task)
            held[k] += len(task.indices)

    def _dealt(self, hand: WorkerQueue, task: Task) -> Task:
        # A task out of turn does not make a worker leave what it is at.
        if not hand.own and not self._waiting.has(hand.key):
            hand.key = task.key
        self._numbers = task.number = (self._numbers + 1) & 0xFFFFFFFF
        hand.dealt.append(task)
        hand.items += len(task.indices)
        return task

    def _take_back(self, tasks: Collection[Task]) -> None:
        """Have `tasks` dealt again, before what was not dealt yet."""
        for task in reversed([task for task in tasks if task.wanted]):
            (self._suspects if task.alone else self._again).appendleft(task)
            self._left += not task.alone

    def _take_all_back(self, hand: WorkerQueue, *first: Task) -> None:
        """Take back the tasks `first`, and after them all that a worker has."""
        self._take_back([*first, *hand.dealt])
        hand.dealt.clear()
        hand.items = 0
        self.let_go(hand)
