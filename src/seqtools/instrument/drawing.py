"""Writes a pipeline in the languages of Mermaid and Graphviz."""

import re
from textwrap import wrap
from typing import Any

from seqtools._core.display.short import cut
from seqtools._core.display.tree import Entry, place_of, survey

_LONGEST = 60
"""Characters of a line in a node. Arbitrary."""

# Mermaid only has escapes by the numbers of characters. These characters have a meaning within
# quotes. Mermaid also drops the last semicolon of a line with "style" or "classDef".
_SPECIAL = re.compile(r'["#&<>`%\\\u2060]|s(?=tyle)|c(?=lassDef)')
# After decoding, Mermaid interprets some labels again: a line break, mathematics, an icon, and a
# named character. An invisible character between their parts prevents that.
_AGAIN = re.compile(r"\\(?=n)|\$(?=\$)|:(?=fa-)|&(?=[#\w])")
_INVISIBLE = "\u2060"


def _parts(pipeline: Any) -> tuple[dict[int, Entry], list[tuple[int, int, str]]]:
    """Return the nodes by number, and the edges: source, reader, role of the source."""
    entries = survey(pipeline)
    nodes = {number: entry for number, entry in enumerate(entries) if entry.kind != "again"}
    edges = [
        (e.target if e.kind == "again" else number, e.parent, e.role)
        for number, e in enumerate(entries)
        if number
    ]
    return nodes, edges


def _lines(entry: Entry) -> list[str]:
    place = place_of(*entry.place) if entry.place else ""
    lines = [cut(line, _LONGEST) for line in (entry.text, entry.length, place) if line]
    return lines[:1] + wrap(entry.remark, _LONGEST, break_on_hyphens=False) + lines[1:]


def mermaid(pipeline: Any) -> str:
    """Return `pipeline` in the language of Mermaid."""
    nodes, edges = _parts(pipeline)
    text = ["flowchart BT"]
    for number, entry in nodes.items():
        label = "<br>".join(map(_entities, _lines(entry)))
        begin, end = ("[", "]") if entry.kind == "stage" else ("([", "])")
        text.append(f'    n{number}{begin}"{label}"{end}')
    for source, reader, role in edges:
        name = f'|"{_entities(role)}"|' if role else ""
        text.append(f"    n{source} -->{name} n{reader}")
    return "\n".join(text)


def _entities(line: str) -> str:
    line = _AGAIN.sub(lambda match: match[0] + _INVISIBLE, line)
    return _SPECIAL.sub(lambda match: f"#{ord(match[0])};", line)


def dot(pipeline: Any) -> str:
    """Return `pipeline` in the language of Graphviz."""
    nodes, edges = _parts(pipeline)
    text = ["digraph pipeline {", "    rankdir=BT", "    node [shape=box]"]
    for number, entry in nodes.items():
        shape = "" if entry.kind == "stage" else ", style=rounded"
        text.append(f"    n{number} [label={_quoted(_lines(entry))}{shape}]")
    for source, reader, role in edges:
        name = f" [label={_quoted([role])}]" if role else ""
        text.append(f"    n{source} -> n{reader}{name}")
    return "\n".join([*text, "}"])


def _quoted(lines: list[str]) -> str:
    # Graphviz also decodes named characters, as in HTML
    for character, escaped in (("\\", "\\\\"), ('"', '\\"'), ("&", "&amp;")):
        lines = [line.replace(character, escaped) for line in lines]
    return '"' + "\\n".join(lines) + '"'
