"""The lengths of the stages of a pipeline in words.

Looking changes nothing: a length that was not known before is asked for again when it is needed.
"""

from itertools import islice
from typing import Any

from seqtools._core.lengths import is_known, unread
from seqtools._core.walk import sources_of, traits_upstream, upstream

_MOST_MEASURED = 10_000
"""Stages to ask for lengths that are not known yet: some ten milliseconds."""

_PLAIN = (list, tuple, range, str, bytes, bytearray, dict)
"""Types of sources whose length needs no code of the user."""


def is_plain(source: Any) -> bool:
    """Return whether looking at `source` calls no code of the user."""
    kind = type(source)
    return kind in _PLAIN or (kind.__module__ == "numpy" and bool(getattr(source, "shape", None)))


def length_of(source: Any) -> str:
    """Return the length of a source that is no stage, or "" if only code of the user knows it."""
    return counted(len(source)) if is_plain(source) else ""


def counted(n: int) -> str:
    """Return a number of items in words."""
    return f"{n:,} item{'' if n == 1 else 's'}"


def lengths(stage: Any) -> dict[int, str]:
    """Return the lengths in words of `stage` and the stages upstream, by identity."""
    stages = list(islice(upstream(stage), _MOST_MEASURED + 1))
    few = len(stages) <= _MOST_MEASURED
    found: dict[int, str] = {}
    waiting: set[int] = set()  # stages whose length may need a scan
    with unread(stages):  # a list may grow before it is read
        for each in stages:  # sources first, so that nothing recurses
            if not is_known(each) and _needs_scan(each, waiting):
                waiting.add(id(each))
                continue
            try:
                if few or is_known(each):
                    found[id(each)] = _length(each)
            except Exception:  # noqa: BLE001 -- code of users may raise anything
                found[id(each)] = "unknown length"
    return found


def _needs_scan(stage: Any, waiting: set[int]) -> bool:
    """Return whether the length of `stage` may be one that only reading items tells."""
    if stage._traits.scans and not stage._is_scanned():
        return True
    return bool(waiting) and any(id(source) in waiting for source in sources_of(stage))


def _length(stage: Any) -> str:
    n = stage._length()
    if n is not None:
        return counted(n)
    return "unknown length" if traits_upstream(stage).unknown_length else "endless"
