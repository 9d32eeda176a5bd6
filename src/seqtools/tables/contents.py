"""Hashes of the items of sources that are lists, such as of paths, for the keys of tables."""

import os
from pathlib import PurePath
from typing import Any, TypeAlias

from seqtools._core.walk import is_stage, upstream
from seqtools.tables.value_marks import digest, digest_of, is_of_numpy, packed

_BLOCKS = 64
"""Hashes of a source, each of as many items, to tell which differ. Arbitrary."""


Contents: TypeAlias = list[list[Any]]
"""For each source the length, and the hashes of its items, block by block."""


def contents_of(sequence: Any) -> Contents:
    """Return hashes of the items of each source upstream that is no stage.

    There are none of a source that is neither a list nor a tuple nor an array of texts, or of which
    an item is neither a number nor a text nor a path, nor a list of these.
    """
    return [_hashes(each) for each in upstream(sequence, plain=True) if not is_stage(each)]


def difference(theirs: Contents, ours: Contents) -> str:
    """Return in words which items of a source differ first, or ""."""
    for there, here in zip(theirs, ours, strict=False):
        if there == here:
            continue
        if len(there) < 2 or len(there) != len(here) or there[0] != here[0]:  # noqa: PLR2004 -- without hashes
            return "is of a source with other items"
        n, step = here[0], _step(here[0])
        k = next(
            k for k, pair in enumerate(zip(there[1:], here[1:], strict=True)) if len(set(pair)) > 1
        )
        first, last = k * step, min(n, (k + 1) * step) - 1
        which = f"item {first}" if first == last else f"one of the items {first} to {last}"
        return f"is of a source with other items, of which the first is {which}"
    return ""


def _step(n: int) -> int:
    return max(1, -(-n // _BLOCKS))


def _is_listed(source: Any) -> bool:
    is_array = is_of_numpy(source) and source.ndim > 0 and source.dtype.kind in "OSTU"
    return type(source) in {list, tuple} or is_array


def _hashes(source: Any) -> list[Any]:
    if type(source) is range:
        return [digest(source)]
    if not _is_listed(source):
        return []
    found: list[Any] = [len(source)]
    step = _step(len(source))
    for start in range(0, len(source), step):
        items = source[start : start + step]
        data = packed(_as_texts(items if isinstance(items, list | tuple) else items.tolist()))
        if data is None:
            return []
        found.append(digest_of(data))
    return found


def _as_texts(items: Any) -> Any:
    """Return a list in which paths are texts, also in rows of it."""
    if not any(issubclass(kind, PurePath | list | tuple) for kind in set(map(type, items))):
        return list(items)
    return [_as_text(each) for each in items]


def _as_text(item: Any) -> Any:
    if isinstance(item, PurePath):
        return os.fspath(item)
    if type(item) in {list, tuple} and any(isinstance(each, PurePath) for each in item):
        return [os.fspath(each) if isinstance(each, PurePath) else each for each in item]
    return item
