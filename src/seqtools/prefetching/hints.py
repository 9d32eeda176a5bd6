"""Telling the stages upstream what is going to be read.

Hints flow upstream along `_reads`, while values flow downstream. A hint may be ignored,
and never changes a value.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from seqtools import flight
from seqtools.indices import Indices, TooManyIndices, as_array
from seqtools.sources import any_upstream, is_stage


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
        with suppress(TooManyIndices):
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
        flight.in_turns = True
        for stage in _upstream(self._source):
            if stage._acts_on_hints:
                behind = {id(s) for source in stage._sources() for s in _upstream(source)}
                beside = {id(s) for s in _upstream(self._source, without=stage)}
                if behind & beside:
                    stage._ignore_hints()


def hints(source: Any) -> Hints | None:
    """Return where to send hints about `source`, `None` if nobody would act on them."""
    return Hints(source) if any_upstream(source, "_acts_on_hints") else None


def _upstream(source: Any, without: Any = None) -> Iterator[Any]:
    """Yield the stages that `source` reads from, and itself, but for those behind `without`."""
    seen: set[int] = {id(without)}
    stack = [source]
    while stack:
        stage = stack.pop()
        if is_stage(stage) and id(stage) not in seen:
            seen.add(id(stage))
            yield stage
            stack += stage._sources()
