"""A pipeline as a tree: each stage, its arguments, its length, and where it was made.

Nothing is evaluated. An error of a user's stage or value affects only its own line.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from textwrap import wrap
from typing import Any

from seqtools._core.display.lengths import is_plain, length_of, lengths
from seqtools._core.display.short import called, cut, short
from seqtools._core.source_code import cell_of, place
from seqtools._core.walk import is_stage, sources_of, upstream

MOST_LINES = 100
"""Most lines of a tree. Arbitrary: so many fit on some screens."""
MOST_SOURCES = 8
"""Most sources of one stage that are all shown. Arbitrary."""
_FIRST_SOURCES = 5
"""Sources that are shown of a stage with more sources. Arbitrary."""
_WIDTH = 120
_LONGEST_PLACE = 32
_LONGEST_ARGUMENT = 40
_LONGEST_PREFIX = 39
_MOST_WRAPPED = 4
"""Most additional lines of a long entry. Arbitrary."""

_ASCII = str.maketrans({"└": "`", "├": "|", "│": "|", "─": "-", "…": "~", "↑": "^"})
"""Replacements for an output that has only ASCII."""


@dataclass(slots=True)
class Entry:
    """A line of the tree."""

    kind: str
    """`"stage"`, `"source"`, `"again"` for a stage with a line above, or `"more"`."""
    text: str
    parent: int
    """The number of the line of the stage that reads from this."""
    role: str = ""
    """Its role if that stage has several sources: an argument name or a key."""
    remark: str = ""
    """What is known of it besides its arguments, such as the reason for its workers: never cut."""
    length: str = ""
    place: tuple[str, int] | None = None
    """File and line where it was made."""
    target: int = 0
    """For `"again"`, the number of the line above."""
    mark: int = 0
    """The number in references to it, from 1; 0 if there are none."""
    prefix: str = ""
    """The branches of the tree at the left."""

    @property
    def label(self) -> str:
        """The text with role and mark."""
        role = f"{self.role}: " if self.role else ""
        if self.kind == "again":
            return f"{role}↑ #{self.mark} {self.text}"
        return f"{role}{self.text}" + (f"  #{self.mark}" if self.mark else "")


def tree(stage: Any) -> str:
    """Return the tree of `stage` as text."""
    entries = survey(stage)
    places = [cut(place_of(*e.place), _LONGEST_PLACE) if e.place else "" for e in entries]
    longest = _WIDTH - max(map(len, places)) - max(len(e.length) for e in entries) - 6
    labels = [_wrapped(entries, number, longest) for number in range(len(entries))]
    left = max(len(line) for lines in labels for line in lines)
    right = max(len(e.length) for e in entries)
    text = "\n".join(
        "\n".join([f"{line:<{left}}   {e.length:>{right}}   {place}".rstrip(), *more])
        for (line, *more), e, place in zip(labels, entries, places, strict=True)
    )
    return printable(text)


def _wrapped(entries: list[Entry], number: int, longest: int) -> list[str]:
    """Return the left side of a line of the tree, wrapped if it is too long.

    A long call is cut; a remark never is.
    """
    entry = entries[number]
    has_sources = number + 1 < len(entries) and entries[number + 1].parent == number
    below = "│    " if has_sources else "     "
    return wrap(
        f"{entry.label}  {entry.remark}".rstrip(),
        longest,
        initial_indent=entry.prefix,
        subsequent_indent=entry.prefix.replace("├─", "│ ").replace("└─", "  ") + below,
        max_lines=None if entry.remark else 1 + _MOST_WRAPPED,
        placeholder="…",
        break_on_hyphens=False,
    )


def printable(text: str) -> str:
    """Return `text` in characters that standard output can encode."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return text.translate(_ASCII).encode("ascii", "replace").decode()
    return text


def survey(stage: Any) -> list[Entry]:
    """Return the lines of the tree of `stage`."""
    sizes = lengths(stage)
    entries: list[Entry] = []
    seen: dict[int, int] = {}
    # still to show: an object or a number of hidden ones, role, reader, branches, whether the last
    left: list[tuple[Any, str, int, str, bool]] = [(stage, "", 0, "", True)]
    while left:
        if len(entries) == MOST_LINES - 1 and (len(left) > 1 or is_stage(left[0][0])):
            hidden = sum(1 for _ in upstream(stage)) - sum(e.kind == "stage" for e in entries)
            entries.append(Entry("more", f"… {hidden:,} more stages", left[-1][2]))
            break
        obj, role, parent, bars, last = left.pop()
        number = len(entries)
        if isinstance(obj, int):
            entry = Entry("more", f"… {obj:,} more", parent)
        elif not is_stage(obj):
            entry = Entry("source", _source(obj), parent, role, length=length_of(obj))
        elif id(obj) in seen:
            target = seen[id(obj)]
            entry = Entry("again", entries[target].text, parent, role, target=target)
        else:
            seen[id(obj)] = number
            text, length = cut(_call_of(obj), 3 * _WIDTH), sizes.get(id(obj), "")
            entry = Entry("stage", text, parent, role, _remark_of(obj), length, _origin(obj))
        entry.prefix = _shortened(bars, last=last) if number else ""
        entries.append(entry)
        if entry.kind == "stage":
            inner = bars + ("   " if last else "│  ") if number else ""
            parts = _shown_sources(obj)
            left.extend(
                (source, role, number, inner, k == len(parts) - 1)
                for k, (role, source) in reversed(list(enumerate(parts)))
            )
    again = [e for e in entries if e.kind == "again"]
    marks = {target: k for k, target in enumerate(sorted({e.target for e in again}), 1)}
    for target, mark in marks.items():
        entries[target].mark = mark
    for e in again:
        e.mark = marks[e.target]
    return entries


def _shortened(bars: str, *, last: bool) -> str:
    prefix = bars + ("└─ " if last else "├─ ")
    return prefix if len(prefix) <= _LONGEST_PREFIX else "…" + prefix[1 - _LONGEST_PREFIX :]


def _shown_sources(stage: Any) -> list[tuple[str, Any]]:
    """Return the sources of `stage` with their roles, the first few if there are many."""
    sources = sources_of(stage)
    if len(sources) <= MOST_SOURCES:
        return list(zip(roles(stage, sources), sources, strict=True))
    first = sources[:_FIRST_SOURCES]
    return [*zip(roles(stage, first), first, strict=True), ("", len(sources) - _FIRST_SOURCES)]


# Parts of a line


def _call_of(stage: Any) -> str:
    """Return name and arguments of `stage`."""
    try:
        return stage._as_call() or _call(stage)
    except Exception:  # noqa: BLE001 -- a stage of the user's
        return type(stage).__name__.lower()


def _remark_of(stage: Any) -> str:
    """Return the remark of `stage` as one printable line."""
    try:
        remark = str(stage._remark())
    except Exception:  # noqa: BLE001 -- a stage of the user's
        return ""
    return cut(remark, len(remark) + 1)


def _call(stage: Any) -> str:
    """Return the call that makes `stage`, without sources and default arguments."""
    name = stage._name or type(stage).__name__.lower()
    sources = {id(source) for source in sources_of(stage)}
    shown: list[str] = []
    named, others = arguments_of(stage)
    for parameter, value in [*named, *(("", each) for each in others if id(each) not in sources)]:
        if id(value) in sources or _contains(value, sources):
            continue
        if (value is None or value is False) and (shown or sources):
            continue
        text = called(value) if callable(value) else short(value, _LONGEST_ARGUMENT)
        shown.append(f"{parameter}={text}" if shown and parameter else text)
    return f"{name}({', '.join(shown)})" if shown else name


def arguments_of(stage: Any) -> tuple[list[tuple[str, Any]], tuple[Any, ...]]:
    """Return the arguments with parameter names, and the others."""
    values = tuple(stage._args() or ())
    code = getattr(type(stage).__init__, "__code__", None)
    names = code.co_varnames[1 : code.co_argcount] if code else ()
    return list(zip(names, values, strict=False)), values[len(names) :]


def _contains(value: Any, sources: set[int]) -> bool:
    """Return whether `value` is a container of sources, as the argument of `collate` is."""
    parts = value.values() if type(value) is dict else value
    return type(value) in {dict, list, tuple} and any(id(part) in sources for part in parts)


def roles(stage: Any, sources: tuple[Any, ...]) -> list[str]:
    """Return the parameter name or key of each source of `stage`."""
    if len(sources) < 2:  # noqa: PLR2004 -- a single source needs no name
        return [""] * len(sources)
    named: list[tuple[int, str]] = []
    try:
        for parameter, value in arguments_of(stage)[0]:
            if isinstance(value, Mapping):
                named += [
                    (id(part), cut(key, 20) if isinstance(key, str) else short(key, 20))
                    for key, part in islice(value.items(), len(sources))
                ]
            elif parameter != "sequence":
                named.append((id(value), parameter))
    except Exception:  # noqa: BLE001 -- a stage of the user's
        named = []
    names: dict[int, list[str]] = {}
    for key, name in reversed(named):  # a source may have several
        names.setdefault(key, []).append(name)
    return [names[id(source)].pop() if names.get(id(source)) else "" for source in sources]


def _source(source: Any) -> str:
    """Return the text for a source that is no stage."""
    if is_plain(source) or hasattr(type(source), "shape"):
        return short(source, _LONGEST_ARGUMENT)
    return type(source).__name__  # its repr could show all items, and take long


def _origin(stage: Any) -> tuple[str, int] | None:
    try:
        file, line = stage._origin
        return str(file), int(line)
    except Exception:  # noqa: BLE001 -- a stage of the user's, perhaps half made
        return None


def place_of(file: str, line: int) -> str:
    """Return the place where a stage was made in short form, such as `train.py:17`."""
    if cell_of(file):
        return place(file, line)
    try:
        near = os.path.relpath(file) if os.path.isabs(file) else file
    except (OSError, ValueError):  # no working directory; another drive
        near = file
    if near.startswith(os.pardir) or len(f"{near}:{line}") > _LONGEST_PLACE:
        near = os.path.basename(file)
    return cut(f"{near}:{line}", 2 * _LONGEST_PLACE)
