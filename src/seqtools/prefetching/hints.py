"""Telling the stages upstream what is going to be read, and learning what items share.

Hints flow upstream along `_reads`, while values flow downstream. A hint may be ignored,
and never changes a value.
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
"""Indices that are looked at for what they share. Arbitrary: as many as a window has."""


class Hints:
    """Where to send hints, on behalf of one owner."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._owner = object()  # what has to do with an owner may outlive it, and its source

    def __call__(self, indices: Indices) -> None:
        """Say that `indices` come next, in that order, and nothing else."""
        if not isinstance(indices, range) and len(indices):
            run = range(indices[0], indices[0] + len(indices))
            # a range is what every stage can do arithmetic on at once
            indices = run if list(run) == list(indices) else as_array(indices)
        # A stage of a user's may fail to say what it reads; who reads an item is told of that.
        with suppress(Exception):
            self._source._hint(self._owner, indices)

    def end(self) -> None:
        """Say that nothing comes any more."""
        self(range(0))

    def take_turns(self) -> None:
        """Have each stage be evaluated by one thread at a time in this process.

        The function of a stage may be one that must not run in two threads at once, as
        they never did in a process before hints. A stage that is read past the cache
        that would wait for its turn is not read ahead at all.
        """
        single_flight.in_turns = True
        for stage in upstream(self._source):
            if stage._traits.acts_on_hints:
                behind = {id(s) for source in sources_of(stage) for s in upstream(source)}
                beside = {id(s) for s in upstream(self._source, past=partial(is_not, stage))}
                if behind & beside:
                    readahead.exclude(stage)


def hints(source: Any) -> Hints | None:
    """Return where to send hints about `source`, `None` if nobody would act on them."""
    return Hints(source) if traits_upstream(source).acts_on_hints else None


class GroupOf:
    """Which cached items upstream an index reads: indices that read the same are a group.

    Nothing is evaluated to find out.
    """

    def __init__(self, source: Any) -> None:
        self._source = source
        self._group: Hashable = None
        self._run = range(0)

    def __call__(self, i: int) -> tuple[Hashable, range]:
        """Return the group of index `i`, and a run of indices of that group.

        The group is `None` if nothing cached is read, or several items of one cache.
        """
        if i not in self._run:
            self._group = self._read(range(i, i + 1))
            self._run = range(i, i + 1 if self._group is None else self._end(i))
        return self._group, self._run

    def _end(self, i: int) -> int:
        """Return where the run that begins with `i` ends."""
        size = size_of(self._source)
        most = _LONGEST_RUN if size is None else min(_LONGEST_RUN, size - i)
        usual = len(self._run)  # files are mostly of one size
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
    """Return what groups indices by what is cached upstream, `None` if nothing is."""
    return GroupOf(source) if traits_upstream(source).keeps_items else None
