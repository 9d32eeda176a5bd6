"""A profile as HTML, without scripts or network: the report, and a page of it."""

import os
from collections.abc import Iterable, Iterator
from html import escape

from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.machine import circumstances
from seqtools.instrument.profiling.palette import Palette
from seqtools.instrument.profiling.report import (
    ceiling,
    effect,
    headline,
    remarks,
)
from seqtools.instrument.profiling.stage_tree import stage_tree
from seqtools.instrument.profiling.style import PAGE, REPORT
from seqtools.instrument.profiling.timeline import timeline
from seqtools.instrument.profiling.verdict import Verdict, judge
from seqtools.instrument.quantities import duration, share

_SLOWEST = 8


def write_page(case: Case, path: "str | os.PathLike[str]") -> None:
    """Write the page.

    Raises:
        OSError: If the file cannot be written.
    """
    with open(path, "w", encoding="utf-8") as file:
        file.write('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">')
        file.write('<meta name="viewport" content="width=device-width,initial-scale=1">')
        file.write(f"<title>{escape(headline(case, judge(case)))}</title><style>{PAGE}</style>")
        file.write(f"</head><body>\n{html_report(case)}</body></html>\n")


def html_report(case: Case) -> str:
    """Return the report as HTML: the verdict, the stages, threads over time, and remarks."""
    palette = Palette(case)
    return _fragment([*palette.style(), *palette.highlights()], _report(case, palette))


def html_verdict(case: Case) -> str:
    """Return the verdict as HTML: what to try, and why."""
    return _fragment([], _verdict(case, judge(case)))


def _fragment(rules: Iterable[str], parts: Iterable[str]) -> str:
    style = "".join(f".seqtools-report{rule}\n" for rule in rules)
    return f'<div class="seqtools-report"><style>{REPORT}{style}</style>\n{"".join(parts)}</div>\n'


def _report(case: Case, palette: Palette) -> Iterator[str]:
    yield from _verdict(case, judge(case))
    yield '<section class="facts" aria-label="figures">'
    yield from (
        f"<div><strong>{text}</strong><span>{title}</span></div>" for title, text in _facts(case)
    )
    yield '</section>\n<section><h2>Stages<span class="dim">times of all workers; bars are '
    yield "pale where a stage waits</span></h2>\n"
    yield from stage_tree(case, palette)
    yield "</section>\n<section><h2>Threads over time</h2>\n"
    yield from timeline(case, palette)
    yield "</section>\n"
    slowest = sorted(case.measures.served, key=lambda item: -item.took)[:_SLOWEST]
    if slowest:
        yield '<section><h2>Slowest items</h2>\n<ol class="slow">'
        for item in slowest:
            part = share(item.computing / item.took if item.took else 0.0)
            rows = escape(case.rows_of(item))
            yield f"<li>item {item.index:,}: {duration(item.took)}, computing {part}{rows}</li>"
        yield "</ol></section>\n"
    yield "<section><h2>Start, transfer and window</h2>\n"
    yield from (f"<p>{escape(text)}</p>" for text in remarks(case))
    yield '</section>\n<dl class="about">'
    yield from (
        f"<dt>{title}</dt><dd>{escape(text)}</dd>" for title, text in circumstances(case.recording)
    )
    yield "</dl>\n"


def _verdict(case: Case, found: Verdict) -> Iterator[str]:
    yield f'<section><h1 class="verdict">{escape(headline(case, found))}</h1>\n'
    if found.advice:
        yield '<h2>Try, in this order<span class="dim">bars: expected time, of the time now</span>'
        yield '</h2>\n<ol class="advice">'
        for advice in found.advice:
            yield f"<li><div><code>{escape(advice.text)}</code>"
            yield f"<div>{escape(effect(case, advice))}</div>"
            if not case.too_short:
                now = case.measures.start + case.measures.seconds
                part = min(1.0, advice.whole(case) / now)
                yield f'<div class="gain"><i style="width:{100 * part:.1f}%"></i></div>'
            yield "</div></li>"
        yield "</ol>\n"
    yield '<h2>Because</h2>\n<ul class="because">'
    yield from (f"<li>{escape(reason)}</li>" for reason in found.because)
    if found.ceiling is not None:
        yield from (f"<li>{escape(line)}</li>" for line in ceiling(case, found.ceiling))
    yield "</ul></section>\n"


def _facts(case: Case) -> Iterator[tuple[str, str]]:
    """Yield titles and texts of the main figures."""
    m = case.measures
    yield "items", f"{m.items:,}"
    yield "from the first item", duration(m.seconds)
    yield "until the first item", duration(m.start)
    if m.seconds:
        yield "items a second", f"{case.count / m.seconds:,.4g}"
        yield "your loop waited", share(min(1.0, case.waited / m.seconds))
        yield "cores used", f"{m.processor:.1f} of {case.cores}"
    if case.workers:
        yield "workers busy", f"{m.busy:.1f} of {case.workers}"
