"""Writes the plots and tables of docs/one-reader.md."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import seqtools
from benchmarks import rounds
from benchmarks.simulation import scaling, study
from benchmarks.simulation.model import Costs, Outcome
from benchmarks.simulation.real import Seen, Trial
from benchmarks.simulation.svg import Axis, Line, chart
from seqtools.engines.cluster.costs import COSTS
from seqtools.instrument.quantities import counted_as

PAGE = os.path.join(rounds.ROOT, "docs", "one-reader.md")
PLOTS = os.path.join(rounds.ROOT, "docs", "one-reader")
TITLES = {"crowd": "many workers, played", "pool": "process pool", "dask": "Dask", "ray": "Ray"}
_CLUSTERS = ("ray", "dask")
_WORKERS = Axis("workers", scaling.WORKERS, logarithmic=True)
_SHARE = (0, 0.2, 0.4, 0.6, 0.8, 1)


def write() -> None:
    """Write what follows from the costs that are stored."""
    record = study.stored()
    os.makedirs(PLOTS, exist_ok=True)
    with open(PAGE) as file:
        text = file.read()
    for name, (title, plot) in _plots(_costs(record)).items():
        with open(os.path.join(PLOTS, f"{name}.svg"), "w") as file:
            file.write(plot)
        text = filled(text, name, f"![{title}](one-reader/{name}.svg)")
    for name, make in TABLES.items():
        text = filled(text, name, make(record))
    with open(PAGE, "w") as file:
        file.write(text)


def filled(text: str, name: str, content: str) -> str:
    """Return a page with a table or a plot in the place for it.

    Raises:
        LookupError: If there is no place of that name.
    """
    place = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end -->)", re.DOTALL)
    found = place.search(text)
    if found is None:
        raise LookupError(f"the page has no place for {name!r}")
    return text[: found.end(1)] + "\n" + content + "\n\n" + text[found.start(2) :]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _costs(record: dict[str, Any]) -> dict[str, Costs]:
    engines = [name for name in _CLUSTERS if name in record.get("engines", {})]
    return {
        name: scaling.on_a_cluster(study.fitted(record, name).costs, COSTS[name].seconds)
        for name in engines
    }


# Plots


def _plots(costs: dict[str, Costs]) -> dict[str, tuple[str, str]]:
    def lines(of: Callable[[Outcome], float]) -> list[Line]:
        drawn = []
        for name, one in costs.items():
            drawn.append(_line(TITLES[name], map(of, scaling.sweep(one))))
            usual = map(of, scaling.sweep(one, default=True))
            drawn.append(_line(f"{TITLES[name]}, default", usual)._replace(dashed=True))
        return drawn

    items = [
        _line(f"{TITLES[name]}, {work * 1e3:g} ms", map(_efficiency, scaling.sweep(one, work)))
        for name, one in costs.items()
        for work in (0.1, 0.01, 0.001)
    ]
    share, used = Axis("efficiency", _SHARE), Axis("part of its time", _SHARE)
    titles = {
        "efficiency": "Efficiency, items of 10 ms",
        "items": "Efficiency by time of an item",
        "reader": "The reader's processor, items of 10 ms",
    }
    drawn = {
        "efficiency": (share, lines(_efficiency)),
        "items": (share, items),
        "reader": (used, lines(lambda outcome: min(1.0, outcome.cpu))),
    }
    return {name: (title, chart(title, _WORKERS, *drawn[name])) for name, title in titles.items()}


def _line(name: str, values: Iterable[float]) -> Line:
    return Line(name, list(zip(scaling.WORKERS, values, strict=True)))


def _efficiency(outcome: Outcome) -> float:
    return min(1.0, outcome.efficiency)


# Tables


def _costs_table(record: dict[str, Any]) -> str:
    rows = []
    for name in study.ENGINES:
        if name not in record["engines"]:
            continue
        c = study.fitted(record, name).costs
        times = [c.block(1), c.central, c.on_worker, c.hop]
        per = [c.per_item * 1e6, 1e-9 / c.per_byte if c.per_byte else 0.0]
        rows.append(
            [TITLES[name], *(f"{1e3 * t:.2f} ms" if t else "–" for t in times)]
            + [f"{x:.2g}" if x else "–" for x in per]
            + [f"{c.shortest * 1e3:.0f} ms"]
        )
    head = ("", "reader", "scheduler", "worker", "message, one way", "an item, µs")
    return table((*head, "arrays, GB/s", "a block, at least"), rows)


def _validation_table(record: dict[str, Any]) -> str:
    rows = []
    for name in study.ENGINES:
        for row in record["engines"].get(name, {}).get("validation", ()):
            trial, seen = Trial(**row["trial"]), Seen(**row["seen"])
            length = "as long as it wants"
            if trial.block is not None:
                length = counted_as(trial.block, "item")
            step = f", the loop takes {trial.step * 1e3:g} ms" if trial.step else ""
            rows.append(
                [
                    TITLES[name],
                    f"{row['workers']:,}",
                    f"{trial.work * 1e3:g} ms, {length}{step}",
                    f"{seen.rate:,.1f}",
                    f"{row['predicted']:,.1f}",
                    f"{row['error']:+.1%}",
                    f"{seen.rate * trial.work / row['workers']:.2f}",
                ]
            )
    head = ("", "workers", "items, blocks", "measured, items/s", "predicted", "error")
    return table((*head, "efficiency"), rows)


def _ends_table(record: dict[str, Any]) -> str:
    cases = [(name, costs, *size) for name, costs in _costs(record).items() for size in _SIZES]
    rows, most = [], scaling.WORKERS[-1]
    ends = seqtools.smap(lambda case: scaling.end(*case[1:]), cases)
    with seqtools.prefetch(ends, method="process") as ready:
        for (name, _, work, nbytes), end in zip(cases, ready, strict=True):
            outcome, reached = end.outcome, end.workers == most
            rows.append(
                [
                    TITLES[name],
                    f"{work * 1e3:g} ms, {_size(nbytes)}",
                    f"{most:,} or more" if reached else f"{end.workers}",
                    "–" if reached else end.limit,
                    f"{outcome.rate:,.0f}",
                    f"{outcome.cpu:.0%}",
                    _size(outcome.held * nbytes),
                ]
            )
    head = ("", "items", "workers", "what ends it", "items/s", "reader's processor")
    return table((*head, "unread items, at most"), rows)


_SIZES = ((0.001, 100.0), (0.01, 1e3), (0.1, 1e3), (0.1, 1e5), (0.1, 1e6), (0.1, 9.6e6))


def _shards_table(record: dict[str, Any]) -> str:
    rows = []
    for name, costs in _costs(record).items():
        for readers in (1, 4, 16, 64):
            load = scaling.load(1000, costs, readers=readers)
            outcome = scaling.run(costs, load)
            rows.append(
                [
                    TITLES[name],
                    f"{readers}",
                    f"{outcome.efficiency:.2f}",
                    f"{outcome.cpu:.0%}",
                    f"{outcome.central:.0%}" if costs.central else "–",
                    f"{scaling.seconds_of_block(costs, load):.1f} s",
                    f"{load.max_cached:,}",
                    f"{outcome.held:,}",
                ]
            )
    head = ("", "readers", "efficiency", "processor of each", "scheduler", "a block")
    return table((*head, "window of each, items", "of these read late"), rows)


def _size(nbytes: float) -> str:
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if nbytes >= unit:
            return f"{nbytes / unit:.3g} {name}"
    return f"{nbytes:.0f} B"


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "costs": _costs_table,
    "validation": _validation_table,
    "ends": _ends_table,
    "shards": _shards_table,
}
"""What makes the tables of the page, by their names in it."""
