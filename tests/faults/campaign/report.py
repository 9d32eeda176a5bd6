"""What a campaign has found, in words."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.faults.campaign.cells import TIMEOUT, Cell
from tests.faults.campaign.judging import COLUMNS, Verdict

NOTICED_99, NOTICED_MAX = 0.25, 2.0
"""Promised: seconds until a death is noticed, by 99 of 100 and by all."""
_SHOWN = 5


def story(verdict: Verdict, cell: Cell, seed: int) -> str:
    """Return what came of a cell, and how to try it again."""
    told = [f"{verdict.name}: {verdict.faults} faults, {verdict.seconds:.1f} s"]
    for column, defects in verdict.defects.items():
        told.append(f"  {column}: {len(defects)}")
        told += [f"    {defect}" for defect in defects[:_SHOWN]]
    again = f"python -m tests.faults.campaign --cell {verdict.name} --seed {seed}"
    told.append(f"  again: {again}")
    act = f" act={cell.act}, every {cell.every} items" if cell.act else ""
    told.append(f"  which is SEQTOOLS_FAULTS={cell.plan!r} n={cell.n} {cell.options}{act}")
    return "\n".join(told)


def summary(verdicts: Sequence[Verdict], seconds: float) -> tuple[str, bool]:
    """Return what came of all cells, and whether all is well."""
    defects = Counter(dict.fromkeys(COLUMNS, 0))
    for verdict in verdicts:
        defects.update({column: len(found) for column, found in verdict.defects.items()})
    detections = [t for verdict in verdicts for t in verdict.detections]
    overdue = [t for verdict in verdicts for t in verdict.overdue]
    lines = [
        "",
        f"cells {len(verdicts)}, faults {sum(v.faults for v in verdicts)}, {seconds:.0f} s",
        ", ".join(f"{column} {defects[column]}" for column in COLUMNS),
        "",
        f"{'milliseconds':33}{'median':>8}{'99 %':>8}{'max':>8}{'of':>7}",
        _row("from a death until it is noticed", detections),
        *(_row(f"  {engine}", times) for engine, times in _by_engine(verdicts, "detections")),
        "until its successor is at work",
        *(_row(f"  {engine}", times) for engine, times in _by_engine(verdicts, "recoveries")),
        _row(f"from a stop until the end, timeout {TIMEOUT:g} s", overdue),
        "",
        f"items that failed as they had to: {sum(v.failed for v in verdicts)}",
        f"deaths when there was nothing more to do: {sum(v.unnoticed for v in verdicts)}",
    ]
    late = _late(detections)
    lines += [f"error: {told}" for told in late]
    return "\n".join(lines), not late and not any(defects.values())


def _by_engine(verdicts: Sequence[Verdict], what: str) -> Iterator[tuple[str, list[float]]]:
    times: dict[str, list[float]] = {"template": [], "fork": [], "spawn": []}
    for verdict in verdicts:
        engine = verdict.name.split("/")[0].split("-")[0]
        point = verdict.name.split("/")[2]
        if point.startswith("template") and what == "recoveries":
            engine += ", of templates"
        times.setdefault(engine, []).extend(getattr(verdict, what))
    yield from ((engine, found) for engine, found in times.items() if found)


def _row(name: str, times: Sequence[float]) -> str:
    if not times:
        return f"{name:33}{'-':>8}{'-':>8}{'-':>8}{0:7}"
    shown = (_at(times, 0.5), _at(times, 0.99), max(times))
    return f"{name:33}" + "".join(f"{1000 * t:8.1f}" for t in shown) + f"{len(times):7}"


def _at(times: Sequence[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


def _late(detections: Sequence[float]) -> list[str]:
    if not detections:
        return []
    found = []
    if _at(detections, 0.99) > NOTICED_99:
        found.append(f"one death of 100 is noticed after more than {NOTICED_99} s")
    if max(detections) > NOTICED_MAX:
        found.append(f"a death was noticed after {max(detections):.2f} s")
    return found
