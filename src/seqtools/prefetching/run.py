"""Runs: consecutive places of what a reader reads, planned, sent or arrived together."""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import count, repeat
from typing import Any

from seqtools.engines.base import Job

_ranks = count(1)

NOTHING: deque[Any] = deque()
"""The values of a run that was read. Nothing is ever added to it."""


class Run:
    """Consecutive places of a cursor, and what arrived for them.

    A value lies in its run from its arrival until it is read, and nowhere else. A run does not
    grow: when a part of it arrives, that part becomes a run of its own. So arriving is one
    assignment and reading is one `popleft`, and an interrupt can only come before or after it.

    Args:
        position: The first place.
        indices: What is read at these places.
    """

    __slots__ = ("back", "failed", "indices", "job", "position", "rank", "start", "stop", "values")

    def __init__(self, position: int, indices: Sequence[int]) -> None:
        self.position, self.indices = position, indices
        self.stop = position + len(indices)
        self.job: Job | None = None
        """Which job evaluates it, once one does."""
        self.start = 0
        """Where it begins in that job."""
        self.values: deque[Any] | None = None
        """What arrived and was not read; `None` before it arrives."""
        self.rank = 0
        """The place of its arrival among those of all runs."""
        self.failed = False
        """Whether it is a single item that has no value."""
        self.back: deque[Any] | None = None
        """Values that are being dropped, in reversed order. They still count as unread."""

    def __repr__(self) -> str:
        """Return where it is, and how far it has come."""
        state = "planned" if self.planned else "sent" if self.values is None else f"{self.unread}"
        return f"Run({self.position}, {self.indices!r}: {state})"

    @property
    def planned(self) -> bool:
        """Whether it is still to be sent to an engine."""
        return self.values is None and (self.job is None or not self.job.sent)

    @property
    def unread(self) -> int:
        """The number of its places that were not read."""
        values = self.values
        if values is None:
            return self.stop - self.position
        return len(values) + len(self.back) if self.back else len(values)

    @property
    def over(self) -> bool:
        """Whether all of it was read."""
        return self.values is not None and not self.values and not self.back

    def part(self, lo: int, hi: int) -> "Run":
        """Return a run for the places from `lo` to `hi` of this one, evaluated by the same job."""
        run = Run(self.position + lo, self.indices[lo:hi])
        run.job, run.start = self.job, self.start + lo
        return run

    def with_values(self, values: Sequence[Any], *, failed: bool = False) -> "Run":
        """Return this run, with `values` for all its places."""
        self.failed, self.rank = failed, next(_ranks)
        self.values = deque(values)
        return self

    def find(self, i: int) -> int:
        """Return the offset of index `i` among the unread places, -1 if it is not there."""
        first = len(self.indices) - self.unread
        indices = self.indices
        if isinstance(indices, range):
            k = indices.index(i) if i in indices else -1
        else:
            k = first_of([indices[k] == i for k in range(first, len(indices))])
            k += first if k >= 0 else 0
        return k if k >= first else -1

    def take_back(self) -> None:
        """Take what was not read away from a reader, who may be reading it at this moment.

        It lies in `back` then. `unread` is never more than before, and less only by what is read.
        """
        if self.values:
            if self.back is None:
                self.back = deque()
            with suppress(IndexError):  # the reader takes from the other end
                self.back.extend(map(deque.pop, repeat(self.values, len(self.values))))

    def rest(self) -> "Run":
        """Return a new run for what was not read, which is planned again."""
        n = self.unread
        return Run(self.stop - n, self.indices[len(self.indices) - n :])


def marker(position: int) -> Run:
    """Return a run without places, which says that all places before `position` were read."""
    run = Run(position, range(0))
    run.values = NOTHING
    return run


def common(a: Sequence[int], b: Sequence[int]) -> int:
    """Return the number of indices that `a` and `b` both begin with."""
    n = min(len(a), len(b))
    if isinstance(a, range) and isinstance(b, range) and (a.step == b.step or n == 1):
        return n if n and a[0] == b[0] else 0
    k = first_of([a[k] != b[k] for k in range(n)])
    return n if k < 0 else k


def first_of(found: Sequence[bool]) -> int:
    """Return the first place where something was found, -1 if there is none.

    It takes a list. A generator that is not used up is ended by the garbage collector, which
    swallows an interrupt that comes just then.
    """
    return found.index(True) if True in found else -1
