"""Hashes of the items of sources that are lists, such as of paths, for the keys of tables."""

import os
from pathlib import PurePath
from typing import Any, TypeAlias

from seqtools._core.walk import is_stage, upstream
from seqtools.tables.digests import PLAIN, digest, digest_of, packed
from seqtools.tables.names import name_of
from seqtools.tables.object_parts import is_of_numpy
from seqtools.tables.value_marks import Reader

_BLOCKS = 64
"""Hashes of a source, each of as many items, to tell which differ. Arbitrary."""
_DEEPEST = 4
"""Most lists and dicts in each other in which paths are looked for. Arbitrary."""


Contents: TypeAlias = list[list[Any]]
"""For each source the length, and the hashes of its items, block by block."""


def contents_of(sequence: Any) -> Contents:
    """Return hashes of the items of each source upstream that is no stage.

    There are none of a source that is neither a list nor a tuple nor an array of texts. Of objects
    that are not plain, only the first ones count, as for `Reader`, and only if they can be equal
    to others; of arrays in a list their shapes: they may be those of large files.
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
    step, reader = _step(len(source)), Reader("", with_arrays=False)
    for start in range(0, len(source), step):
        part = source[start : start + step]
        items = part if isinstance(part, list | tuple) else part.tolist()
        data = packed(items)
        if data is None:
            data = packed([_as_plain(each, _DEEPEST) for each in items])
        found.append(reader.mark(list(items)) if data is None else digest_of(data))
    return found


def _as_plain(item: Any, depth: int) -> Any:
    """Return an item in which paths are texts, scalars of numpy numbers, and objects names."""
    kind = type(item)
    if kind in PLAIN or not depth:
        return item
    if isinstance(item, PurePath):
        return os.fspath(item)
    if kind is dict:
        return {
            key: each if type(each) in PLAIN else _as_plain(each, depth - 1)
            for key, each in item.items()
        }
    if kind in {list, tuple} or (isinstance(item, tuple) and hasattr(kind, "_fields")):
        found = [_as_plain(each, depth - 1) for each in item]
        return found if kind is list else tuple(found)
    if is_of_numpy(item) and not hasattr(item, "__setitem__"):
        return item.item()
    # what is equal to itself alone may change when it is read, as by keeping what it has loaded
    return item if any("__eq__" in vars(cls) for cls in kind.__mro__[:-1]) else name_of(kind)
