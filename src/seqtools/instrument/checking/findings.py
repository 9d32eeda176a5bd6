"""The result of a check."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from seqtools.instrument.quantities import counted_as, duration, volume


@dataclass(frozen=True)
class Finding:
    """Something that will go wrong, or slower than it could."""

    what: str
    """What is wrong."""
    where: str
    """The stage, and where it was made."""
    advice: str
    """What to do."""

    def __str__(self) -> str:
        """Return three lines."""
        return f"{self.where}\n  {self.what}\n  -> {self.advice}"


@dataclass(frozen=True)
class Estimate:
    """Size and time of the items of a prefetch, from a few of them."""

    where: str
    """The prefetch, and where it was made."""
    items: int
    """How many items were evaluated."""
    window: int
    """How many items the window has room for, if all have this size."""
    size: int | None
    """Bytes of an item, `None` if unknown."""
    seconds: float | None
    """Time for an item, `None` if none was evaluated."""
    computing: float | None
    """Share of this time in which it computed, 0 to 1."""

    def __str__(self) -> str:
        """Return one line."""
        if self.seconds is None or self.computing is None:
            return f"no items evaluated, {self.window} items ready ahead"
        size = "of unknown size"
        if self.size is not None:
            size = f"of {volume(self.size)}, {volume(self.size * self.window)} for the window of "
            size += f"{self.window}"
        time = f"{duration(self.seconds)} each, computing {self.computing:.0%} of it"
        return f"items {size}; {time}"


class Findings(list[Finding]):
    """A list of findings, whose `str` is a report."""

    def __init__(self) -> None:
        super().__init__()
        self.estimates: list[Estimate] = []
        """One for each prefetch."""
        self.items = 0
        """How many items were evaluated where no workers evaluate them."""
        self._differing: set[str] = set()

    def add(self, what: str, where: str, advice: str) -> None:
        """Add a finding, unless it is there already."""
        finding = Finding(what, where, advice)
        if finding not in self:
            self.append(finding)

    def take(self, others: Iterable[Finding]) -> None:
        """Add other findings."""
        for other in others:
            self.add(other.what, other.where, other.advice)

    def take_differing(self, others: Iterable[Finding]) -> None:
        """Add findings about stages that differ, one for each place."""
        for other in others:
            if other.where not in self._differing:
                self._differing.add(other.where)
                self.append(other)

    def _summary(self) -> list[str]:
        """Return how much was found in what, and a line for each estimate."""
        among = counted_as(len(self.estimates), "prefetch", "prefetches")
        if not self.estimates and not self:
            none = "there is no prefetch with workers in this pipeline"
            if self.items:
                return [f"nothing found in {counted_as(self.items, 'item')}; {none}"]
            return [f"nothing to check: {none}"]
        if not self and len(self.estimates) == 1:
            estimate = self.estimates[0]
            looked = "" if estimate.items else " without evaluating items"
            return [f"nothing found{looked}: {estimate}"]
        found = counted_as(len(self), "finding") if self else "nothing found"
        lines = [f"{estimate.where}: {estimate}" for estimate in self.estimates]
        return [f"{found} in {among}" if self.estimates else found, *lines]

    def __str__(self) -> str:
        """Return the report."""
        head, *estimates = self._summary()
        lines = [head, *(f"\n{k}. {finding}" for k, finding in enumerate(self, 1))]
        return "\n".join([*lines, "", *estimates] if self or estimates else lines)

    def __repr__(self) -> str:
        """Return the report."""
        return str(self)

    def _repr_html_(self) -> str:
        """Return the report for a notebook, which wraps its lines."""
        head, *estimates = self._summary()
        findings = "".join(
            f'<li style="margin: .5em 0"><span style="font-family: monospace">{escape(found.where)}'
            f"</span><div>{escape(found.what)}</div><div>→ {escape(found.advice)}</div></li>"
            for found in self
        )
        measured = "".join(f'<div style="opacity: .7">{escape(each)}</div>' for each in estimates)
        return (
            f'<div class="seqtools-check" style="overflow-wrap: anywhere"><div>{escape(head)}</div>'
            f"<ol>{findings}</ol>{measured}</div>"
        )
