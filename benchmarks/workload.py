"""What a workload is: contestants, what is measured of them, and what ours must reach."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Cluster = Literal["pool", "loky", "dask", "ray"]
Kind = Literal["process", "thread", "inline"] | Cluster
Role = Literal["ours", "before", "peer", "limit", "base"]
KINDS: dict[Kind, str] = {
    "process": "processes",
    "thread": "threads",
    "inline": "in-process",
    "pool": "process pool",
    "loky": "loky",
    "dask": "Dask",
    "ray": "Ray",
}
"""What the table calls them."""
BEFORE = " (before)"  # ends the names of contestants of ours that run at an older commit


@dataclass(frozen=True)
class Figure:
    """One number that is measured of every contestant.

    Args:
        name: Its key in what `measure` returns.
        label: The head of its column, with the unit.
        higher: Whether more is better.
        unit: What the number is divided by to be printed: 1e6 for millions.
    """

    name: str
    label: str
    higher: bool = False
    unit: float = 1.0


@dataclass(frozen=True)
class Target:
    """What a contestant of ours must reach.

    Args:
        ours: Name of the contestant.
        text: The requirement in words.
        at_least: Least acceptable figure.
        at_most: Greatest acceptable figure.
        of: Contestant whose figure is the unit of the bound, or `best process`, `best thread`,
            `best dask` and so on for the best peer of that kind, `best other` for that of any;
            with `None`, the bound is absolute.
        figure: Name of the figure; with `None`, the first of the workload.
    """

    ours: str
    text: str
    at_least: float | None = None
    at_most: float | None = None
    of: str | None = None
    figure: str | None = None


@dataclass(frozen=True)
class Contestant:
    """One way of doing the work.

    Args:
        name: As it stands in the table.
        run: Sets up whatever is not to be timed, and returns what `measure` takes.
        role: Ours, ours at an older commit, a peer, the hand-written limit, or the base of
            ratios.
        kind: Where the work is done; peers are compared with ours of the same kind.
        package: The distribution whose version is recorded.
    """

    name: str
    run: Callable[[], Any]
    role: Role
    kind: Kind
    package: str | None

    @property
    def needs_original(self) -> bool:
        """Whether this runs in the environment that has SeqTools 1.x."""
        return self.package == "SeqTools"


@dataclass
class Workload:
    """A piece of work, and those who do it.

    Args:
        title: The head of its section in the table.
        text: What is computed, what the clock covers, what the limit is; Markdown.
        figures: What is measured, the most important first.
        measure: Consumes what a contestant's function returned, checks every value and their
            order, and returns the figures. Raises if anything is wrong.
        relative_to: Contestant whose median is the unit in which figures are printed.
        prepare: Makes files in `benchmarks.rounds.folder()`, before the first round.
        timeout: Seconds after which a contestant has failed.
        separately: Whether contestants take turns for each figure, and not only in each round.
            What a contestant's function returns is then called with the name of the figure,
            in a process for each. Who is far from the best in the first round does not go on.
    """

    title: str
    text: str
    figures: tuple[Figure, ...]
    measure: Callable[[Any], dict[str, float]]
    targets: tuple[Target, ...] = ()
    relative_to: str | None = None
    prepare: Callable[[], None] | None = None
    timeout: float = 120.0
    separately: bool = False
    contestants: dict[str, Contestant] = field(default_factory=dict)

    def contestant(
        self, name: str, role: Role, kind: Kind = "process", package: str | None = None
    ) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
        """Return a decorator that enters a function as a contestant."""

        def enter(run: Callable[[], Any]) -> Callable[[], Any]:
            if name in self.contestants:
                message = f"there are two contestants called {name!r}: rename one"
                raise ValueError(message)
            self.contestants[name] = Contestant(name, run, role, kind, package)
            return run

        return enter

    def ours(self, name: str, kind: Kind = "process") -> Callable[[Callable[[], Any]], Any]:
        """Return a decorator that enters a function as a contestant of ours."""
        return self.contestant(name, "ours", kind, "seqtools")

    def original(self, name: str, kind: Kind = "process") -> Callable[[Callable[[], Any]], Any]:
        """Return a decorator that enters a function as one of SeqTools 1.x."""
        return self.contestant(name, "peer", kind, "SeqTools")

    def peer(
        self, name: str, kind: Kind = "process", package: str | None = None
    ) -> Callable[[Callable[[], Any]], Any]:
        """Return a decorator that enters a function as a peer."""
        return self.contestant(name, "peer", kind, package)

    def with_before(self) -> "Workload":
        """Return this with each contestant of ours a second time, to run an older commit.

        It takes its turn right after the one it is compared with.
        """
        entered = {}
        for contestant in self.contestants.values():
            entered[contestant.name] = contestant
            if contestant.role == "ours":
                older = replace(contestant, name=contestant.name + BEFORE, role="before")
                entered[older.name] = older
        return replace(self, contestants=entered)

    def figure(self, name: str | None) -> Figure:
        """Return the figure of this name, or the first."""
        if name is None:
            return self.figures[0]
        return next(figure for figure in self.figures if figure.name == name)


def nothing(_: Iterable[Any]) -> dict[str, float]:
    """Stand for `measure` where contestants return their figures themselves."""
    message = "a contestant of this workload must return its figures, as a dict"
    raise TypeError(message)
