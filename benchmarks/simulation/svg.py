"""Line charts as SVG files, small and without a library."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 180, 36, 48
_COLOURS = ("#2f6fbf", "#d9730d", "#3a9a5b", "#b0413e", "#7a5cc2", "#8a7a1f")
_GREY = "#808080"  # to be read on light and on dark pages


class Line(NamedTuple):
    """A line of a chart.

    Args:
        name: As it stands in the legend.
        points: Its points, from left to right.
        dashed: Whether it is dashed; it has the colour of the line before it then.
    """

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


class Axis(NamedTuple):
    """An axis of a chart, whose marks are its first and last value and those in between.

    Args:
        name: What it shows, with the unit.
        marks: Values that are written on it.
        logarithmic: Whether equal distances are equal quotients.
    """

    name: str
    marks: Sequence[float]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return where a value is, from 0 to 1."""
        low, high = self.marks[0], self.marks[-1]
        value = min(max(value, low), high)
        if self.logarithmic:
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)


def chart(title: str, x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """Return a chart as SVG."""
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return _LEFT + width * x.place(point[0]), _TOP + height * (1 - y.place(point[1]))

    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
    font = f'font-family="sans-serif" font-size="13" fill="{_GREY}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} {font}>',
        f"<title>{escape(title)}</title>",
        _text(_LEFT, 20, title, "start", ' font-weight="bold"'),
    ]
    for value in x.marks:
        place = at((value, y.marks[0]))
        parts += [
            _line(place, (place[0], _TOP)),
            _text(place[0], _TOP + height + 18, f"{value:,g}", "middle"),
        ]
    for value in y.marks:
        place = at((x.marks[0], value))
        parts += [
            _line(place, (_LEFT + width, place[1])),
            _text(_LEFT - 8, place[1] + 4, f"{value:,g}", "end"),
        ]
    parts.append(_text(_LEFT + width / 2, _HEIGHT - 10, x.name, "middle"))
    middle = _TOP + height / 2
    turned = f' transform="rotate(-90 16 {middle:.0f})"'
    parts.append(_text(16, middle, y.name, "middle", turned))
    colour = -1
    for k, line in enumerate(lines):
        colour += not line.dashed
        stroke = f'stroke="{_COLOURS[colour % len(_COLOURS)]}" stroke-width="2.2"'
        stroke += ' stroke-dasharray="5 4"' if line.dashed else ""
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in map(at, line.points))
        parts.append(f'<polyline points="{points}" fill="none" {stroke}/>')
        level, left = _TOP + 10 + 20 * k, _WIDTH - _RIGHT + 14
        parts += [
            f'<path d="M{left} {level} h24" {stroke}/>',
            _text(left + 32, level + 4, line.name, "start"),
        ]
    return "\n".join([*parts, "</svg>", ""])


def _line(a: tuple[float, float], b: tuple[float, float]) -> str:
    ends = f'x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}"'
    return f'<line {ends} stroke="{_GREY}" stroke-opacity="0.3"/>'


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'
