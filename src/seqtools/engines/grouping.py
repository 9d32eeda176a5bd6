"""Indices that wait to be dealt, kept together by what they share."""

from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from itertools import chain, islice, takewhile
from typing import TypeAlias

GroupOf: TypeAlias = Callable[[int], tuple[Hashable, range]]
"""Returns the group of an index, `None` if it has none, and a run of indices of that group."""

_FEW = 64
"""Indices after which it is seen that next to none share anything. Arbitrary."""
_PASS = 4096
"""Indices not to look at then. Arbitrary: to find the group of one takes up to 50 µs."""


class Claim:
    """The groups of a worker."""

    __slots__ = ("following", "group")

    def __init__(self) -> None:
        self.group: Hashable = None  # it is at
        self.following: Hashable = None  # it goes on with


class Groups:
    """What waits, by group, in the order in which the groups came."""

    def __init__(self, group_of: GroupOf | None) -> None:
        self._group_of = group_of
        self._waiting: dict[Hashable, deque[int]] = {}
        self._count = 0
        self._pass = 0  # so many indices are not looked at, as groups are small

    def __len__(self) -> int:
        """Return the number of indices."""
        return self._count

    def __iter__(self) -> Iterator[int]:
        """Yield the indices, group by group."""
        return chain.from_iterable(self._waiting.values())

    def add(self, indices: Sequence[int], longest: int) -> Sequence[int]:
        """Take `indices` on, and return those to be dealt in the order given.

        That is from where groups are smaller than blocks, of `longest` indices, or where
        next to none share anything. An index without a group ends it all: then there are
        no groups any more.
        """
        if self._pass:
            self._pass = max(0, self._pass - len(indices))
            return indices
        while len(indices) and self._group_of is not None:
            group, run = self._group_of(indices[0])
            if group is None:
                self._group_of = None
                return self._given_up(indices)
            if len(run) < longest:
                self._pass = longest
                return indices
            if self._count >= _FEW and self._count < 2 * len(self._waiting):
                self._pass = _PASS
                return self._given_up(indices)
            same = list(takewhile(run.__contains__, indices))
            self._waiting.setdefault(group, deque()).extend(same)
            self._count += len(same)
            indices = indices[len(same) :]
        return indices

    def take(self, claim: Claim, others: Sequence[Claim], n: int) -> list[int]:
        """Return `n` indices for a worker, of one group as far as possible."""
        taken: list[int] = []
        while len(taken) < n and self._waiting:
            if claim.group not in self._waiting:
                claim.group, claim.following = self._chosen(claim, others), None
            waiting = self._waiting[claim.group]
            count = min(n - len(taken), len(waiting))
            taken += [waiting.popleft() for _ in range(count)]
            self._count -= count
            if not waiting:
                del self._waiting[claim.group]
        if claim.following not in self._waiting:
            claim.following = self._after(claim, others)
        return taken

    def given(self, claim: Claim, i: int) -> None:
        """Note that a worker is given index `i`, which did not wait here."""
        if self._group_of is not None:
            claim.group = self._group_of(i)[0]

    def coming(self, claim: Claim, n: int) -> list[int]:
        """Return up to `n` indices that a worker is probably given next, of both its groups."""
        own, following = (self._waiting.get(key, ()) for key in (claim.group, claim.following))
        if not following:
            return list(islice(own, n))
        return [*islice(own, n // 2), *islice(following, n // 2)]

    def drop(self, indices: Collection[int]) -> set[int]:
        """Forget those of `indices` that are here, and return them."""
        dropped = set(self).intersection(indices)
        if dropped:
            kept = {key: [i for i in w if i not in dropped] for key, w in self._waiting.items()}
            self._waiting = {key: deque(left) for key, left in kept.items() if left}
            self._count -= len(dropped)
        return dropped

    def clear(self) -> None:
        """Forget everything."""
        self._waiting.clear()
        self._count = 0

    def _given_up(self, indices: Sequence[int]) -> Sequence[int]:
        indices = [*self, *indices]
        self.clear()
        return indices

    def _chosen(self, claim: Claim, others: Sequence[Claim]) -> Hashable:
        if claim.following in self._waiting:
            return claim.following
        free = self._free(others)
        return self._largest() if free is None else free

    def _after(self, claim: Claim, others: Sequence[Claim]) -> Hashable:
        """Return what a worker goes on with, `None` if that cannot be said yet."""
        if any(other.group is None for other in others):
            return None  # they choose first
        free = self._free([claim, *others])
        if free is None:  # the last one, with others perhaps
            held = {each.group for each in (claim, *others)}
            free = next((key for key in self._waiting if key not in held), None)
        return self._largest() if free is None and claim.group not in self._waiting else free

    def _free(self, claims: Iterable[Claim]) -> Hashable:
        """Return a group that nobody is at, `None` if it is the last in sight."""
        held = {key for claim in claims for key in (claim.group, claim.following)}
        free = list(islice((key for key in self._waiting if key not in held), 2))
        return free[0] if len(free) > 1 else None

    def _largest(self) -> Hashable:
        """Return the group with most to do, for all to end at the same time."""
        return max(self._waiting, key=lambda key: len(self._waiting[key]), default=None)
