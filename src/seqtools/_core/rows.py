"""Errors for tables, mappings and sets in place of rows.

The items of a lazy sequence are rows. A table, a mapping or a set returns something else for `[0]`,
or in a loop: a column, a key, or anything.
"""

import operator
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

_BY_ROW = {list, tuple, range, str, bytes}
_NO_DIMENSION = "it has no dimension to index"
_ITERABLE = "it is an iterable: wrap it in seqtools.uniter({name}), or use list({name})"


def why_not(source: object, name: str) -> str:  # noqa: PLR0911 -- one for each kind
    """Return what to write instead if `source[0]` is not its first row, else "".

    The text calls the object `name`.
    """
    kind = type(source)
    if kind in _BY_ROW or (kind.__name__ == "ndarray" and kind.__module__ == "numpy"):
        return "" if getattr(source, "shape", True) else _NO_DIMENSION
    unordered = not_listed(source, name)
    if unordered:
        return unordered
    if isinstance(source, Iterator):
        return f"use list({name}), or seqtools.uniter({name}) to read it as it comes"
    if _is_stream(kind):
        return _ITERABLE.format(name=name)
    if hasattr(source, "iloc"):
        return f"it is indexed by label: use {name}.to_numpy()"
    if not hasattr(source, "__getitem__"):
        return _ITERABLE.format(name=name) if isinstance(source, Iterable) else "it has no items"
    shape = getattr(source, "shape", None)
    if isinstance(shape, tuple) and not shape:
        return _NO_DIMENSION
    if hasattr(source, "__len__") or isinstance(shape, tuple):
        return _of_shape(source)
    if hasattr(kind, "__iter__"):
        return _ITERABLE.format(name=name)
    return "it has no length: give its class a __len__"


def _of_shape(source: Any) -> str:
    if hasattr(source, "__len__"):
        return ""
    rows = source.shape[0]
    if hasattr(rows, "__index__") and operator.index(rows) >= 0:
        return ""
    return f"its shape {source.shape} begins with no number of rows: give its class a __len__"


def length(source: Any) -> int:
    """Return the number of rows of `source`, which may have a shape and no `len`, as of zarr."""
    try:
        return len(source) if hasattr(source, "__len__") else len(range(int(source.shape[0])))
    except OverflowError:
        message = f"a sequence can have up to 2**63 - 1 items, but {type(source).__name__} has more"
        raise ValueError(message) from None


def _is_stream(kind: type) -> bool:
    """Return whether `kind` is an iterable dataset, whose `[]` and `len` may exist and fail."""
    return any(
        each.__name__ == "IterableDataset" and each.__module__.startswith(("torch.", "datasets."))
        for each in kind.__mro__
    )


def not_listed(source: object, name: str) -> str:
    """Return what to write instead if a loop over `source` yields no rows in order, else ""."""
    if type(source) in _BY_ROW:
        return ""
    if isinstance(source, Mapping):
        return f"use list({name}.values()) or list({name}.items()), or collate({name}) for rows"
    if isinstance(source, AbstractSet):
        return f"use sorted({name}) or list({name})"
    return of_table(source, name) if is_table(source) else ""


def of_iterable(source: object, name: str) -> str:
    """Return what to write for a `source` that can only be iterated over."""
    return f"items of {type(source).__name__} cannot be indexed: {_ITERABLE.format(name=name)}"


def is_table(source: object) -> bool:
    """Return whether `source` is a table, where `source[0]` is a column."""
    return hasattr(source, "shape") and hasattr(source, "columns")


def of_table(table: object, name: str) -> str:
    """Return what to write for the rows of `table`."""
    if hasattr(table, "iloc"):
        return f"use smap({name}.iloc.__getitem__, range(len({name})))"
    rows = f"{name}.rows()" if hasattr(table, "rows") else f"{name}.to_pylist()"
    return f"use the list of its rows, {rows}"


def check_listed(rows: object, what: str, name: str) -> None:
    """Raise `TypeError` if a loop over `rows` does not yield rows in order."""
    if not hasattr(rows, "__iter__") and not hasattr(rows, "__getitem__"):
        message = f"{what} must be values in order, got {type(rows).__name__}"
        raise TypeError(message)
    advice = not_listed(rows, name)
    if advice:
        message = f"{what} must be values in order, got {type(rows).__name__}: {advice}"
        raise TypeError(message)


def listed(arguments: Any) -> Any:
    """Return `arguments` of a function; raise `TypeError` if they are not in order."""
    if type(arguments) in _BY_ROW:
        return arguments
    if isinstance(arguments, Mapping):
        advice = "use smap(lambda item: f(**item), sequence)"
    else:
        advice = not_listed(arguments, "item")
    if advice:
        kind = type(arguments).__name__
        message = f"items of starmap() must be arguments in order, got {kind}: {advice}"
        raise TypeError(message)
    return arguments
