"""The stages of a profile as a tree with their times, in HTML."""

from collections.abc import Iterator
from html import escape

from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.figures import Figures
from seqtools.instrument.profiling.palette import Palette
from seqtools.instrument.profiling.report import HEADS, cells, in_order

_DEEPEST = 8
"""Deepest indentation: stages below it are indented like it, so that they fit on a phone."""


def stage_tree(case: Case, palette: Palette) -> Iterator[str]:
    """Yield a row for each stage, in the colour that it has in the lanes.

    On a narrow page, the figures of a stage stand below its name.
    """
    longest = max((f.own for f in case.figures), default=0.0)
    yield '<div class="stages" role="table" aria-label="stages">\n<div role="row" class="heads">'
    for head in ("stage", "", *HEADS):
        yield f'<span role="columnheader">{head}</span>'
    yield "</div>\n"
    for figure, depth in in_order(case):
        yield from _row(figure, depth, longest, palette)
    yield "</div>\n"


def _row(figure: Figures, depth: int, longest: float, palette: Palette) -> Iterator[str]:
    kind = palette.class_of(figure.stage.number)
    *numbers, notes = cells(figure)
    yield f'<div role="row" data-of="{kind}" tabindex="0">'
    yield f'<div role="rowheader" class="stage" style="--depth:{min(depth, _DEEPEST)}">'
    yield f'<i class="{kind}"></i><div><code>{escape(figure.stage.name)}</code>'
    yield f'<div class="dim">{escape(notes)}</div></div></div>'
    part = figure.own / longest if longest else 0.0
    yield f'<div role="cell" class="bar"><i class="{kind}" style="width:{100 * part:.1f}%"></i>'
    if figure.computing is not None and kind != "wait":
        width = 100 * part * figure.computing
        yield f'<i class="{kind} computes" style="width:{width:.1f}%"></i>'
    yield "</div>"
    for head, text in zip(HEADS, numbers, strict=True):
        yield f'<div role="cell" class="number" data-head="{head}">{text or "-"}</div>'
    yield "</div>\n"
