"""Hints to stages upstream about the next reads, and groups of indices that share cached items.

Hints flow upstream along `_reads`, while values flow downstream. A stage may ignore a hint, and a
hint never changes a value.
"""

from bisect import bisect_left
from collections.abc import Hashable
from contextlib import suppress
from functools import partial
from operator import is_not
from typing import Any

from seqtools._core import readahead, single_flight
from seqtools._core.indices import Indices, as_array
from seqtools._core.sources import size_of
from seqtools._core.walk import is_stage, sources_of, traits_upstream, upstream

_LONGEST_RUN = 4096
"""Most indices examined for a group. Arbitrary: as many as a window has."""


class Hints:
    """Sends hints to a source, for one owner."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._owner = object()  # stages may keep it longer than the reader lives
        self._ended = False

    def __call__(self, indices: Indices) -> None:
        """Send the hint that `indices`, and no others, are read next, in that order."""
        if not isinstance(indices, range) and len(indices):
            run = range(indices[0], indices[0] + len(indices))
            # every stage computes fastest with a range
            indices = run if list(run) == list(indices) else as_array(indices)
        # `_reads` of a user's stage may fail; the reader of an item gets that error.
        with suppress(Exception):
            self._source._hint(self._owner, indices)
        if self._ended and len(indices):  # meanwhile, by another thread
            self.end()

    def end(self) -> None:
        """Send the hint that no reads follow."""
        self._ended = True
        self(range(0))

    def take_turns(self) -> None:
        """Let only one thread at a time evaluate a stage in this process.

        The function of a stage may not be thread-safe, and without hints it runs in one thread of
        a worker process. A cache does not read ahead if a stage upstream of it is also read past
        the cache, because those reads cannot wait.
        """
        single_flight.in_turns = True
        for stage in upstream(self._source):
            if stage._traits.acts_on_hints:
                behind = {id(s) for source in sources_of(stage) for s in upstream(source)}
                beside = {id(s) for s in upstream(self._source, past=partial(is_not, stage))}
                if behind & beside:
                    readahead.exclude(stage)


def hints(source: Any) -> Hints | None:
    """Return an object that sends hints to `source`, `None` if no stage would act on them."""
    return Hints(source) if traits_upstream(source).acts_on_hints else None


class GroupOf:
    """Finds groups: indices that read the same cached items upstream. Evaluates nothing."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._group: Hashable = None
        self._run = range(0)

    def __call__(self, i: int) -> tuple[Hashable, range]:
        """Return the group of index `i`, and a range of indices of that group.

        The group is `None` if no cached item is read, or several items of one cache.
        """
        if i not in self._run:
            self._group = self._read(range(i, i + 1))
            self._run = range(i, i + 1 if self._group is None else self._end(i))
        return self._group, self._run

    def _end(self, i: int) -> int:
        """Return the stop of the range that begins at `i`."""
        size = size_of(self._source)
        most = _LONGEST_RUN if size is None else min(_LONGEST_RUN, size - i)
        usual = len(self._run)  # files usually have equally many samples
        if (
            1 < usual <= most
            and self._same(i, usual)
            and (usual == most or not self._same(i, usual + 1))
        ):
            return i + usual
        n = 2
        while n <= most and self._same(i, n):
            n *= 2
        lengths = range(n // 2 + 1, min(n, most + 1))
        return i + n // 2 + bisect_left(lengths, True, key=lambda k: not self._same(i, k))  # noqa: FBT003

    def _same(self, i: int, n: int) -> bool:
        return self._read(range(i, i + n)) == self._group

    def _read(self, indices: Indices) -> Hashable:
        """Return all cached items that `indices` read, `None` if two of one cache."""
        read: dict[int, int] = {}
        left: list[tuple[Any, Indices]] = [(self._source, indices)]
        while left:
            stage, js = left.pop()
            if not is_stage(stage) or not len(js):
                continue
            if not stage._traits.keeps_items:
                try:
                    left += stage._reads(js)
                except Exception:  # noqa: BLE001 -- too many, or a stage of a user's that fails
                    return None
            elif any(j != read.setdefault(id(stage), int(js[0])) for j in js):
                return None
        return tuple(read.items()) or None


def groups(source: Any) -> GroupOf | None:
    """Return a `GroupOf` for `source`, `None` if no stage upstream caches items."""
    return GroupOf(source) if traits_upstream(source).keeps_items else None
