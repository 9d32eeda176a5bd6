"""Items read by one call of a dataset's `__getitems__`, as long as that does what it should.

It should return an item for each index, in a sequence. If it fails or returns something else, the
items are read one by one, now and from then on, and a warning says so: who reads gets the right
items, and is told why it takes longer. An error of an item stays that of the item.
"""

import warnings
import weakref
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from seqtools._core import rows
from seqtools._core.errors import WorkerStartError, creation_site, reader, summary

_Bulk = Callable[[list[int]], Any]

_REMEDY = "return [self[i] for i in indices] from it, or remove it"


class NotByRow(TypeError):  # noqa: N818 -- the name says what it is
    """What was read in bulk is no sequence with an item for each index."""


class BulkReadWarning(RuntimeWarning):
    """A dataset is read one by one because it cannot be read in bulk."""


class _Known:
    """What is known of datasets: whether reading them in bulk works."""

    def __init__(self) -> None:
        self._objects: dict[int, tuple[Any, bool]] = {}

    def get(self, source: Any) -> bool | None:
        """Return whether it works for `source`, `None` if that is not known."""
        return self._objects.get(id(_target(source)), (None, None))[1]

    def put(self, source: Any, works: bool) -> None:  # noqa: FBT001 -- what is put
        """Note whether it works for `source`."""
        target = _target(source)
        key = id(target)
        held = weakref.ref(target, lambda _: self._objects.pop(key, None))
        self._objects[key] = held, works


def _target(source: Any) -> Any:
    """Return what is noted of `source`: itself, or its class if it takes no weak references."""
    return source if type(source).__weakrefoffset__ else type(source)


_known = _Known()
_told: dict[Any, Any] = {}  # what `warnings` needs to warn once where it is told to


def read(source: Any, bulk: _Bulk, indices: list[int]) -> Any:
    """Return the items of `source` at `indices`, by `bulk` if that works, else one by one.

    Raises:
        BulkReadWarning: If it does not work, and warnings are errors.
    """
    works = _known.get(source)
    if works is False:
        return [source[j] for j in indices]
    try:
        items = bulk(indices)
        checked(items, len(indices), _name(source))
        if not works and _may_be_columns(items):
            few = [indices[0]] * (1 if len(indices) > 1 else 2)
            checked(bulk(few), len(few), _name(source))
            _known.put(source, works=True)
    except WorkerStartError:  # not about these items
        raise
    except Exception as error:  # noqa: BLE001 -- user code may raise anything
        problem = error.with_traceback(None)
    else:
        return items
    singly = [source[j] for j in indices]  # an item that cannot be read says so here
    _known.put(source, works=False)  # first, because warnings may be errors
    _tell(source, bulk, problem)
    return singly


def checked(items: Any, n: int, who: str) -> Any:
    """Return `items`, made by `who`, if they are a sequence of `n` items by row.

    Raises:
        NotByRow: If they are not.
    """
    kind = items.__class__
    if kind is not list:
        record = kind is not tuple and isinstance(items, tuple)
        if record or isinstance(items, str | bytes) or rows.why_not(items, "it"):
            message = f"{who} must return a list with an item for each index, got {_a(kind)}"
            raise NotByRow(message)
    if len(items) != n:
        message = f"{who} must return an item for each index, got {len(items)} for {n}"
        raise NotByRow(message)
    return items


def _a(kind: type) -> str:
    name = kind.__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _may_be_columns(items: Sequence[Any]) -> bool:
    """Return whether `items` could be columns, each with a value for each index.

    Two columns of two rows cannot be told from two rows of two values, but by asking for more
    or fewer rows. That is done once.
    """
    n = len(items)
    try:
        return n > 0 and all(not isinstance(item, str) and len(item) == n for item in items)
    except TypeError:  # there is one without length
        return False


def _name(source: Any) -> str:
    return f"{type(source).__name__}.__getitems__"


def _tell(source: Any, bulk: _Bulk, problem: Exception) -> None:
    what = (
        str(problem)
        if isinstance(problem, NotByRow)
        else f"{_name(source)} failed with {summary(problem)}, but its items can be read one by one"
    )
    message = f"{what}: items are read one by one from now on, which takes longer; {_REMEDY}"
    # where it is written, because that has to be changed
    function = getattr(bulk, "__func__", bulk)
    code = function.__code__ if isinstance(function, FunctionType) else None
    place = (code.co_filename, code.co_firstlineno) if code else reader.get() or creation_site()
    warnings.warn_explicit(message, BulkReadWarning, *place, registry=_told)
