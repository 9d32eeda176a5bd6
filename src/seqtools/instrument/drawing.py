"""Nodes and edges, and how they are written in the languages of Mermaid and Graphviz."""

from typing import Any

from seqtools.brief import cut
from seqtools.showing import Entry, place_of, survey

_LONGEST = 60
"""Characters of a line in a node. Arbitrary."""

# Mermaid has no escapes but numbers of characters. Within quotes these have a meaning.
_SPECIAL = frozenset('"#&<>`%\\')


def _parts(pipeline: Any) -> tuple[dict[int, Entry], list[tuple[int, int, str]]]:
    """Return the nodes by number, and edges: what is read, what reads it, and as what."""
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
    return [cut(line, _LONGEST) for line in (entry.text, entry.length, place) if line]


def mermaid(pipeline: Any) -> str:
    """Return `pipeline` as Mermaid draws it."""
    nodes, edges = _parts(pipeline)
    text = ["flowchart BT"]
    for number, entry in nodes.items():
        label = "<br>".join("".join(map(_entity, line)) for line in _lines(entry))
        begin, end = ("[", "]") if entry.kind == "stage" else ("([", "])")
        text.append(f'    n{number}{begin}"{label}"{end}')
    for source, reader, role in edges:
        name = f'|"{"".join(map(_entity, role))}"|' if role else ""
        text.append(f"    n{source} -->{name} n{reader}")
    return "\n".join(text)


def _entity(character: str) -> str:
    return f"#{ord(character)};" if character in _SPECIAL else character


def dot(pipeline: Any) -> str:
    """Return `pipeline` as Graphviz draws it."""
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
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'
