"""Where items come from: a walk over what the stages read, which evaluates nothing.

Each stage is visited once, after all that read from it, with all indices that they need of it; so a
pipeline in which paths meet again takes no longer than one without.
"""

import os
import sys
from typing import Any, NamedTuple

from seqtools._core.walk import is_stage, upstream

LIMIT = 1 << 22
"""Most items of one stage that are followed. Arbitrary: 32 MB for each stage."""


class TooMany(ValueError):  # noqa: N818 -- a signal that never reaches users
    """An item is made of more than `LIMIT` items."""


class Origin(NamedTuple):
    """An item of a source from which an item of a pipeline is made."""

    source: Any
    """The source: a list, an array, a dataset, an iterable, or a stage that reads from nothing."""
    index: int | None  # type: ignore[assignment]  # a tuple has a method of this name
    """The index of the item in the source; `None` if a value decides which one is read."""
    name: str
    """What the source calls the item, such as the path of a file; empty if it has no names."""
    certain: bool
    """Whether the item is read whatever the values are."""

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

    def parts(self) -> list[tuple[Any, bool]]:
        """Return the indices, each once, that are certain, and those that are not."""
        certain = _distinct([each for each, is_so in self._pairs() if is_so])
        others = _distinct([each for each, is_so in self._pairs() if not is_so])
        if certain.size and others.size:
            import numpy as np

            others = others[~np.isin(others, certain)]
        return [(js, is_so) for js, is_so in ((certain, True), (others, False)) if js.size]

    def _pairs(self) -> Any:
        return zip(self.indices, self.certain, strict=True)


def origins_of(stage: Any, i: int, most: int | None = None) -> list[Origin]:
    """Return the items of sources from which item `i` of `stage` is made, in the order of reading.

    Args:
        stage: A stage.
        i: An index from 0 up.
        most: The greatest number of origins to return of each source.

    Raises:
        TooMany: If more than 2**22 items of a stage are needed.
    """
    found: list[Origin] = []
    for needed in _walk(stage, i):
        for js, certain in needed.parts():
            given = (js if most is None else js[:most]).tolist()
            names = _names(needed.source, given)
            found += [Origin(needed.source, j, *pair) for j, pair in zip(
                given, ((name, certain) for name in names), strict=True
            )]  # fmt: skip
        if needed.unknown:
            found.append(Origin(needed.source, None, "", False))  # noqa: FBT003 -- a field
    return found


def _walk(stage: Any, i: int) -> list[_Needed]:
    """Return what is needed of each source that reads from nothing, in the order of reading."""
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
        made_from = _made_from(each, here)
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


def _made_from(stage: Any, needed: _Needed) -> list[tuple[Any, Any, bool]]:
    """Return what a stage reads for all that is needed of it; nothing if it is a source."""
    if not is_stage(stage):
        return []
    made: list[tuple[Any, Any, bool]] = []
    for js, certain in needed.parts():
        made += [(s, k, certain and is_so) for s, k, is_so in stage._made_from(js)]
    if needed.unknown:
        made += [(source, None, False) for source, _, _ in stage._made_from(range(0))]
        made += [(source, None, False) for source in stage._sources()]
    return made


def _distinct(parts: list[Any]) -> Any:
    """Return the indices in ranges and arrays, each once, where it occurs first."""
    import numpy as np

    if sum(len(part) for part in parts) > LIMIT:
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


def _names(source: Any, indices: list[int]) -> list[str]:
    """Return what `source` calls its items at `indices`: texts and paths in a list or an array."""
    numpy = sys.modules.get("numpy")
    plain = type(source) in {list, tuple} or (
        numpy is not None
        and type(source) is numpy.ndarray
        and source.ndim == 1
        and source.dtype.kind in "OUT"
    )
    return [_name(source[j]) if plain and j < len(source) else "" for j in indices]


def _name(item: Any) -> str:
    if isinstance(item, str):
        return str(item)
    if isinstance(item, os.PathLike):
        try:
            return os.fsdecode(item)
        except Exception:  # noqa: BLE001 -- a path of the user's
            return ""
    return ""


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


def in_words(origins: list[Origin]) -> str:
    """Return a line such as `'img_0007.jpg'`, or `items 7, 8, … of a list`.

    If there are names, only items with a name are shown, else those of the first sources.
    """
    named = [_quoted(origin.name) for origin in origins if origin.name and origin.certain]
    if named:
        return _several(named)
    groups: dict[int, list[Origin]] = {}
    for origin in origins:
        if origin.certain and not isinstance(origin.source, range):
            groups.setdefault(id(origin.source), []).append(origin)
    shown = [_items(group) for group in list(groups.values())[:2]]
    return " and ".join(shown) + (" and others" if len(groups) > len(shown) else "")


def _items(group: list[Origin]) -> str:
    numbers = [str(origin.index) for origin in group]
    return f"item{'s'[: len(group) > 1]} {_several(numbers)} of {kind_of(group[0].source)}"


def _several(texts: list[str]) -> str:
    more = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f", … {more:,} more" if more > 0 else "")


def _quoted(name: str) -> str:
    return repr(name if len(name) <= _LONGEST else "…" + name[1 - _LONGEST :])


def made_from(stage: Any, i: int, told: str = "") -> str:
    """Return in words from what item `i` of `stage` is made; nothing if that says nothing new.

    It raises nothing, evaluates nothing, and returns a line.

    Args:
        stage: A stage.
        i: An index of it.
        told: What the message says already.
    """
    try:
        found = origins_of(stage, i)
        named = [origin for origin in found if origin.name]
        if named:
            return "" if any(_told(each.name, told) for each in named) else in_words(found)
        if told or all(each.index == i or not each.certain for each in found):
            return ""
        return in_words(found)
    except Exception:  # noqa: BLE001 -- stages of the user's; there is another error to be told
        return ""


def _told(name: str, told: str) -> bool:
    # a long path may have lost its middle there
    return bool(told) and (repr(name)[1:-1] in told or name[-20:] in told)
