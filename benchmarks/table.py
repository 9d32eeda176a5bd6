"""The results as Markdown: a section for each workload, and a summary of all."""

import statistics
from typing import Any

from benchmarks.results import Results
from benchmarks.workload import BEFORE, KINDS, Contestant, Figure, Workload

ROLES = {"ours": 0, "before": 0, "limit": 1, "base": 2, "peer": 3}

HEAD = """# Benchmarks

<!-- made by `make bench-table` from benchmarks/results/: do not edit -->

How `seqtools` compares with every other way of doing the same that we know, on one machine.
`make bench` measures all of it again and rewrites this page; `make bench WORKLOAD=seed` does
one workload. What is measured how is told in `benchmarks/README.md`: contestants take turns
in fresh processes, every value and the order are checked, and figures are medians of the
rounds, with the lowest and the highest in brackets. Trust the ratios, not the absolute values.

A contestant that fails is listed with its error. A target that was not reached says so.
"""


def page(all_results: dict[str, Results]) -> str:
    """Return docs/benchmarks.md.

    Args:
        all_results: By the name of the workload.
    """
    parts = [HEAD, summary(all_results)]
    parts += [section(name, results) for name, results in all_results.items()]
    return "\n".join(parts)


def summary(all_results: dict[str, Results]) -> str:
    """Return all targets of all workloads, and whether they are reached."""
    lines = ["## Targets\n", "| workload | ours | target | |", "|---|---|---|---|"]
    for results in all_results.values():
        workload = results.workload
        lines += [
            f"| {workload.title} | {target.ours} | {target.text} | {results.verdict(target)} |"
            for target in workload.targets
        ]
    return "\n".join(lines) + "\n"


def section(name: str, results: Results) -> str:
    """Return the table of one workload, and where it was measured."""
    workload = results.workload
    figures = workload.figures
    head = [f"| `{name}` | works in |", *(f" {figure.label} |" for figure in figures)]
    lines = [f"## {workload.title}\n", workload.text, "", ""]
    lines[-1] = "".join(head) + " of the best peer | of the limit |"
    lines.append("|---|---|" + "--:|" * (len(figures) + 2))
    order = sorted(workload.contestants.values(), key=lambda c: _key(results, c))
    lines += [_row(results, contestant) for contestant in order]
    return "\n".join([*lines, "", *_targets(results), _where(results.record), ""])


def compared(results: Results) -> str:
    """Return what each figure of ours is beside the same at an older commit.

    That is the median of the quotients of each round, as both ran one after the other in it,
    with the lowest and the highest.
    """
    figures = results.workload.figures
    heads = [f"{f.label}, {'more' if f.higher else 'less'} is better |" for f in figures]
    lines = [" ".join([f"| ours / ours at {results.record['before']} |", *heads])]
    lines.append("|---|" + "--:|" * len(figures))
    for name, contestant in results.workload.contestants.items():
        if contestant.role == "ours" and name in results.record["contestants"]:
            lines.append(" ".join([f"| {name} |", *(_quotient(results, name, f) for f in figures)]))
    return "\n".join([*lines, ""])


def _quotient(results: Results, name: str, figure: Figure) -> str:
    now, before = results.values(name, figure), results.values(name + BEFORE, figure)
    quotients = [a / b for a, b in zip(now, before, strict=False)]
    return f"{_spread(quotients)} |" if quotients else "not measured |"


def _key(results: Results, contestant: Contestant) -> tuple[int, int, float]:
    figure = results.workload.figures[0]
    median = results.median(contestant.name, figure)
    place = float("inf") if median is None else -median if figure.higher else median
    return ROLES[contestant.role], list(KINDS).index(contestant.kind), place


def _row(results: Results, contestant: Contestant) -> str:
    name, workload = contestant.name, results.workload
    version = results.version(name) if contestant.role == "peer" else None
    shown = f"**{name}**" if contestant.role == "ours" else name
    cells = [f"{shown} ({version})" if version else shown, KINDS[contestant.kind]]
    error = results.error(name)
    if error:
        cells += [f"failed: {_escaped(error)}", *[""] * (len(workload.figures) + 1)]
        return "| " + " | ".join(cells) + " |"
    cells += [_cell(results, name, figure) for figure in workload.figures]
    first = workload.figures[0]
    median = results.median(name, first)
    for other in (results.best_peer(contestant.kind, first), _limit(workload, contestant)):
        unit = results.median(other, first) if other else None
        alone = contestant.role in ("limit", "base") or other == name
        cells.append("" if unit is None or median is None or alone else f"{median / unit:.3g} ×")
    return "| " + " | ".join(cells) + " |"


def _limit(workload: Workload, beside: Contestant) -> str | None:
    limits = [c for c in workload.contestants.values() if c.role == "limit"]
    same = [c for c in limits if c.kind == beside.kind]
    return (same or limits)[0].name if limits else None


def _cell(results: Results, name: str, figure: Figure) -> str:
    values = results.values(name, figure)
    if not values:
        return "not measured"
    base = results.workload.relative_to
    unit = figure.unit if base is None else results.median(base, figure)
    if unit is None:
        return "not measured: the base failed"
    return _spread([value / unit for value in values])


def _spread(values: list[float]) -> str:
    """Return the median, and the lowest and the highest."""
    middle, low, high = (_number(f(values)) for f in (statistics.median, min, max))
    return middle if min(values) == max(values) else f"{middle} ({low}–{high})"


def _number(x: float) -> str:
    return f"{x:,.0f}" if abs(x) >= 100 else f"{x:.3g}"


def _targets(results: Results) -> list[str]:
    lines = [
        f"- target for {target.ours}: {target.text}. {results.verdict(target)}"
        for target in results.workload.targets
    ]
    return [*lines, ""] if lines else []


def _where(record: dict[str, Any]) -> str:
    machine = record["machine"]
    return (
        f"{record['date']}, {record['rounds']} rounds. {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GB, {machine['system']}, Python {machine['python']}, "
        f"numpy {machine['numpy']}; load average before: {machine['load_before']}."
    )


def _escaped(error: str) -> str:
    return error.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
