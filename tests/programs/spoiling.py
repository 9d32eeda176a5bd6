"""What a reader, or a function, does to a value that it was given: change it in place."""

from collections import deque
from contextlib import suppress
from dataclasses import is_dataclass
from typing import Any

import numpy as np


def spoil(value: Any, depth: int = 3) -> Any:
    """Change all of `value` that can be changed, and return it."""
    if depth:
        if isinstance(value, list | tuple | deque | dict):
            for part in list(value.values() if isinstance(value, dict) else value):
                spoil(part, depth - 1)
        _spoil(value)
    return value


def _spoil(value: Any) -> None:
    if isinstance(value, np.ndarray):
        _spoil_array(value)
    elif isinstance(value, list | deque):
        if len(value) < 30:
            value.append("spoiled")
    elif isinstance(value, dict):
        value["spoiled"] = value.get("spoiled", 0) + 1
    elif isinstance(value, set):
        value.add("spoiled")
    elif isinstance(value, bytearray):
        value[:1] = b"!"
    elif is_dataclass(value) or type(value).__name__ in {"Point", "Child"}:
        with suppress(Exception):  # frozen
            value.x = ("spoiled", value.x)


def _spoil_array(value: np.ndarray) -> None:
    if value.flags.writeable and value.dtype.kind in "iufc" and value.dtype.names is None:
        with np.errstate(all="ignore"):
            value[...] = value * value.dtype.type(2) + value.dtype.type(1)
