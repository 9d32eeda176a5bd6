"""Where items come from: a walk over what the stages read, which evaluates nothing.

Each stage is visited once, after all that read from it, with all indices that they need of it; so a
pipeline in which paths meet again takes no longer than one without.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from seqtools._core.walk import is_stage, upstream

LIMIT = 1 << 22
"""Most items of one stage that are followed. Arbitrary: 32 MB for each stage."""
_LIMIT_IN_MESSAGES = 100_000
"""The same for the message of an error, which may be one of many. Arbitrary: some milliseconds."""


class TooMany(ValueError):  # noqa: N818 -- a signal that never reaches users
    """An item is made of more items than are followed."""


class Origin(NamedTuple):
    """An item of a source from which an item of a pipeline is made."""

    source: Any
    """The source: a list, an array, a dataset, an iterable, or a stage that reads from nothing."""
    index: int | None  # type: ignore[assignment]  # a tuple has a method of this name
    """The index of the item in the source; `None` if a value decides which one is read."""
    name: str
    """The text or path that the item is, or the first one in it; empty if there is none."""
    certain: bool
    """Whether reading the item of the pipeline reads this one, whatever the values are."""

    def __repr__(self) -> str:
        """Return one line, without the items of the source."""
        name = f" {self.name!r}" if self.name else ""
        item = "any item" if self.index is None else f"item {self.index}"
        return f"<{'' if self.certain else 'perhaps '}{item} of {kind_of(self.source)}{name}>"


class _Needed:
    """What is needed of one source."""

    __slots__ = ("certain", "indices", "source", "unknown")

    def __init__(self, source: Any) -> None:
        self.source = source
        self.indices: list[Any] = []
        self.certain: list[bool] = []  # of each array of indices
        self.unknown = False  # whether a value decides about some indices

    def add(self, indices: Any, certain: bool) -> None:  # noqa: FBT001 -- of this module
        if indices is None:
            self.unknown = True
        elif len(indices):
            self.indices.append(indices)
            self.certain.append(certain)

    def parts(self, limit: int) -> list[tuple[Any, bool]]:
        """Return the indices, each once, that are certain, and those that are not."""
        certain = _distinct([each for each, is_so in self._pairs() if is_so], limit)
        others = _distinct([each for each, is_so in self._pairs() if not is_so], limit)
        if certain.size and others.size:
            import numpy as np

            others = others[~np.isin(others, certain)]
        return [(js, is_so) for js, is_so in ((certain, True), (others, False)) if js.size]

    def _pairs(self) -> Any:
        return zip(self.indices, self.certain, strict=True)


def origins_of(stage: Any, i: int) -> list[Origin]:
    """Return the items of sources from which item `i` of `stage` is made, in the order of reading.

    Args:
        stage: A stage.
        i: An index from 0 up.

    Raises:
        TooMany: If more than 2**22 items of a stage are needed.
    """
    found: list[Origin] = []
    for needed in _walk(stage, i, LIMIT):
        source = needed.source
        for js, certain in needed.parts(LIMIT):
            given = js.tolist()
            named = zip(given, names_of(source, given), strict=True)
            found += [Origin(source, j, name, certain) for j, name in named]
        if needed.unknown:
            found.append(Origin(needed.source, None, "", False))  # noqa: FBT003 -- a field
    return found


def _walk(stage: Any, i: int, limit: int) -> list[_Needed]:
    """Return what is needed of each source that reads from nothing, in the order of reading.

    Raises:
        TooMany: If more than `limit` items of a stage are needed.
    """
    order = list(upstream(stage, plain=True))
    places = {id(each): place for place, each in enumerate(order)}
    needed = {id(stage): _Needed(stage)}
    needed[id(stage)].add(range(i, i + 1), True)  # noqa: FBT003 -- whether it is certain
    ends: list[tuple[int, _Needed]] = []
    each: Any
    for each in reversed(order):  # readers before their sources
        here = needed.pop(id(each), None)
        if here is None:
            continue
        made_from = _made_from(each, here, limit)
        for source, js, certain in made_from:
            there = needed.get(id(source))
            if there is None:
                there = _Needed(source)
                if places.get(id(source), len(order)) < places[id(each)]:
                    needed[id(source)] = there
                else:  # an iterable, which is no source of a stage but an argument
                    ends.append((places[id(each)], there))
            there.add(js, certain)
        if not made_from:
            ends.append((places[id(each)], here))
    return [here for _, here in sorted(ends, key=lambda end: end[0])]


def _made_from(stage: Any, needed: _Needed, limit: int) -> list[tuple[Any, Any, bool]]:
    """Return what a stage reads for all that is needed of it; nothing if it is a source."""
    if not is_stage(stage):
        return []
    made: list[tuple[Any, Any, bool]] = []
    for js, certain in needed.parts(limit):
        made += [(s, k, certain and is_so) for s, k, is_so in stage._made_from(js)]
    if needed.unknown:
        made += [(source, None, False) for source, _, _ in stage._made_from(range(0))]
        made += [(source, None, False) for source in stage._sources()]
    return made


def _distinct(parts: list[Any], limit: int) -> Any:
    """Return the indices in ranges and arrays, each once, where it occurs first."""
    import numpy as np

    if sum(len(part) for part in parts) > limit:
        raise TooMany
    arrays = [
        np.arange(part.start, part.stop, part.step) if isinstance(part, range) else part
        for part in parts
    ]
    empty = np.empty(0, np.int64)
    flat = np.concatenate([empty, *(np.asarray(each, np.int64).ravel() for each in arrays)])
    if flat.size > 1:
        _, first = np.unique(flat, return_index=True)
        first.sort()
        flat = flat[first]
    return flat


# In words


def names_of(source: Any, indices: Sequence[int]) -> list[str]:
    """Return what `source` calls its items at `indices`; empty texts if it has no names.

    A list, a tuple or an array has names: the texts and paths that are its items, or the first of
    them in records, which are tuples, lists, dicts and instances of dataclasses.
    """
    numpy = sys.modules.get("numpy")
    plain = type(source) in {list, tuple} or (
        numpy is not None
        and type(source) is numpy.ndarray
        and source.ndim == 1
        and source.dtype.kind in "OUT"
    )
    if not plain:  # reading from it may evaluate something
        return [""] * len(indices)
    return [_name(source[j]) if j < len(source) else "" for j in indices]


def _name(item: Any) -> str:
    return _own_name(item) or next(filter(None, map(_own_name, _parts(item))), "")


def _own_name(item: Any) -> str:
    try:
        if isinstance(item, str):
            return str.__str__(item)  # not by a method of the user's
        if isinstance(item, os.PathLike):
            return os.fsdecode(item)
    except Exception:  # noqa: BLE001 -- an item of the user's
        return ""
    return ""


def _parts(item: Any) -> Iterator[Any]:
    """Return the first parts of a record, not by methods of the user's."""
    parts: Any = ()
    if isinstance(item, tuple):
        parts = tuple.__iter__(item)
    elif isinstance(item, list):
        parts = list.__iter__(item)
    elif isinstance(item, dict):
        parts = dict.values(item)
    elif hasattr(type(item), "__dataclass_fields__"):  # then somebody has imported the module
        parts = (_attribute(item, each.name) for each in sys.modules["dataclasses"].fields(item))
    return islice(parts, _PARTS)


def _attribute(item: Any, name: str) -> Any:
    try:
        return getattr(item, name, None)
    except Exception:  # noqa: BLE001 -- code of the user's
        return None


def kind_of(source: Any) -> str:
    """Return in words what `source` is, such as `a list`."""
    if is_stage(source):
        return str(source._describe())
    kind = type(source).__name__
    kind = "array" if kind == "ndarray" else kind
    return f"{'an' if kind[:1] in {*'AEIOaeio'} else 'a'} {kind}"


_SHOWN = 4
"""Most items of a source in a line. Arbitrary."""
_LONGEST = 60
"""Most characters of a name in a line; it loses its beginning. Arbitrary."""


_PARTS = 16
"""Parts of a record that are searched for a name. Arbitrary: most have fewer."""


def made_from(stage: Any, i: int, told: str = "") -> str:
    """Return in words from what item `i` of `stage` is made; nothing if that says nothing new.

    It is a line such as `'img_0007.jpg'`, or `items 7, 8, … of a list`. If there are names, only
    these are shown, with `perhaps` if none is certain. It raises and evaluates nothing.

    Args:
        stage: A stage.
        i: An index of it.
        told: What the message says already.
    """
    try:
        certain: list[tuple[Any, Any]] = []
        others: list[tuple[Any, Any]] = []
        for needed in _walk(stage, i, _LIMIT_IN_MESSAGES):
            for js, is_certain in needed.parts(_LIMIT_IN_MESSAGES):
                (certain if is_certain else others).append((needed.source, js))
        for found, word in ((certain, ""), (others, "perhaps ")):
            names, count = _first_names(found)
            if names:
                is_told = any(_told(name, told) for name in names)
                return "" if is_told else word + _several(map(_quoted, names), count)
        if told or all(js.tolist() == [i] for _, js in certain):
            return ""
        return _first_items([(s, js) for s, js in certain if not isinstance(s, range)])
    except Exception:  # noqa: BLE001 -- stages of the user's; there is another error to be told
        return ""


def _first_names(found: list[tuple[Any, Any]]) -> tuple[list[str], int]:
    """Return the first names, and how many items the sources have from which they are."""
    names: list[str] = []
    count = 0
    for source, js in found:
        here = [name for name in names_of(source, js[:_SHOWN].tolist()) if name]
        names += here
        count += len(js) if here else 0
    return names, count


def _first_items(found: list[tuple[Any, Any]]) -> str:
    """Return in words the first items of the first two sources."""
    shown = [
        f"item{'s'[: len(js) > 1]} {_several(map(str, js[:_SHOWN].tolist()), len(js))} "
        f"of {kind_of(source)}"
        for source, js in found[:2]
    ]
    return " and ".join(shown) + (" and others" if len(found) > len(shown) else "")


def _several(texts: Iterable[str], count: int) -> str:
    """Return the first of `count` texts in words."""
    more = count - _SHOWN
    return ", ".join(islice(texts, _SHOWN)) + (f", … {more:,} more" if more > 0 else "")


def _quoted(name: str) -> str:
    return repr(name if len(name) <= _LONGEST else "…" + name[1 - _LONGEST :])


def _told(name: str, told: str) -> bool:
    # a long path may have lost its middle there
    return bool(told) and (repr(name)[1:-1] in told or name[-20:] in told)
