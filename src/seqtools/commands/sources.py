"""Sources of pipelines in words, for lines of a terminal."""

from collections.abc import Iterable
from typing import Any

_LONGEST = 300
"""Most characters of a name; it loses its beginning. Arbitrary: paths are shorter, but a source may
be a list of texts."""


def labels_of(sources: Iterable[Any]) -> dict[int, str]:
    """Return what each source is, by its `id`; sources that would be called alike get a number."""
    from seqtools._core.origins import kind_of

    labels: dict[int, str] = {}
    counts: dict[str, int] = {}
    for source in sources:
        if id(source) not in labels:
            kind = kind_of(source) + _length(source)
            counts[kind] = number = counts.get(kind, 0) + 1
            labels[id(source)] = kind if number == 1 else f"{kind}, no. {number}"
    return labels


def _length(source: Any) -> str:
    if type(source) not in {list, tuple, range} and type(source).__name__ != "ndarray":
        return ""
    return f" of {len(source):,}"


def shown(name: str) -> str:
    """Return `name` as one line without control characters, which a terminal would obey."""
    from seqtools._core.display.tree import printable

    cut = name if len(name) <= _LONGEST else "…" + name[1 - _LONGEST :]
    return printable("".join([c if c.isprintable() else repr(c)[1:-1] for c in cut]))
