"""How costs are found from real runs, and how they are shown."""

import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.simulation import page, scaling
from benchmarks.simulation.fitting import Observed, fit, predicted, search, shares
from benchmarks.simulation.model import Costs
from benchmarks.simulation.real import Seen, Trial
from benchmarks.simulation.svg import Axis, Line, chart

TRUE = Costs(
    post=3e-4,
    take=3e-4,
    per_item=4e-6,
    central=5e-4,
    hop=2e-3,
    on_worker=1e-3,
    thread=1e-4,
    assumed=2e-4,
    shortest=0.05,
)
SHORT = Trial(work=0.01, block=1, warm=0.5, seconds=0.5)


def seen(trial: Trial, workers: int, costs: Costs = TRUE) -> Seen:
    """Return what a run would show that is exactly as simulated."""
    rate = predicted(costs, workers, trial, 1e-4)
    items = round(rate * 1e4)
    blocks = items // (trial.block or 5)
    cpu = blocks * costs.block(workers) + items * costs.per_item
    return Seen(
        seconds=1e4,
        items=items,
        blocks=blocks,
        work=trial.work + 1e-4,
        cpu=cpu,
        central=blocks * costs.central,
        workers=blocks * 4e-4 + 50.0,
        thread=costs.thread,
        assumed=costs.assumed,
        shortest=0.05,
        foreign=0.0,
    )


def test_costs_are_found_again_from_simulated_runs() -> None:
    trials = [SHORT, replace(SHORT, work=1e-3, block=20)]
    runs = [Observed(n, trial, seen(trial, n)) for n in (1, 2) for trial in trials]
    found = fit(runs, Costs(per_item=TRUE.per_item))
    assert found.error < 0.02
    assert found.late == pytest.approx(1e-4)
    costs = found.costs
    assert costs.block(1) == pytest.approx(TRUE.block(1), rel=0.02)
    assert costs.central == pytest.approx(TRUE.central, rel=0.02)
    assert costs.on_cores == pytest.approx(4e-4, rel=0.02)
    assert (costs.thread, costs.assumed) == (1e-4, 2e-4)
    other = Trial(work=0.005, block=2)
    assert predicted(costs, 8, other, 1e-4) == pytest.approx(
        predicted(TRUE, 8, other, 1e-4), rel=0.1
    )


def test_what_an_item_costs_is_found_from_many_items() -> None:
    trials = [SHORT, replace(SHORT, work=2e-4, block=500)]
    runs = [Observed(2, trial, seen(trial, 2)) for trial in trials]
    costs = fit(runs, Costs(), many=True).costs
    assert costs.per_item == pytest.approx(TRUE.per_item, rel=0.05)


def test_what_each_worker_costs_is_found_from_many_workers() -> None:
    true = replace(TRUE, per_worker=1e-6)
    trial = replace(SHORT, work=0.02, block=2)
    runs = [Observed(n, trial, seen(trial, n, true)) for n in (1, 2, 30)]
    assert fit(runs, Costs(), many=True).costs.per_worker == pytest.approx(1e-6, rel=0.1)
    known = fit(runs[:2], Costs(per_worker=1e-6)).costs
    assert known.per_worker == 1e-6
    assert known.block(30) == pytest.approx(true.block(30) + 5 / 2 * 4e-6, rel=0.05)


def test_shares_are_never_negative() -> None:
    assert shares([3.0, 5.0], [(1, 1), (1, 2)]) == pytest.approx([1.0, 2.0])
    one, other = shares([2.0, 1.0], [(1, 1), (0, 1)])
    assert one > 0
    assert other == 0.0
    assert shares([0.0, 0.0], [(1, 2)]) == [0.0]
    assert shares([4.0], [(2,), (0,)]) == pytest.approx([2.0, 0.0])


def test_search_finds_both_times() -> None:
    def error(a: float, b: float) -> float:
        return abs(math.log(a / 2e-3)) + abs(math.log(b / 1e-4))

    a, b = search(error)
    assert a == pytest.approx(2e-3, rel=0.1)
    assert b == pytest.approx(1e-4, rel=0.1)


def test_a_window_has_room_for_two_blocks_for_each_worker() -> None:
    assert Trial(work=0.01, block=3).max_cached(4) == 24
    assert Trial(work=0.01).max_cached(4) >= 2 * 4 * 10
    assert Trial(work=1.0).max_cached(4) >= 2 * 4


def test_the_end_of_a_reader_is_where_its_processor_is_used_up() -> None:
    # its blocks do not grow, so it has time for 100 blocks of 0.1 seconds in a second
    costs = Costs(post=5e-3, take=5e-3)
    end = scaling.end(costs, 0.1, 8.0, most=64)
    assert end.workers == pytest.approx(10, abs=2)
    assert end.limit == "processor"
    assert scaling.end(Costs(), 0.1, 8.0, most=64).workers == 64
    assert scaling.end(Costs(link=1e6), 0.1, 1e4, most=64).limit == "network"


def test_a_chart_is_xml_and_its_points_lie_within() -> None:
    lines = [Line("a & b", [(1, 0.0), (10, 0.5), (1000, 2.0)]), Line("c", [(1, 1.0)], dashed=True)]
    x = Axis("workers", (1, 10, 100, 1000), logarithmic=True)
    drawn = chart("a < b", x, Axis("efficiency", (0, 0.5, 1)), lines)
    root = ET.fromstring(drawn)  # noqa: S314 -- ours
    space = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{space}title") == "a < b"
    points = [
        [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        for line in root.iter(f"{space}polyline")
    ]
    assert [len(each) for each in points] == [3, 1]
    (left, bottom), (third, middle), (right, top) = points[0]
    assert third - left == pytest.approx((right - left) / 3, abs=0.2)
    assert middle - top == pytest.approx(bottom - middle, abs=0.2)
    assert points[1][0] == (left, top)


def test_a_table_is_put_where_the_page_has_a_place_for_it() -> None:
    text = "a\n<!-- one: made by a program -->\nold\n<!-- end -->\nb\n"
    new = page.filled(text, "one", page.table(("x", "y"), [("1", "2")]))
    assert "old" not in new
    assert "| x | y |\n| --- | --- |\n| 1 | 2 |" in new
    assert page.filled(new, "one", "t").endswith("<!-- end -->\nb\n")
    written = Path(page.PAGE).read_text()
    assert all(f"<!-- {name}: " in written for name in page.TABLES)
    with pytest.raises(LookupError, match="no place for 'two'"):
        page.filled(text, "two", "")
