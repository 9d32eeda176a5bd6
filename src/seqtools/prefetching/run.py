"""Runs: consecutive places of a cursor that are planned, sent or have arrived together."""

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
    """Consecutive places of a cursor, and the values that arrived for them.

    From its arrival until it is read, a value is in its run and nowhere else. A run does not grow:
    when a part of it arrives, that part becomes a separate run. So arriving is one assignment,
    reading is one `popleft`, and an interrupt can only come before or after it.

    Args:
        position: The first place.
        indices: The index to read at each place.
    """

    __slots__ = ("back", "failed", "indices", "job", "position", "rank", "start", "stop", "values")

    def __init__(self, position: int, indices: Sequence[int]) -> None:
        self.position, self.indices = position, indices
        self.stop = position + len(indices)
        self.job: Job | None = None
        """The job that evaluates it, `None` if there is none yet."""
        self.start = 0
        """The offset of its first item in that job."""
        self.values: deque[Any] | None = None
        """Values that have arrived and were not read; `None` before they arrive."""
        self.rank = 0
        """The number of its arrival, in the order of arrivals of all runs."""
        self.failed = False
        """Whether it is a single item that failed or is the end, so that it has no value."""
        self.back: deque[Any] | None = None
        """Values that are being dropped, in reverse order. They still count as unread."""

    def __repr__(self) -> str:
        """Return its position, indices and state."""
        state = "planned" if self.planned else "sent" if self.values is None else f"{self.unread}"
        return f"Run({self.position}, {self.indices!r}: {state})"

    @property
    def planned(self) -> bool:
        """Whether it must still be sent to an engine."""
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
        """Whether all its items were read."""
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
        """Move the unread values from `values` to `back`, while a reader may be reading.

        `unread` never increases, and decreases only by what the reader reads.
        """
        if self.values:
            if self.back is None:
                self.back = deque()
            with suppress(IndexError):  # the reader takes from the other end
                self.back.extend(map(deque.pop, repeat(self.values, len(self.values))))

    def rest(self) -> "Run":
        """Return a new run for the unread places, to be planned again."""
        n = self.unread
        return Run(self.stop - n, self.indices[len(self.indices) - n :])


def marker(position: int) -> Run:
    """Return a run without places, which marks all places before `position` as read."""
    run = Run(position, range(0))
    run.values = NOTHING
    return run


def common(a: Sequence[int], b: Sequence[int]) -> int:
    """Return the length of the common beginning of `a` and `b`."""
    n = min(len(a), len(b))
    if isinstance(a, range) and isinstance(b, range) and (a.step == b.step or n == 1):
        return n if n and a[0] == b[0] else 0
    k = first_of([a[k] != b[k] for k in range(n)])
    return n if k < 0 else k


def first_of(found: Sequence[bool]) -> int:
    """Return the first place that is true, -1 if there is none.

    `found` is a list, because the garbage collector closes an unfinished generator, and swallows
    an interrupt that comes at that moment.
    """
    return found.index(True) if True in found else -1
