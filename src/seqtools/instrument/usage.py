"""Finds which items of a pipeline use an item of a source, from the source down to the last stage.

Each stage is visited once: which of its items use one of those that were found of its sources. A
stage tells it by `_users`, or its `_reads` are searched.
"""

from collections.abc import Iterator
from typing import Any

from seqtools._core.indices import ENDLESS, Indices, TooManyIndices
from seqtools._core.sources import size_of
from seqtools._core.walk import is_stage, sources_of, upstream

_BLOCK = 1 << 16
"""Indices of which the reads are searched at once. Arbitrary."""


def positions_of(sequence: Any, source: Any, j: int, stop: int) -> Any:
    """Return the indices of `sequence` below `stop` that use item `j` of `source`, ascending.

    Args:
        sequence: A stage.
        source: A source upstream, or `sequence`.
        j: An index of it.
        stop: At most the length of `sequence`.
    """
    import numpy as np

    if j >= ENDLESS:  # there is no such item
        return np.empty(0, np.int64)
    stages = _leading_to(source, sequence)
    bounds = _bounds(sequence, stages, stop)
    used = {id(source): np.array([j], np.int64)}
    for stage in stages:
        n = bounds.get(id(stage), 0)
        parts = [np.empty(0, np.int64)]
        for number, each in enumerate(sources_here(stage)):
            js = used.get(id(each))
            if js is not None and js.size:
                parts.append(_users(stage, number, each, js, n))
        found = np.unique(np.concatenate(parts))
        used[id(stage)] = found[(found >= 0) & (found < n)]
    found = used[id(sequence)]
    return found[found < stop]


def sources_here(stage: Any) -> tuple[Any, ...]:
    """Return the sources of `stage`; of one that has none, the iterable that it reads."""
    found = sources_of(stage)
    if found or not is_stage(stage):
        return found
    return tuple(source for source, _, _ in stage._made_from(range(1)))


def ends_of(sequence: Any) -> list[Any]:
    """Return the sources upstream that read from nothing, each once, without lists of indices."""
    found: dict[int, Any] = {}
    for stage in upstream(sequence):
        made = [source for source, _, _ in stage._made_from(range(0))] or sources_here(stage)
        for source in made or [stage]:
            if source is stage or not is_stage(source):
                found[id(source)] = source
    return list(found.values())


def _leading_to(source: Any, sequence: Any) -> list[Any]:
    """Return the stages between `source` and `sequence`, which is the last, sources first."""
    leading: dict[int, Any] = {}
    for stage in upstream(sequence):
        if stage is not source and any(
            each is source or id(each) in leading for each in sources_here(stage)
        ):
            leading[id(stage)] = stage
    return list(leading.values())


def _bounds(sequence: Any, stages: list[Any], stop: int) -> dict[int, int]:
    """Return how many items of each stage can be needed, at most."""
    bounds = {id(sequence): stop}
    kept = {id(stage) for stage in stages}
    for stage in reversed(stages):
        n = bounds.get(id(stage), 0)
        for source in sources_here(stage):
            if id(source) in kept:
                bound = _bound(stage, source, n)
                bounds[id(source)] = max(bounds.get(id(source), 0), bound)
    return bounds


def _bound(stage: Any, source: Any, n: int) -> int:
    size = size_of(source)
    if stage._traits.elementwise and not stage._traits.recovers:  # which may read others
        return n if size is None else min(n, size)
    if size is not None and n > _BLOCK:
        return size
    most = max((_end(stage, source, block) for block in _blocks(n)), default=0)
    return most if size is None else min(most, size)


def _end(stage: Any, source: Any, block: range) -> int:
    """Return an index that is past all items of `source` from which items of `stage` are made."""
    try:
        made = stage._made_from(block)
    except TooManyIndices:
        if len(block) == 1:
            raise
        middle = block.start + len(block) // 2
        halves = range(block.start, middle), range(middle, block.stop)
        return max(_end(stage, source, half) for half in halves)
    ends = [
        int(max(js[0], js[-1]) if isinstance(js, range) else js.max())
        for each, js, _ in made
        if each is source and js is not None and len(js)
    ]
    return max(ends, default=-1) + 1


def _blocks(n: int) -> Iterator[range]:
    return (range(start, min(n, start + _BLOCK)) for start in range(0, n, _BLOCK))


def _users(stage: Any, number: int, source: Any, js: Any, n: int) -> Any:
    """Return the indices of `stage` below `n` that read one of `js` of its source."""
    import numpy as np

    if not sources_of(stage):  # over an iterable
        return js
    known = stage._users(number, js, n)
    if known is not None:
        return known
    if stage._traits.elementwise:
        # a source that is read at all is read at the same index
        named = any(each is source for each, _ in stage._reads(range(min(1, n))))
        return js if named else js[:0]
    found = [i for block in _blocks(n) for i in _searched(stage, source, js, block)]
    return np.array(found, np.int64)


def _searched(stage: Any, source: Any, js: Any, block: range) -> Iterator[int]:
    """Yield the indices in `block` that read one of `js`, by halving it."""
    left = [block]
    while left:
        part = left.pop()
        if not part or not _reads_one(stage, source, js, part):
            continue
        if len(part) == 1:
            yield part[0]
        else:
            middle = (part[0] + part[-1] + 1) // 2
            left += [range(middle, part[-1] + 1), range(part[0], middle)]


def _reads_one(stage: Any, source: Any, js: Any, indices: range) -> bool:
    try:
        reads = stage._reads(indices)
    except TooManyIndices:
        if len(indices) > 1:
            return True
        raise
    return any(each is source and _has_one(read, js) for each, read in reads)


def _has_one(read: Indices, js: Any) -> bool:
    """Return whether one of the array `js` is in `read`."""
    import numpy as np

    if not len(read):
        return False
    if isinstance(read, range):
        steps = (js - read.start) // read.step
        there = (js - read.start) % read.step == 0
        return bool((there & (steps >= 0) & (steps < len(read))).any())
    return bool(np.isin(read, js).any())


def stop_of(sequence: Any, stop: int | None) -> int:
    """Return where to stop; raise `ValueError` if `sequence` is endless and `stop` is `None`."""
    n = size_of(sequence)
    if n is None and stop is None:
        message = (
            f"{sequence._describe()} has no length, so uses() needs to know where to stop: give "
            "it stop=, the number of items to search"
        )
        raise ValueError(message)
    return min(ENDLESS if n is None else n, ENDLESS if stop is None else stop)
