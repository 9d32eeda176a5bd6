"""What is indexed by row, and what is not although it looks like it.

The items of a lazy sequence are rows. A table, a mapping or a set has something else at `[0]`, or
in a loop: a column, a key, anything. Where such an object stands for rows, it is refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

_BY_ROW = {list, tuple, range, str, bytes}
_NO_DIMENSION = "it has no dimension to index"


def why_not(source: object, name: str) -> str:  # noqa: PLR0911 -- one for each kind
    """Return what to do about `source`, whose items are not `source[0]`, `source[1]`, …; or ''.

    Args:
        source: Anything.
        name: What it is called in the advice.
    """
    kind = type(source)
    if kind in _BY_ROW or (kind.__name__ == "ndarray" and kind.__module__ == "numpy"):
        return "" if getattr(source, "shape", True) else _NO_DIMENSION
    unordered = not_listed(source, name)
    if unordered:
        return unordered
    if isinstance(source, Iterator):
        return f"use list({name}), or uniter({name}) to read it as it comes"
    if hasattr(source, "iloc"):
        return f"it is indexed by label: use {name}.to_numpy()"
    if not hasattr(source, "__getitem__"):
        iterable = isinstance(source, Iterable)
        return f"use list({name}) or uniter({name})" if iterable else "it has no items"
    if not hasattr(source, "__len__"):
        return "it has no length: give its class a __len__"
    return _NO_DIMENSION if getattr(source, "shape", None) == () else widened(source, name)


def widened(source: object, name: str) -> str:
    """Return what to do about a column whose items do not tell of which dtype they are; or ''.

    An item of a polars column of float32 is a `float`, of which numpy makes float64.
    """
    if type(source).__module__.partition(".")[0] != "polars":
        return ""
    dtype = str(getattr(source, "dtype", ""))
    if not dtype.startswith(("Int", "UInt", "Float")) or dtype in {"Int64", "Float64"}:
        return ""
    return f"its items would lose their type, {dtype}: use {name}.to_numpy()"


def not_listed(source: object, name: str) -> str:
    """Return what to do about `source`, over which a loop does not yield rows in order; or ''."""
    if type(source) in _BY_ROW:
        return ""
    if isinstance(source, Mapping):
        return f"use list({name}.values()) or list({name}.items()), or collate({name}) for rows"
    if isinstance(source, AbstractSet):
        return f"use sorted({name}) or list({name})"
    return of_table(source, name) if is_table(source) else ""


def is_table(source: object) -> bool:
    """Return whether `source` has columns: with pandas, polars and Arrow, `source[0]` is one."""
    return hasattr(source, "shape") and hasattr(source, "columns")


def of_table(table: object, name: str) -> str:
    """Return the line to write for the rows of `table`."""
    if hasattr(table, "iloc"):
        return f"use smap({name}.iloc.__getitem__, range(len({name})))"
    rows = f"{name}.rows()" if hasattr(table, "rows") else f"{name}.to_pylist()"
    return f"use the list of its rows, {rows}"


def check_listed(rows: object, what: str, name: str) -> None:
    """Refuse `rows` over which a loop does not yield rows.

    Raises:
        TypeError: If it yields columns, keys, or anything in no order.
    """
    advice = not_listed(rows, name)
    if advice:
        message = f"{what} must be values in order, got {type(rows).__name__}: {advice}"
        raise TypeError(message)


def listed(arguments: Any) -> Any:
    """Return `arguments`, an item that stands for those of a function, if they are in order.

    Raises:
        TypeError: If they have names, or are columns, or in no order.
    """
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
