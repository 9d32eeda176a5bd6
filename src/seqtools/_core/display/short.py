"""Any value in a few characters, for messages, trees and replays.

This is quick: it shows the first items of containers, the shape of arrays, and the name of stages.
`__repr__` of a user's class may raise, and its result is cut.
"""

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from operator import attrgetter
from typing import Any

from seqtools._core.walk import is_stage

WIDTH = 60
"""Most characters of a value by default. Arbitrary: half a line."""

_FIRST = 4, 2, 1
"""Numbers of items of a container to show; the next one if the text is too long. Arbitrary."""
_DEEPEST = 2
"""Depth of nested containers whose items are shown. Arbitrary."""
_SMALL = 6
"""Size of the largest array whose numbers are shown. Arbitrary."""

_WITH_ENDS = (16, 120), (16, 60), *((n, 40) for n in range(16, 1, -1)), (1, 26)
"""Numbers of entries of a dict and of characters of a text to show of arguments; the next ones if
the line is too long. Arbitrary."""

_SHAPES: dict[Any, tuple[str, str]] = {
    dict: ("{", "}"),
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
    deque: ("deque([", "])"),
}


def short(value: object, width: int = WIDTH) -> str:
    """Return a line of at most `width` characters that shows `value`.

    Example:
        >>> short(list(range(1000)))
        '[0, 1, 2, 3, … 996 more]'
        >>> short("x" * 1000, width=12)
        "'xxxxxxxxxx…"
    """
    text = ""
    for first in _FIRST:
        text = _text_of(value, _DEEPEST, partial(_beginning, width), first)
        if len(text) <= width:
            break
    return cut(text, width)


def short_arguments(values: Iterable[object], width: int) -> str:
    """Return a line of at most `width` characters that shows the arguments of a call.

    Long texts lose their middle, because a path ends with the name of the file.

    Example:
        >>> short_arguments(["/data/" + "deep/" * 30 + "0007.jpeg", 3], width=60)
        "'/data/deep/deep/…/deep/deep/deep/deep/deep/0007.jpeg', 3"
    """
    values, text = list(values), ""
    for first, longest in _WITH_ENDS:
        show = partial(_with_end, min(longest, width - 2))
        text = ", ".join([_text_of(value, _DEEPEST, show, first) for value in values])
        if len(text) <= width:
            break
    return cut(text, width)


def cut(text: str, width: int) -> str:
    """Return `text` as one printable line of at most `width` characters."""
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
    except Exception:  # noqa: BLE001 -- code of users may raise anything
        name = None
    return name if isinstance(name, str) and name else type(function).__name__


Shorten = Callable[[Any], Any]
"""Returns the part of a text to show: of a string, of bytes, or of the repr of an object."""


def _beginning(width: int, text: Any) -> Any:
    return text[:width]


def _with_end(width: int, text: Any) -> Any:
    """Return at most `width` characters of `text`, with its end, and whole parts of a path."""
    if len(text) <= width:
        return text
    gap, bars = ("…", ("/", "\\")) if isinstance(text, str) else (b"...", (b"/", b"\\"))
    end = max(1, (width - len(gap)) * 2 // 3)
    head, tail = text[: max(0, width - len(gap) - end)], text[-end:]
    for bar in bars:
        after, before = tail.find(bar), head.rfind(bar)
        if 0 <= after <= len(tail) // 2:
            tail = tail[after:]
            head = head[: before + 1] if before > 0 else head
            break
    return head + gap + tail


def _text_of(value: Any, depth: int, shorten: Shorten, first: int) -> str:
    try:
        for show in (_simple_value, _container, _record):
            text = show(value, depth, shorten, first)
            if text is not None:
                return text
        return str(shorten(repr(value)))
    except Exception as error:  # noqa: BLE001 -- code of users may raise anything
        return f"<{type(value).__name__}: its repr raises {type(error).__name__}>"


def _simple_value(value: Any, depth: int, shorten: Shorten, first: int) -> str | None:
    """Return the text of a value that is no container."""
    del depth, first
    kind = type(value)
    if isinstance(value, str | bytes | bytearray):
        return repr(shorten(value))
    if is_stage(value):
        return str(value._describe())
    if isinstance(value, type) or callable(value):
        return called(value)
    if hasattr(kind, "shape"):
        return _array(value)
    return f"<{kind.__name__}>" if _SHOWN(kind) is _SHOWN(object) else None


_SHOWN = attrgetter("__repr__")


def _array(value: Any) -> str:
    """Return type, shape and dtype of an array, and the numbers if they are few."""
    kind, shape = type(value), value.shape
    if not isinstance(shape, tuple) or (shape == () and hasattr(value, "item")):
        return str(value) if kind.__module__ == "numpy" else repr(value)
    extents = f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
    of = str(getattr(value, "dtype", "")).removeprefix("torch.")
    text = f"{kind.__name__} {extents} {of}".rstrip()
    device = str(getattr(value, "device", "cpu"))
    if not device.startswith("cpu"):  # reading the numbers would wait for the device
        return f"{text} {device}"
    if kind.__module__ == "numpy" and 0 < value.size <= _SMALL and value.dtype.kind in "biuf":
        text += f": {value.tolist()}"
    return text


def _container(value: Any, depth: int, shorten: Shorten, first: int) -> str | None:
    """Return the first items of a container, and how many more there are."""
    if isinstance(value, tuple) and hasattr(type(value), "_fields"):
        return None
    kind: Any = next((kind for kind in _SHAPES if isinstance(value, kind)), None)
    if kind is None:
        return None
    n = kind.__len__(value)
    if kind is not dict:
        first = min(first, _FIRST[0])
    shown = islice(kind.items(value) if kind is dict else kind.__iter__(value), first)
    begin, end = _SHAPES[kind]
    if not n and kind in {set, frozenset}:
        return f"{kind.__name__}()"
    if n and not depth:
        return f"{begin}… {n:,}{end}"
    show = partial(_text_of, depth=depth - 1, shorten=shorten, first=first)
    if kind is dict:
        parts = [f"{show(key)}: {show(part)}" for key, part in shown]
    else:
        parts = [show(part) for part in shown]
    if n > first:
        parts.append(f"… {n - first:,} more")
    return begin + ", ".join(parts) + "," * (kind is tuple and n == 1) + end


def _record(value: Any, depth: int, shorten: Shorten, first: int) -> str | None:
    """Return the fields of a named tuple, or of a dataclass."""
    kind = type(value)
    # `__repr__` of a dataclass shows all of every field
    if "__dataclass_fields__" in kind.__dict__ and hasattr(kind.__repr__, "__wrapped__"):
        names = list(kind.__dataclass_fields__)
    elif isinstance(value, tuple) and hasattr(kind, "_fields"):
        names = list(kind._fields)
    else:
        return None
    if not depth:
        return f"{kind.__name__}(…)"
    parts = [
        f"{n}={_text_of(getattr(value, n), depth - 1, shorten, first)}" for n in names[: _FIRST[0]]
    ]
    return f"{kind.__name__}({', '.join(parts + ['…'] * (len(names) > _FIRST[0]))})"
