"""The colours of the stages of a profile, the same in its tree and in its lanes."""

from collections import Counter
from collections.abc import Iterator

from seqtools._core.display.tree import place_of
from seqtools._core.recording import LOAD, SEND, USE, WAIT
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.figures import Figures

REST, WAITING, SENDING, USING = "rest", "wait", "send", "use"
"""Colours, by the names of their CSS classes, of: stages without a colour of their own; time in a
prefetch, which only waits; values that are sent or received; the loop of the user. The class of a
stage with a colour of its own is `s0`, `s1`, …"""

_STAGES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#999933")
"""The first five are by Okabe and Ito (2008), the last by Tol (2021): readers who are colour-blind
distinguish them, and they are visible on white and on black."""
_OTHERS = {REST: "#8c6d5a", WAITING: "#8887", SENDING: "#d55e00", USING: "#64748b"}


class Palette:
    """A colour for each kind of record: the stages with the longest times have different ones."""

    def __init__(self, case: Case) -> None:
        self._case = case
        longest = sorted(
            (f for f in case.figures if f.calls and f.stage.kind != "prefetch"),
            key=lambda f: -f.everywhere,
        )
        self._classes = {f.stage.number: f"s{k}" for k, f in enumerate(longest[: len(_STAGES)])}
        for figure in case.figures:
            other = WAITING if figure.stage.kind == "prefetch" else REST
            self._classes.setdefault(figure.stage.number, other)
        self._classes[WAIT] = self._classes[case.recording.top]
        self._classes |= {SEND: SENDING, LOAD: SENDING, USE: USING}

    def class_of(self, what: int) -> str:
        """Return the CSS class for the number of a stage or a kind of record."""
        return self._classes[what]

    def names(self) -> dict[str, str]:
        """Return what each class stands for, in the order in which lanes stack them."""
        figures = {self._classes[f.stage.number]: f for f in reversed(self._case.figures)}
        count = Counter(f.stage.name for f in figures.values())
        names = {
            name: _name(figures[name], alone=count[figures[name].stage.name] == 1)
            for name in sorted(figures)
            if name not in _OTHERS
        }
        return names | {
            REST: "other stages",
            SENDING: "sends or receives values",
            WAITING: "waits for prefetch",
            USING: "your loop",
        }

    def style(self) -> Iterator[str]:
        """Yield the rules of the colours, for shapes and for boxes."""
        classes = dict.fromkeys(self._classes.values())
        colours = {f"s{k}": colour for k, colour in enumerate(_STAGES)} | _OTHERS
        for name in classes:
            yield f" .{name}{{fill:{colours[name]};background:{colours[name]}}}"

    def highlights(self) -> Iterator[str]:
        """Yield rules that dim all other colours of lanes while something of one is pointed at."""
        for name in dict.fromkeys(self._classes.values()):
            pointed = f":has([data-of={name}]:is(:hover,:focus))"
            yield f"{pointed} [data-lane] path:not(.{name},.grid){{opacity:.12}}"


def _name(figure: Figures, *, alone: bool) -> str:
    stage = figure.stage
    return stage.name if alone or not stage.site[0] else f"{stage.name} {place_of(*stage.site)}"
