"""Names of source files, and the text of code that is in no file.

A cell of a notebook has the name of a file that does not exist. Its text is in `linecache`, and
IPython knows its other name, such as `Cell In[3]`. Both travel with functions that are sent by
value, so that tracebacks and `inspect.getsource` are the same in a worker.
"""

import os
import re
import sys
from collections.abc import Iterable
from types import CodeType
from typing import Any, NamedTuple

_MOST_TEXT = 1 << 20
"""Most characters of source text that travel with a pipeline. Arbitrary."""

_cells: dict[str, str] = {}
"""The names of cells that were sent to this process, by their files."""


class SourceText(NamedTuple):
    """What travels of a source file."""

    cell: str
    """Its name as a cell of a notebook, if it is one."""
    lines: list[str]


def cell_of(file: str) -> str:
    """Return IPython's name of the notebook cell `file`, such as `Cell In[3]`, else ""."""
    ipython = sys.modules.get("IPython")
    try:
        return " ".join(ipython.get_ipython().compile.format_code_name(file))  # type: ignore[union-attr]
    except Exception:  # noqa: BLE001 -- no IPython, another version, or no cell
        return _cells.get(file, "")


def place(file: str, line: int) -> str:
    """Return where something is, such as `/home/me/train.py:17` or `Cell In[3]:2`."""
    return f"{cell_of(file) or file}:{line}"


def naming_cells(trace: str) -> str:
    """Return a traceback in which cells of notebooks are named as IPython names them."""

    def named(found: re.Match[str]) -> str:
        cell = cell_of(found[1])
        return f"{cell}, line " if cell else found[0]

    return re.sub(r'File "([^"\n]+)", line ', named, trace)


def texts_of(files: Iterable[str], *, everywhere: bool = False) -> dict[str, SourceText]:
    """Return what another process needs to know of source files.

    Args:
        files: Their names.
        everywhere: Whether that process may be on another machine. Otherwise, it reads files.
    """
    left, found = _MOST_TEXT, {}
    for file in files:
        if os.path.exists(file) and not everywhere:
            continue
        cell, lines = cell_of(file), _lines_of(file)
        size = sum(map(len, lines))
        if size > left:
            size, lines = 0, []
        left -= size
        if cell or lines:
            found[file] = SourceText(cell, lines)
    return found


def _lines_of(file: str) -> list[str]:
    import linecache

    try:
        return linecache.getlines(file)
    except Exception:  # noqa: BLE001 -- doctest, for example, has its own function there
        return []


def add_texts(texts: dict[str, SourceText]) -> None:
    """Let tracebacks, and `inspect.getsource`, show the source files that were sent here."""
    import linecache

    for file, (cell, lines) in texts.items():
        if os.path.exists(file):
            continue
        if cell:
            _cells[file] = cell
        if lines:
            # without a time, `linecache.checkcache` keeps it
            linecache.cache[file] = sum(map(len, lines)), None, lines, file


def with_file(reduced: Any, code: CodeType) -> Any:
    """Return what cloudpickle makes of `code`, changed so that it keeps the name of its file."""
    make, arguments, *rest = reduced
    named = [code.co_filename if a == "<dynamic-code>" else a for a in arguments]
    return make, tuple(named), *rest
