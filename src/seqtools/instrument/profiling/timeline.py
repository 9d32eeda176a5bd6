"""What threads did over time and how full the window was, in one drawing with one time axis."""

from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby
from math import ceil
from operator import itemgetter
from typing import NamedTuple

from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.measures import Fill
from seqtools.instrument.profiling.palette import Palette
from seqtools.instrument.profiling.tracks import (
    BACKGROUND,
    CONSUMER,
    LOAD,
    SEND,
    USE,
    WAIT,
    WORKER,
    Track,
)
from seqtools.instrument.quantities import share

WIDTH = 1000
"""Units of each drawing from left to right, for the time of the whole profile."""
_HEIGHT, _LEVELS = 20, 20
_WINDOW_HEIGHT = 60
_COLUMNS, _COLUMNS_IF_MANY, _MANY = 500, 250, 12
"""Columns of a lane, which has fewer if there are many, so that the page stays below a megabyte."""
_MOST_TRACKS = 64
_MOST_STEPS = 9
"""Most steps between the ticks of the axis."""
_MOST_LABELS = 3
"""Most labels of the axis that have room on a phone, which hides the others."""
_AT_THE_END = 0.87 * WIDTH
"""From here, a label ends at its place; all others have it in their middle."""

_UNITS = (
    *(("h", 3600 * 10**9, 3), ("min", 60 * 10**9, 3)),
    *(("s", 10**9, 1), ("ms", 10**6, 1), ("µs", 1000, 1), ("ns", 1, 1)),
)
"""Names of units, their nanoseconds, and how many of them a time has for which they are used."""


class Axis(NamedTuple):
    """The time axis of all drawings."""

    began: int
    """Time of the recording at the left, in nanoseconds."""
    nanoseconds: int
    """Time from left to right."""

    def place(self, time: int) -> float:
        """Return where a time of the recording is, from 0 to `WIDTH`."""
        return WIDTH * (time - self.began) / self.nanoseconds

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Yield places and labels: round numbers in one unit.

        Example:
            >>> list(Axis(0, 25_000_000).ticks())[:3]
            [(0.0, '0'), (200.0, '5 ms'), (400.0, '10 ms')]
        """
        unit, size = next(
            (unit, size) for unit, size, least in _UNITS if self.nanoseconds >= least * size
        )
        step = next(
            size * digit * 10**power // 10
            for power in range(12)
            for digit in (1, 2, 5)
            if size * digit * 10**power * _MOST_STEPS >= 10 * self.nanoseconds
        )
        for time in range(0, self.nanoseconds + 1, max(1, step)):
            yield WIDTH * time / self.nanoseconds, f"{time / size:g} {unit}" if time else "0"


def timeline(case: Case, palette: Palette) -> Iterator[str]:
    """Yield the drawing."""
    recording = case.recording
    axis = Axis(recording.began, max(1, recording.end - recording.began))
    tracks = [t for role in (CONSUMER, WORKER, BACKGROUND) for t in recording.tracks_of(role)]
    shown = tracks[:_MOST_TRACKS]
    columns = _COLUMNS if len(shown) <= _MANY else _COLUMNS_IF_MANY
    lanes = [Lane(track, axis, palette, columns) for track in shown]
    names = palette.names()
    yield '<ul class="key">'
    for kind, name in names.items():
        if any(lane.total(kind) for lane in lanes):
            yield f'<li data-of="{kind}" tabindex="0"><i class="{kind}"></i>{escape(name)}</li>'
    yield '</ul>\n<div class="time">'
    yield from _axis(axis)
    grid = f'<path class="grid" d="{"".join(f"M{x:g} 0v100" for x, _ in axis.ticks())}"/>'
    for lane in lanes:
        yield from lane.drawing(names, grid)
    if len(tracks) > len(shown):
        yield f'<span></span><span class="dim">and {len(tracks) - len(shown)} more</span>'
    if case.measures.fill:
        last = max(r.end for t in recording.tracks_of(CONSUMER) for r in t.records)
        yield from _window(case.measures.fill, axis, grid, axis.place(last))
    yield from _axis(axis)
    yield "</div>\n"


def _axis(axis: Axis) -> Iterator[str]:
    ticks = list(axis.ticks())
    shown = ceil(len(ticks) / _MOST_LABELS)
    yield '<span></span><div class="axis" aria-hidden="true">'
    for k, (x, label) in enumerate(ticks):
        kinds = ["more"] * bool(k % shown) + ["last"] * (x > _AT_THE_END)
        kind = f' class="{" ".join(kinds)}"' if kinds else ""
        yield f'<span{kind} style="left:{100 * x / WIDTH:g}%">{label}</span>'
    yield "</div>\n"


class Lane:
    """What one thread did: the share of the time of each column that each colour takes."""

    def __init__(self, track: Track, axis: Axis, palette: Palette, columns: int) -> None:
        self._track = track
        self._columns = columns
        self._unit = axis.nanoseconds / columns
        self._began = axis.began
        self._shares: dict[str, list[float]] = {}
        for record, inner in track.nested(WAIT, SEND, LOAD):
            shares = self._of(palette.class_of(record.what))
            begin = record.begin
            for each in inner:
                self._add(shares, begin, each.begin)
                begin = each.end
            self._add(shares, begin, record.end)
        for record in track.spans(USE):
            self._add(self._of(palette.class_of(USE)), record.begin, record.end)

    def _of(self, kind: str) -> list[float]:
        if kind not in self._shares:
            self._shares[kind] = [0.0] * self._columns
        return self._shares[kind]

    def _add(self, shares: list[float], begin: int, end: int) -> None:
        first, last = (begin - self._began) / self._unit, (end - self._began) / self._unit
        first, last = max(0.0, first), min(float(self._columns), last)
        if first >= last:
            return
        for k in range(int(first), min(self._columns - 1, int(last)) + 1):
            shares[k] += min(last, k + 1) - max(first, k)

    def total(self, kind: str) -> float:
        """Return the share of the whole time."""
        return sum(self._shares.get(kind, ())) / self._columns

    def drawing(self, names: dict[str, str], grid: str) -> Iterator[str]:
        """Yield the lane: in each column, colours are as high as their shares of its time."""
        name, home = escape(self._track.name), escape(self._track.home)
        parts = sorted(((self.total(kind), names[kind]) for kind in self._shares), reverse=True)
        text = ", ".join(f"{escape(what)} {share(total)}" for total, what in parts)
        yield f'<span class="name" title="{home}">{name}</span>'
        yield f'<svg data-lane="{name}" role="img" aria-label="{name}: {text}" {_box(_HEIGHT)}>'
        yield f"<title>{name}, {home}: {text}</title>{grid}"
        below = [0] * self._columns
        shares = [0.0] * self._columns
        for kind in names:
            if kind in self._shares:
                shares = [a + b for a, b in zip(shares, self._shares[kind], strict=True)]
                # what is there at all is visible
                tops = [
                    max(level, min(_LEVELS, round(_LEVELS * part)), 1 if part > 0 else 0)
                    for part, level in zip(shares, below, strict=True)
                ]
                yield f'<path class="{kind}" d="{"".join(self._boxes(below, tops))}"/>'
                below = tops
        yield "</svg>\n"

    def _boxes(self, below: list[int], tops: list[int]) -> Iterator[str]:
        width = WIDTH // self._columns
        runs = groupby(enumerate(zip(below, tops, strict=True)), key=itemgetter(1))
        for (low, high), run in runs:
            if high > low:
                places = [k for k, _ in run]
                x, wide = width * places[0], width * len(places)
                yield f"M{x} {_LEVELS - high}h{wide}v{high - low}h-{wide}z"


def _box(height: int) -> str:
    return f'viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="none"'


def _window(fill: list[Fill], axis: Axis, grid: str, end: float) -> Iterator[str]:
    """Yield the number of items that were ready, which changes in steps, and the room for them."""
    most = max(1, *(each.capacity for each in fill))
    times = [axis.began + round(each.seconds * 1e9) for each in fill]
    ready, room = (
        "".join(_steps(zip(map(axis.place, times), counts, strict=True), most, end))
        for counts in ([each.ready for each in fill], [each.capacity for each in fill])
    )
    yield f'<span class="scale"><span>{most:,}</span><span class="name">items ready</span>'
    yield f'<span>0</span></span><svg data-lane="window" role="img" {_box(_WINDOW_HEIGHT)} '
    yield f'aria-label="items ready, of a window of {most:,}">'
    yield f"<title>items ready, of a window of {most:,}</title>{grid}"
    begin = axis.place(times[0])
    yield f'<path class="ready" d="{ready}V{_WINDOW_HEIGHT}H{begin:.1f}z"/>'
    yield f'<path class="room" d="{room}"/></svg>\n'


def _steps(samples: Iterable[tuple[float, int]], most: int, end: float) -> Iterator[str]:
    """Yield a line that keeps each value until the next sample, and the last one up to `end`.

    In each unit of the drawing, it goes to the least and the greatest value in it.
    """
    begun = False
    for _, group in groupby(samples, key=lambda sample: int(sample[0])):
        near = list(group)
        heights = [_WINDOW_HEIGHT - (_WINDOW_HEIGHT - 2) * min(n, most) / most for _, n in near]
        x = near[0][0]
        yield f"H{x:.1f}V{heights[0]:.1f}" if begun else f"M{x:.1f} {heights[0]:.1f}"
        begun = True
        for y in dict.fromkeys((min(heights), max(heights), heights[-1])):
            if len(near) > 1:
                yield f"V{y:.1f}"
    yield f"H{end:.1f}"
