"""The lengths of the stages of a pipeline in words, without changing what is looked at.

A length that was not asked for before is asked for again, unless code of the user's had to be
called for it. Whatever a stage of the user's raises costs its own place only.
"""

from typing import Any

from seqtools._core.lengths import forget, is_known
from seqtools._core.walk import is_stage, sources_of, traits_upstream, upstream

_MOST_MEASURED = 10_000
"""Stages to ask for lengths that are not known yet: some ten milliseconds."""

_PLAIN = (list, tuple, range, str, bytes, bytearray, dict)
"""Types of sources that tell their length without code of the user's."""


def is_plain(source: Any) -> bool:
    """Return whether to look at `source` calls no code of the user's."""
    kind = type(source)
    return kind in _PLAIN or (kind.__module__ == "numpy" and bool(getattr(source, "shape", None)))


def length_of(source: Any) -> str:
    """Return the length of a source that is no stage in words, if that is cheap."""
    return counted(len(source)) if is_plain(source) else ""


def counted(n: int) -> str:
    """Return a number of items in words."""
    return f"{n:,} item{'' if n == 1 else 's'}"


def lengths(stage: Any) -> dict[int, str]:
    """Return the lengths in words of `stage` and what it reads from, by identity."""
    stages: list[Any] = []
    for each in upstream(stage):
        stages.append(each)
        if len(stages) > _MOST_MEASURED:
            break
    few = len(stages) <= _MOST_MEASURED
    ours: set[int] = set()
    told: dict[int, str] = {}
    asked: list[Any] = []
    for each in stages:  # what is read first, so that nothing recurses
        try:
            known = is_known(each)
            if not (known or few):
                continue
            told[id(each)] = _length(each)
            if _is_ours(each, ours):
                ours.add(id(each))
                if not known:
                    asked.append(each)
        except Exception:  # noqa: BLE001 -- a stage of the user's
            told[id(each)] = "unknown length"
    forget(asked)  # a list may grow before it is read, as if nobody had looked
    return told


def _length(stage: Any) -> str:
    n = stage._length()
    if n is not None:
        return counted(n)
    return "unknown length" if traits_upstream(stage).unknown_length else "endless"


def _is_ours(stage: Any, ours: set[int]) -> bool:
    """Return whether asking for the length of `stage` calls no code of the user's."""
    if not type(stage).__module__.startswith("seqtools."):
        return False
    sources = sources_of(stage)
    return all(
        id(source) in ours if is_stage(source) else is_plain(source)
        # what reads from nothing may have the length of an argument
        for source in sources or (a for a in stage._args() or () if hasattr(a, "__len__"))
    )
