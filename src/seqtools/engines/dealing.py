"""Which worker is given which indices, and who is to blame when one dies.

A state machine without processes: `process` sends what it deals, and tells it what came
of it.
"""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, islice, repeat
from typing import TypeVar

from seqtools.engines.asking import LONGEST_LIST
from seqtools.engines.base import AHEAD
from seqtools.engines.grouping import Claim, GroupOf, Groups
from seqtools.engines.reserves import Reserves

_BLOCK_SECONDS = 0.002
"""Work in a block: long against the 20 µs that a message costs."""
_LEAST_SECONDS = 0.0005
"""Work in a block where less is left: that one worker ends earlier by as much is no loss.
Measured: trivial items take 1.4 µs with 0.2 ms, 1.2 with this, 1.35 with 1 ms."""
_QUEUE_SECONDS = 0.02
"""Work given to a worker beforehand: twice as long as the keeper sleeps."""
_MOST_BLOCKS = 16
"""Blocks given to a worker beforehand: as many as the smallest pipe takes."""


class Block:
    """Indices given to a worker together."""

    __slots__ = ("alone", "answered", "indices", "number")

    def __init__(self, number: int, indices: Sequence[int], *, alone: bool) -> None:
        self.number, self.indices, self.alone = number, indices, alone
        self.answered = 0  # so many of the first indices

    def left(self) -> Sequence[int]:
        """Return the indices that are not answered."""
        return self.indices[self.answered :]


class Hand(Claim):
    """What a worker was given and has not answered."""

    __slots__ = ("blocks",)

    def __init__(self) -> None:
        super().__init__()
        self.blocks: deque[Block] = deque()

    def queued(self) -> int:
        """Return the number of indices that are not answered."""
        return sum(len(block.indices) - block.answered for block in self.blocks)


H = TypeVar("H", bound=Hand)


class Dealer:
    """Deals indices to workers, a few milliseconds of work at a time."""

    def __init__(self, group_of: GroupOf | None = None, *, hinted: bool = False) -> None:
        self._hinted = hinted  # workers are told what comes next
        self._front: deque[int] = deque()  # to be dealt before all others
        self._reserves = Reserves(AHEAD)
        self._backlog: deque[int] = deque()
        self._groups = Groups(group_of)  # to be dealt behind the backlog
        self._suspects: deque[int] = deque()  # to be evaluated alone
        self._died_once: set[int] = set()  # indices over which a worker died
        self._numbers = 0
        self._seconds = _BLOCK_SECONDS  # an item takes, by moving average
        self._longest = 1  # a block may be
        self._least = 1  # a block is, where there are so many
        self.full = False
        """Whether no worker takes more for now."""

    def __bool__(self) -> bool:
        """Return whether something is to be dealt."""
        return bool(self._left() or self._suspects)

    def _left(self) -> int:
        """Return how many indices are to be dealt, but for suspects."""
        return len(self._front) + len(self._reserves) + len(self._backlog) + len(self._groups)

    def add(self, indices: Sequence[int], *, first: bool = False) -> None:
        """Take `indices` on, before all others if `first`."""
        if first:
            self._front.extendleft(reversed(indices))
        else:
            self._backlog.extend(self._groups.add(indices, self._longest))

    def suspect(self, indices: Sequence[int]) -> None:
        """Take `indices` on to be evaluated one by one, as one of them does harm."""
        self._suspects.extend(indices)

    def cancel(self, indices: Collection[int]) -> Collection[int]:
        """Return those of `indices` that were not dealt, and forget them."""
        unwanted = set(indices)
        self._front, dropped = _without(self._front, unwanted)
        self._backlog, others = _without(self._backlog, unwanted)
        self._suspects, suspects = _without(self._suspects, unwanted)
        waiting = self._reserves.drop(unwanted) | self._groups.drop(unwanted)
        return dropped | others | suspects | waiting

    def withdraw(self) -> list[int]:
        """Return all that was not dealt, and forget it, but for what may have killed a worker."""
        parts = self._front, self._reserves, self._backlog, self._groups
        withdrawn = list(chain.from_iterable(parts))
        for part in parts:
            part.clear()
        return withdrawn

    def clear(self) -> None:
        """Forget all that was not dealt."""
        self.withdraw()
        self._suspects.clear()

    def ahead(self, hand: Hand, block: Block, n: int) -> Sequence[int]:
        """Return the indices of `block` and up to `n` behind it.

        They are those that `hand` is given next, as far as that is known.
        """
        own = self._reserves.coming(hand, n)
        others = () if own else chain(self._front, self._backlog)
        following = list(islice(chain(own, others, self._groups.coming(hand, n)), n))
        last = block.indices[-1]
        run = range(last + 1, last + 1 + len(following))
        if isinstance(block.indices, range) and following == list(run):
            return range(block.indices[0], run.stop)
        return [*block.indices[:n], *following]

    def deal(self, hands: Sequence[H]) -> Iterator[tuple[H, Block]]:
        """Yield blocks for workers that have little left, the one with the least first."""
        self.full = False
        while self._suspects:
            idle = next((hand for hand in hands if not hand.blocks), None)
            if idle is None:
                return
            yield idle, self._block(idle, [self._suspects.popleft()], alone=True)
        while left := self._left():
            takers = [hand for hand in hands if self._takes_more(hand)]
            if not takers:
                self.full = True
                return
            # no more than a fair share of what is there, so that all end at the same time
            share = -(-left // (2 * len(hands)))
            length = min(self._longest, max(share, self._least), left)
            hand = min(takers, key=Hand.queued)
            if waiting := self._front or self._backlog_for(hands):
                length = min(length, len(waiting))
                indices = list(map(deque.popleft, repeat(waiting, length)))
                self._groups.given(hand, indices[-1])
            elif self._reserves:
                indices = self._reserves.take(hand, length)
                self._groups.given(hand, indices[-1])
            else:
                others = [other for other in hands if other is not hand]
                indices = self._groups.take(hand, others, length)
            yield hand, self._block(hand, indices, alone=False)

    def refused(self, hand: Hand) -> None:
        """Take back the last block of a worker, which could not be sent."""
        block = hand.blocks.pop()
        (self._suspects if block.alone else self._front).extendleft(reversed(block.indices))

    def answered(self, hand: Hand, count: int, seconds: float) -> Sequence[int]:
        """Return the next `count` indices of a worker, which took it `seconds`."""
        block = hand.blocks[0]
        indices = block.left()[:count]
        self._seconds += 0.2 * (seconds / count - self._seconds)
        seconds = max(self._seconds, 1e-8)
        self._longest = min(2 * self._longest, max(1, int(_BLOCK_SECONDS / seconds)))
        self._least = max(1, int(_LEAST_SECONDS / seconds))
        block.answered += count
        if block.answered == len(block.indices):
            hand.blocks.popleft()
        if self._died_once:
            self._died_once.difference_update(indices)
        return indices

    def gave_up(self, hand: Hand, index: int) -> None:
        """Take back all that a worker did not answer but `index`, for which it takes too long."""
        if self._died_once:
            self._died_once.discard(index)
        for block in reversed(hand.blocks):
            left = [i for i in block.left() if i != index]
            (self._suspects if block.alone else self._front).extendleft(reversed(left))
        hand.blocks.clear()

    def died(self, hand: Hand, *, began: bool) -> int | None:
        """Take back what a worker that died did not answer.

        It may have died over any item of its first block, if it `began` at all. These are
        dealt alone from now on. Returns the index over which two workers died, if any. The
        first of these deaths counts only if there was no other item that could be its cause:
        of several, most were not even begun.
        """
        blocks = hand.blocks
        first = blocks.popleft() if blocks and began else None
        for block in reversed(blocks):
            if block.alone:
                self._suspects.extendleft(block.left())
            else:
                self._front.extendleft(reversed(block.left()))
        blocks.clear()
        if first is None:
            return None
        left = first.left()
        if first.alone and left[0] in self._died_once:
            self._died_once.discard(left[0])
            return left[0]
        if len(left) == 1:
            self._died_once.update(left)
        self._suspects.extend(left)
        return None

    def _backlog_for(self, hands: Sequence[Hand]) -> deque[int]:
        """Return what may be dealt to any of `hands`, once some is set aside for each."""
        if self._hinted and self._longest < AHEAD:
            self._reserves.fill(hands, self._backlog, self._longest)
        return deque() if self._reserves else self._backlog

    def _takes_more(self, hand: Hand) -> bool:
        if len(hand.blocks) < 2:  # noqa: PLR2004 -- one to do, one to go on with
            return not any(block.alone for block in hand.blocks)
        if self._left() < self._longest:
            return False  # more will have come by the time that it needs some
        enough = hand.queued() * self._seconds > _QUEUE_SECONDS
        return not enough and len(hand.blocks) < _MOST_BLOCKS

    def _block(self, hand: Hand, indices: Sequence[int], *, alone: bool) -> Block:
        run = range(indices[0], indices[0] + len(indices))
        if len(indices) == 1 or indices == list(run):
            indices = run
        elif len(indices) > LONGEST_LIST:
            self._front.extendleft(reversed(indices[LONGEST_LIST:]))
            indices = indices[:LONGEST_LIST]
        self._numbers = (self._numbers + 1) & 0xFFFFFFFF
        block = Block(self._numbers, indices, alone=alone)
        hand.blocks.append(block)
        return block


def _without(indices: deque[int], unwanted: set[int]) -> tuple[deque[int], set[int]]:
    """Return `indices` but for those that are `unwanted`, and these."""
    dropped = unwanted.intersection(indices)
    return deque(i for i in indices if i not in dropped) if dropped else indices, dropped
