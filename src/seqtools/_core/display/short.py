"""Any value in a few characters, whatever it is: for messages, trees and replays.

Nothing is evaluated that could take long: of containers the first few items are looked at, of
arrays the shape, and of a stage its name. `__repr__` of a user's class is called, may raise, and
is cut.
"""

from collections import deque
from functools import partial
from itertools import islice
from operator import attrgetter
from typing import Any

from seqtools._core.walk import is_stage

WIDTH = 60
"""Characters of a value, unless told. Arbitrary: half a line."""

_FIRST = 4, 2, 1
"""Items of a container that are shown, fewer if that is too long. Arbitrary."""
_DEEPEST = 2
"""Containers in containers that are looked into. Arbitrary."""
_SMALL = 6
"""Numbers of an array that are shown. Arbitrary."""

_SHAPES: dict[Any, tuple[str, str]] = {
    dict: ("{", "}"),
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
    deque: ("deque([", "])"),
}


def short(value: object, width: int = WIDTH) -> str:
    """Return what `value` is, in one line of at most `width` characters.

    Example:
        >>> short(list(range(1000)))
        '[0, 1, 2, 3, … 996 more]'
        >>> short("x" * 1000, width=12)
        "'xxxxxxxxxx…"
    """
    text = ""
    for first in _FIRST:
        text = _told(value, _DEEPEST, width, first)
        if len(text) <= width:
            break
    return cut(text, width)


def cut(text: str, width: int) -> str:
    """Return `text` as one line that can be printed, of at most `width` characters."""
    text = text[: 4 * width + 100]
    if not text.isprintable():
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= width else text[: width - 1] + "…"


def called(function: Any) -> str:
    """Return the name of a function, or else of its class."""
    if isinstance(function, partial):
        return f"partial({called(function.func)})"
    try:
        name = getattr(function, "__name__", None)
    except Exception:  # noqa: BLE001 -- an object of the user's that can be called
        name = None
    return name if isinstance(name, str) and name else type(function).__name__


def _told(value: Any, depth: int, width: int, first: int) -> str:
    try:
        for tell in (_thing, _container, _record):
            text = tell(value, depth, width, first)
            if text is not None:
                return text
        return repr(value)
    except Exception as error:  # noqa: BLE001 -- code of users may raise anything
        return f"<{type(value).__name__}: its repr raises {type(error).__name__}>"


def _thing(value: Any, depth: int, width: int, first: int) -> str | None:
    """Return what is no container."""
    del depth, first
    kind = type(value)
    if isinstance(value, str | bytes | bytearray):
        return repr(value[:width])
    if is_stage(value):
        return str(value._describe())
    if isinstance(value, type) or callable(value):
        return called(value)
    if hasattr(kind, "shape"):
        return _array(value)
    return f"<{kind.__name__}>" if _SHOWN(kind) is _SHOWN(object) else None


_SHOWN = attrgetter("__repr__")


def _array(value: Any) -> str:
    """Return type, shape and what it is of, and the numbers if they are few."""
    kind, shape = type(value), value.shape
    if not isinstance(shape, tuple) or (shape == () and hasattr(value, "item")):
        return str(value) if kind.__module__ == "numpy" else repr(value)
    extents = f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
    of = str(getattr(value, "dtype", "")).removeprefix("torch.")
    text = f"{kind.__name__} {extents} {of}".rstrip()
    device = str(getattr(value, "device", "cpu"))
    if not device.startswith("cpu"):  # to look at numbers would wait for it
        return f"{text} {device}"
    if kind.__module__ == "numpy" and 0 < value.size <= _SMALL and value.dtype.kind in "biuf":
        text += f": {value.tolist()}"
    return text


def _container(value: Any, depth: int, width: int, first: int) -> str | None:
    """Return the first items of a container, and how many there are more."""
    if isinstance(value, tuple) and hasattr(type(value), "_fields"):
        return None
    kind: Any = next((kind for kind in _SHAPES if isinstance(value, kind)), None)
    if kind is None:
        return None
    n = kind.__len__(value)
    shown = islice(kind.items(value) if kind is dict else kind.__iter__(value), first)
    begin, end = _SHAPES[kind]
    if not n and kind in {set, frozenset}:
        return f"{kind.__name__}()"
    if n and not depth:
        return f"{begin}… {n:,}{end}"
    parts = (
        [_told(part, depth - 1, width, first) for part in shown]
        if kind is not dict
        else [
            f"{_told(key, depth - 1, width, first)}: {_told(part, depth - 1, width, first)}"
            for key, part in shown
        ]
    )
    if n > first:
        parts.append(f"… {n - first:,} more")
    return begin + ", ".join(parts) + "," * (kind is tuple and n == 1) + end


def _record(value: Any, depth: int, width: int, first: int) -> str | None:
    """Return the fields of a named tuple, or of a dataclass."""
    kind = type(value)
    # that of a dataclass writes out all of every field
    if "__dataclass_fields__" in kind.__dict__ and hasattr(kind.__repr__, "__wrapped__"):
        names = list(kind.__dataclass_fields__)
    elif isinstance(value, tuple) and hasattr(kind, "_fields"):
        names = list(kind._fields)
    else:
        return None
    if not depth:
        return f"{kind.__name__}(…)"
    parts = [f"{n}={_told(getattr(value, n), depth - 1, width, first)}" for n in names[: _FIRST[0]]]
    return f"{kind.__name__}({', '.join(parts + ['…'] * (len(names) > _FIRST[0]))})"
