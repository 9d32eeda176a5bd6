"""How the demo lays out its lines."""

import ast
from collections.abc import Sequence
from itertools import groupby

_TITLE = 13
"""Columns of the titles at the left, two of them empty."""
_WIDTH = 80


def row(title: str, text: str) -> None:
    """Print `text` beside its title."""
    print(f"{title:<{_TITLE}}{text}", flush=True)


def rows(title: str, lines: Sequence[str]) -> None:
    """Print `lines` below each other, beside the title of them all."""
    for k, line in enumerate(lines):
        row("" if k else title, line)


def counted(count: int, one: str, more: str = "") -> str:
    """Return a number of things in words; `more` of them are called `one` and an s."""
    return f"{count} {one if count == 1 else more or one + 's'}"


def volume(size: float) -> str:
    """Return a number of bytes in words."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"  # noqa: PLR2004 -- 0.1 MB


def broken(text: str, width: int = _WIDTH - _TITLE) -> list[str]:
    r"""Return the repr of a pipeline as lines, a stage that is too long for one in several.

    Of a list that is too long, the first item is shown.

    Example:
        >>> print("\n".join(broken("batch(smap(load, files), 64)", 20)))
        batch(
          smap(load, files),
          64)
    """
    return _lines(ast.parse(text, mode="eval").body, width)


def _lines(part: ast.AST, width: int) -> list[str]:
    text = ast.unparse(part)
    if len(text) <= width:
        return [text]
    if isinstance(part, ast.List) and len(part.elts) > 1:
        return [f"[{ast.unparse(part.elts[0])}, ...]"]
    if not isinstance(part, ast.Call):
        return [text]
    lines = [f"{ast.unparse(part.func)}("]
    for is_call, arguments in groupby([*part.args, *part.keywords], _is_call):
        if is_call:  # stages have lines of their own
            for argument in arguments:
                lines += ["  " + line for line in _lines(argument, width - 2)]
                lines[-1] += ","
        else:  # other arguments share one; a function stands beside what calls it
            shared = ", ".join(line for a in arguments for line in _lines(a, width - 2)) + ","
            if len(lines) == 1:
                lines[0] += shared
            else:
                lines.append("  " + shared)
    lines[-1] = lines[-1].removesuffix(",") + ")"
    return lines


def _is_call(part: ast.AST) -> bool:
    return isinstance(part, ast.Call)
