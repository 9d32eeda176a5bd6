"""A pipeline as a tree in a notebook: static HTML, in the colours of the page around it."""

import html
from typing import Any

from seqtools._core.display.tree import Entry, place_of, survey

_STYLE = "font-family: monospace; line-height: 1.6; overflow-x: auto; white-space: nowrap"
_INNER = "margin-left: .4em; padding-left: 1em; border-left: 1px solid rgba(128, 128, 128, .5)"
_REMARK = "opacity: .8; padding-left: 1.5em; white-space: normal; overflow-wrap: anywhere"
_DIM = "opacity: .65; padding-left: 1.5em"


def html_page(stage: Any) -> str:
    """Return the tree of `stage` as HTML, whose branches can be folded.

    It has no script, loads nothing, and has no colours, so it fits light and dark pages.
    """
    entries = survey(stage)
    children: dict[int, list[int]] = {}
    for number, entry in enumerate(entries[1:], 1):
        children.setdefault(entry.parent, []).append(number)
    parts = [f'<div class="seqtools-tree" style="{_STYLE}">']
    # numbers of lines to write, and closing tags
    left: list[int | str] = [0]
    while left:
        each = left.pop()
        if isinstance(each, str):
            parts.append(each)
        elif each in children:
            summary = f"<summary>{_line(entries[each])}</summary>"
            parts.append(f'<details open>{summary}<div style="{_INNER}">')
            left += ["</div></details>", *reversed(children[each])]
        else:
            parts.append(f"<div>{_line(entries[each])}</div>")
    parts.append("</div>")
    return "\n".join(parts)


def _line(entry: Entry) -> str:
    text = f"<span>{html.escape(entry.label)}</span>"
    if entry.length:
        text += f'<span style="{_DIM}">{html.escape(entry.length)}</span>'
    if entry.place:
        file, line = entry.place
        whole = html.escape(f"{file}:{line}")
        place = html.escape(place_of(file, line))
        text += f'<span style="{_DIM}" title="{whole}">{place}</span>'
    if entry.remark:
        text += f'<div style="{_REMARK}">{html.escape(entry.remark)}</div>'
    return text
