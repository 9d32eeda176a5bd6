"""A profile as one page of HTML: no script, no network, light or dark as the reader's system is."""

import html
import os
from collections.abc import Iterator

from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.report import (
    HEADS,
    ceiling,
    cells,
    effect,
    headline,
    in_order,
    remarks,
)
from seqtools.instrument.profiling.tracks import (
    BACKGROUND,
    CONSUMER,
    SEND,
    USE,
    WAIT,
    WORKER,
    Recording,
    Track,
)
from seqtools.instrument.profiling.verdict import judge
from seqtools.instrument.quantities import duration, share

_WIDTH = 1000
"""Units of a drawing from left to right, which are as many as can be told apart."""
_LANE = 22
_MOST_LANES = 64
_SLOWEST = 8
_COLOURS = {"busy": "busy", "send": "hands over", "wait": "waits", "use": "uses an item"}
"""What each of the colours of the style means."""

_STYLE = """
:root{color-scheme:light dark;--line:#8884}
:root{--busy:#2f7dd1;--wait:#d9822b;--send:#8e5bc0;--use:#3a9a5b}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:70rem}
h1{font-size:1.4rem;margin:.2rem 0}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}
p,ul,ol{margin:.3rem 0}li{margin:.25rem 0}.muted{opacity:.75;font-size:.9rem}
code{font-size:.92em;overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}
table{font-variant-numeric:tabular-nums}
th,td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child,th:last-child,td:last-child{text-align:left}
.lane{display:flex;align-items:center;gap:.5rem}.lane>span{flex:0 0 7.5rem;font-size:.85rem;
overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.lane>svg,.fill svg{flex:1;width:100%;height:22px;background:#8881;border-radius:3px}
.fill svg{height:80px}
.b{fill:var(--busy)}.w{fill:var(--wait)}.s{fill:var(--send)}.u{fill:var(--use)}
.key i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin:0 .3em 0 .9em}
@media(max-width:40rem){.lane>span{flex-basis:5rem}body{padding:.6rem;font-size:15px}}
"""


def write_page(recording: Recording, path: "str | os.PathLike[str]") -> None:
    """Write the page.

    Raises:
        OSError: If it cannot be written.
    """
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(_page(Case(recording)))


def _page(case: Case) -> Iterator[str]:
    found, recording = judge(case), case.recording
    title = html.escape(headline(case, found))
    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head><body>\n"
    yield f'<h1 id="verdict">{title}</h1>\n<ul id="because">'
    yield from (f"<li>{html.escape(reason)}</li>" for reason in found.because)
    yield "</ul>\n"
    if found.ceiling is not None:
        yield f'<p id="ceiling">{html.escape(ceiling(case, found.ceiling))}</p>\n'
    if found.advice:
        yield '<h2>What to try, in this order</h2>\n<ol id="advice">'
        for advice in found.advice:
            yield f"<li><code>{html.escape(advice.text)}</code><br>"
            yield f'<span class="muted">{html.escape(effect(case, advice))}</span></li>'
        yield "</ol>\n"
    yield "<h2>Who did what when</h2>\n"
    yield '<p class="key muted">from the beginning to the end of the profile, '
    yield f"{duration((recording.end - recording.began) / 1e9)}:"
    for colour, what in _COLOURS.items():
        yield f'<i style="background:var(--{colour})"></i>{what}'
    yield "</p>\n"
    lanes = [t for role in (CONSUMER, WORKER, BACKGROUND) for t in recording.lanes(role)]
    for track in lanes[:_MOST_LANES]:
        yield from _lane(track, recording)
    if len(lanes) > _MOST_LANES:
        yield f'<p class="muted">and {len(lanes) - _MOST_LANES} more</p>\n'
    yield from _fill(case)
    yield from _stages(case)
    yield from _slowest(case)
    yield '<h2>Besides</h2>\n<ul id="besides">'
    yield from (f"<li>{html.escape(line)}</li>" for line in remarks(case))
    yield "</ul>\n</body></html>\n"


def _lane(track: Track, recording: Recording) -> Iterator[str]:
    name = html.escape(track.name)
    yield f'<div class="lane" data-lane="{name}"><span title="process {track.pid}">{name}</span>'
    yield f'<svg viewBox="0 0 {_WIDTH} {_LANE}" preserveAspectRatio="none" role="img">'
    yield f"<title>{name}</title>"
    if track.role == CONSUMER:
        kinds = [("w", track.spans(WAIT)), ("u", track.spans(USE))]
    else:
        kinds = [("b", track.outermost()), ("s", track.spans(SEND))]
    for kind, records in kinds:
        yield from _bars(kind, ((r.begin, r.end) for r in records), recording)
    yield "</svg></div>\n"


def _bars(kind: str, times: Iterator[tuple[int, int]], recording: Recording) -> Iterator[str]:
    """Yield a drawing of times, where a unit of it is as dark as it is full."""
    units = [0.0] * _WIDTH
    unit = max(1, recording.end - recording.began) / _WIDTH
    for begin, end in times:
        first, last = (begin - recording.began) / unit, (end - recording.began) / unit
        for k in range(max(0, int(first)), min(_WIDTH - 1, int(last)) + 1):
            units[k] += max(0.0, min(last, k + 1) - max(first, k))
    k = 0
    while k < _WIDTH:
        level, begin = round(5 * min(1.0, units[k]) + 0.4), k
        while k < _WIDTH and round(5 * min(1.0, units[k]) + 0.4) == level:
            k += 1
        if level:
            dark = f' fill-opacity="{level / 5:g}"' if level < 5 else ""  # noqa: PLR2004
            yield f'<rect class="{kind}" x="{begin}" width="{k - begin}" height="{_LANE}"{dark}/>'


def _fill(case: Case) -> Iterator[str]:
    fill = case.measures.fill
    if not fill:
        return
    most = max(1, *(capacity for _, _, capacity, _ in fill))
    end = (case.recording.end - case.recording.began) / 1e9
    step = max(1, len(fill) // _WIDTH)
    places = [
        f"{_WIDTH * at / end:.1f},{80 - 76 * min(ready, most) / most:.1f}"
        for at, ready, _, _ in fill[::step]
    ]
    last = _WIDTH * fill[-1][0] / end
    yield f"<h2>Items that were ready, of a window of {most:,}</h2>\n"
    yield f'<div class="fill" id="fill"><svg viewBox="0 0 {_WIDTH} 80" preserveAspectRatio="none">'
    yield f'<polygon class="u" points="0,80 {" ".join(places)} {last:.1f},80"/></svg></div>\n'


def _stages(case: Case) -> Iterator[str]:
    yield '<h2>Stages, with the times of all workers</h2>\n<div class="wide"><table id="stages">'
    yield "<tr>" + "".join(f"<th>{head}</th>" for head in ("stage", *HEADS)) + "</tr>\n"
    for figure, depth in in_order(case):
        indent, name = f'style="padding-left:{0.6 + depth}rem"', html.escape(figure.stage.name)
        yield f"<tr><td {indent}><code>{name}</code></td>"
        yield "".join(f"<td>{html.escape(cell)}</td>" for cell in cells(figure)) + "</tr>\n"
    yield "</table></div>\n"


def _slowest(case: Case) -> Iterator[str]:
    served = sorted(case.measures.served, key=lambda i: -i.took)[:_SLOWEST]
    if not served:
        return
    yield '<h2>Slowest items</h2>\n<div class="wide"><table id="slowest">'
    yield "<tr><th>item</th><th>took</th><th>computing</th><th></th></tr>\n"
    for item in served:
        part = share(item.computing / item.took) if item.took else ""
        row = (f"{item.index:,}", duration(item.took), part, "")
        yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n"
    yield "</table></div>\n"
