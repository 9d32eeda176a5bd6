"""Items read by one call of a dataset's `__getitems__`.

It should return a sequence with an item for each index. If it fails or returns something else, the
items are read one by one, and a warning says so. An error of an item stays that of the item.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from seqtools._core import rows
from seqtools._core.errors import WorkerStartError, creation_site, is_of_item, reader, summary
from seqtools._core.user_exceptions import drop_frames

_REMEDY = "return [self[i] for i in indices] from it, or remove it"

_shown: dict[Any, Any] = {}
"""What `warnings` needs to show a warning once."""


class NotByRow(TypeError):  # noqa: N818 -- the name says what it is
    """The result of a bulk read is no sequence with an item for each index."""


class BulkReadWarning(RuntimeWarning):
    """A dataset is read one by one because it cannot be read in bulk."""


def read(source: Any, bulk: Callable[[list[int]], Any], indices: list[int]) -> Any:
    """Return the items of `source` at `indices`, by `bulk` if that works, else one by one."""
    name = f"{type(source).__name__}.__getitems__"
    try:
        items = checked(bulk(indices), len(indices), name)
        if _may_be_columns(items):
            few = [indices[0]] * (1 if len(indices) > 1 else 2)
            checked(bulk(few), len(few), name)
    except WorkerStartError:  # it is not about these items
        raise
    except BaseException as error:
        if not is_of_item(error):
            raise
        drop_frames(error)
        problem = error
    else:
        return items
    singly = [source[j] for j in indices]  # an item that cannot be read raises its error here
    what = (
        str(problem)
        if isinstance(problem, NotByRow)
        else f"{name} failed with {summary(problem)}, but its items can be read one by one"
    )
    message = f"{what}: each bulk read is repeated one by one, which takes longer; {_REMEDY}"
    place = reader.get() or creation_site()
    warnings.warn_explicit(message, BulkReadWarning, *place, registry=_shown)
    return singly


def checked(items: Any, n: int, who: str) -> Any:
    """Return `items`, made by `who`; raise `NotByRow` if they are not `n` items by row."""
    kind = items.__class__
    if kind is not list:
        record = kind is not tuple and isinstance(items, tuple)
        if record or isinstance(items, str | bytes) or rows.why_not(items, "it"):
            raise NotByRow(
                f"{who} must return a list with an item for each index, got {kind.__name__}"
            )
    if rows.length(items) != n:
        raise NotByRow(
            f"{who} must return an item for each index, got {rows.length(items)} for {n}"
        )
    return items


def _may_be_columns(items: Sequence[Any]) -> bool:
    """Return whether `items` could be columns, each with a value for each index.

    Only a bulk read of another number of items can tell two columns of two rows from two rows of
    two values.
    """
    n = len(items)
    try:
        return n > 0 and all(not isinstance(item, str) and len(item) == n for item in items)
    except TypeError:  # there is one without length
        return False
