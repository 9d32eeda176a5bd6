"""Caches whose items are read only once in a run."""

from collections import defaultdict
from typing import Any

from seqtools._core.sources import size_of
from seqtools._core.walk import is_stage, sources_of
from seqtools.instrument.checking.findings import Findings
from seqtools.instrument.checking.pickling import place

_REPEATING = ("shuffle", "cycle")
"""Stages that may have an item of their source several times, at other positions."""

_READING_ONCE = ("smap", "starmap", "batch", "prefetch")
"""Stages that read each position of their source once, if their items are read once."""


def check_caches(stages: list[Any], found: Findings) -> None:
    """Report caches after a stage that repeats items: they keep an item by its position.

    This reports only what is certain: until the last stage, each one reads a position once, and the
    cache has room for all items of the source, but not for those of all epochs. A smaller one may
    be there to read ahead.
    """
    readers: dict[int, list[Any]] = defaultdict(list)
    for stage in stages:
        for source in sources_of(stage):
            readers[id(source)].append(stage)
    for stage in stages:
        repeating = _repeating(stage)
        if repeating is None or not _is_read_once(stage, readers):
            continue
        room, total, one = _room(stage), size_of(stage), size_of(sources_of(repeating)[0])
        if one and one <= room and (total is None or room < total):
            what = (
                f"it keeps items by their position after {place(repeating)}, and each position is "
                "read once in a run: what it keeps is not read again"
            )
            found.add(what, place(stage), f"put the cache before {repeating._describe()}")


def _name(stage: Any) -> str:
    return stage._name or type(stage).__name__.lower()


def _room(cache: Any) -> int:
    """Return how many items `cache` keeps in memory, 0 if another store keeps them."""
    _, size, store = cache._args()
    return size if store is None else 0


def _repeating(cache: Any) -> Any:
    """Return the stage that repeats the items of `cache`; `None` if there is none, or no cache."""
    stage = cache
    if _name(cache) != "add_cache":
        return None
    while is_stage(stage) and stage._traits.elementwise and len(sources_of(stage)) == 1:
        stage = sources_of(stage)[0]
    return stage if is_stage(stage) and _name(stage) in _REPEATING else None


def _is_read_once(stage: Any, readers: dict[int, list[Any]]) -> bool:
    """Return whether each item of `stage` is read once in a run through the last stage."""
    while id(stage) in readers:
        if len(readers[id(stage)]) > 1 or _name(readers[id(stage)][0]) not in _READING_ONCE:
            return False
        [stage] = readers[id(stage)]
    return True
