"""A profile as one page of HTML, without scripts or network, light or dark as the system is."""

import os
from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby
from operator import itemgetter

from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.report import remarks, stage_lines, verdict_lines
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
from seqtools.instrument.quantities import duration, share

_WIDTH = 1000
"""Units of a drawing from left to right."""
_HEIGHT = 22
_MOST_TRACKS = 64
_SLOWEST = 8
_COLOURS = {"busy": "busy", "send": "sends", "wait": "waits", "use": "uses an item"}
"""What each colour of the style means."""

_STYLE = """
:root{color-scheme:light dark}
:root{--busy:#2f7dd1;--wait:#d9822b;--send:#8e5bc0;--use:#3a9a5b}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:70rem}
h1{font-size:1.4rem;margin:.2rem 0}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}
pre{font-size:.85rem;margin:.3rem 0;overflow-x:auto}.text{white-space:pre-wrap}
.lane{display:flex;align-items:center;gap:.5rem}.lane>span{flex:0 0 7.5rem;font-size:.85rem;
overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.lane>svg,.fill svg{flex:1;width:100%;height:22px;background:#8881;border-radius:3px}
.fill svg{height:80px}
.b{fill:var(--busy)}.w{fill:var(--wait)}.s{fill:var(--send)}.u{fill:var(--use)}
.key i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin:0 .3em 0 .9em}
@media(max-width:40rem){.lane>span{flex-basis:5rem}body{padding:.6rem;font-size:15px}}
"""


def write_page(case: Case, path: "str | os.PathLike[str]") -> None:
    """Write the page.

    Raises:
        OSError: If the file cannot be written.
    """
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(_page(case))


def _page(case: Case) -> Iterator[str]:
    recording = case.recording
    verdict, *reasons = verdict_lines(case)
    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield f"<title>{escape(verdict)}</title><style>{_STYLE}</style></head><body>\n"
    yield f'<h1 id="verdict">{escape(verdict)}</h1>\n'
    yield _text(reasons[1:], style="text")
    yield "<h2>Threads over time</h2>\n"
    yield f'<p class="key">the {duration((recording.end - recording.began) / 1e9)} of the profile:'
    for colour, what in _COLOURS.items():
        yield f'<i style="background:var(--{colour})"></i>{what}'
    yield "</p>\n"
    tracks = [t for role in (CONSUMER, WORKER, BACKGROUND) for t in recording.tracks_of(role)]
    for track in tracks[:_MOST_TRACKS]:
        yield from _lane(track, recording)
    if len(tracks) > _MOST_TRACKS:
        yield f"<p>and {len(tracks) - _MOST_TRACKS} more</p>\n"
    yield from _fill(case)
    title, *table = stage_lines(case)
    yield f"<h2>{escape(title.capitalize())}</h2>\n"
    yield _text(table)
    slowest = sorted(case.measures.served, key=lambda item: -item.took)[:_SLOWEST]
    if slowest:
        yield "<h2>Slowest items</h2>\n"
        yield _text(
            f"  item {item.index:,}: {duration(item.took)}, "
            f"computing {share(item.computing / item.took if item.took else 0.0)}"
            for item in slowest
        )
    yield "<h2>Start, transfer and window</h2>\n"
    yield _text(remarks(case), style="text")
    yield "</body></html>\n"


def _text(lines: Iterable[str], style: str = "table") -> str:
    return f'<pre class="{style}">{escape(chr(10).join(lines))}</pre>\n'


def _lane(track: Track, recording: Recording) -> Iterator[str]:
    name = escape(track.name)
    yield f'<div class="lane" data-lane="{name}"><span title="{escape(track.home)}">{name}</span>'
    yield f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img">'
    yield f"<title>{name}</title>"
    if track.role == CONSUMER:
        kinds = [("w", track.spans(WAIT)), ("u", track.spans(USE))]
    else:
        kinds = [("b", track.outermost()), ("s", track.spans(SEND))]
    for kind, records in kinds:
        yield from _bars(kind, ((r.begin, r.end) for r in records), recording)
    yield "</svg></div>\n"


def _bars(kind: str, times: Iterable[tuple[int, int]], recording: Recording) -> Iterator[str]:
    """Yield a drawing in which each unit is as dark as the share of its time that is covered."""
    covered = [0.0] * _WIDTH
    unit = max(1, recording.end - recording.began) / _WIDTH
    for begin, end in times:
        first, last = (begin - recording.began) / unit, (end - recording.began) / unit
        for k in range(max(0, int(first)), min(_WIDTH - 1, int(last)) + 1):
            covered[k] += max(0.0, min(last, k + 1) - max(first, k))
    levels = [round(5 * min(1.0, each) + 0.4) for each in covered]
    for level, run in groupby(enumerate(levels), key=itemgetter(1)):
        if level:
            places = [k for k, _ in run]
            box = f'x="{places[0]}" width="{len(places)}" height="{_HEIGHT}"'
            yield f'<rect class="{kind}" {box} fill-opacity="{level / 5:g}"/>'


def _fill(case: Case) -> Iterator[str]:
    """Yield a drawing of the items that were ready."""
    fill = case.measures.fill
    if not fill:
        return
    most = max(1, *(each.capacity for each in fill))
    scale = _WIDTH * 1e9 / (case.recording.end - case.recording.began)
    places = [
        f"{scale * each.seconds:.1f},{80 - 76 * min(each.ready, most) / most:.1f}"
        for each in fill[:: max(1, len(fill) // _WIDTH)]
    ]
    last = scale * fill[-1].seconds
    yield f"<h2>Items that were ready, of a window of {most:,}</h2>\n"
    yield f'<div class="fill" id="fill"><svg viewBox="0 0 {_WIDTH} 80" preserveAspectRatio="none">'
    yield f'<polygon class="u" points="0,80 {" ".join(places)} {last:.1f},80"/></svg></div>\n'
