"""However a worker dies, and at whatever point of the protocol: nothing is lost.

A part of the campaign, of which `make faults` runs all. A name is engine, items, point and
kind of the fault; what has to come of it is in `harness/judging.py`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from seqtools.engines.fault_injection import RECORD
from tests.faults import campaign
from tests.faults.harness import cells
from tests.faults.harness.cells import ASKED, LOADED, SLOTS, START, WORK, Cell, cell
from tests.faults.harness.judging import Verdict, judged
from tests.faults.harness.payloads import PAYLOADS, Wrong, opened, sealed
from tests.faults.harness.reading import Reading
from tests.faults.harness.running import run
from tests.faults.harness.watching import Diary, Lost

SEED = 0
MOST = 3
"""Faults in a run: three, the last one after a recovery. The campaign has up to nine."""


def survives(name: str) -> Verdict:
    """Return what came of a cell, in which nothing may go wrong."""
    tried = cell(name, SEED, MOST)
    verdict = run(tried)
    assert not verdict.defects, campaign.story(verdict, tried, SEED)
    return verdict


def at_each_point() -> Iterator[str]:
    """Yield a cell for each point: of templates, or of another way to start workers, in turn."""
    kinds, items = ("SIGKILL", "segfault", "exit"), ("numbers", "collated", "large", "cached")
    for e, engine in enumerate(("template", "fork", "spawn")):
        for p, point in enumerate((*START, *WORK)):
            others = ("fork",) if p % 2 or point in SLOTS else ("spawn",)  # which has no slots
            if engine not in (others if p % 4 < 2 else ("template",)):
                continue
            payload = "arrays" if point in SLOTS else items[(p + e) % 4]
            yield f"{engine}/{payload}/{point}/{kinds[(p + 2 * e) % 3]}"


@pytest.mark.one_of(2)
@pytest.mark.parametrize("name", list(at_each_point()))
def test_nothing_is_lost_wherever_a_worker_dies(name: str) -> None:
    assert survives(name).faults >= 2


@pytest.mark.parametrize("kind", [*cells.KILLS, *cells.MORE_KILLS, "raise"])
def test_nothing_is_lost_however_a_worker_dies(kind: str) -> None:
    survives(f"fork/large/half-sent/{kind}")


@pytest.mark.one_of(2)
@pytest.mark.parametrize(
    "name",
    [f"template/numbers/{point}/SIGKILL" for point in (*LOADED, *ASKED)]
    + [f"fork/arrays/{point}/exit" for point in ASKED],
)
def test_nothing_is_lost_wherever_the_template_dies(name: str) -> None:
    survives(name)


@pytest.mark.parametrize(
    "name",
    [
        "template-timeout/collated/half-sent/SIGSTOP",
        "fork-timeout/numbers/task-read/SIGSTOP",
        "spawn-timeout/numbers/item-done/hang",
    ],
)
def test_a_worker_that_stops_or_hangs_costs_the_item_that_it_was_at(name: str) -> None:
    verdict = survives(name)
    assert verdict.failed == verdict.faults


@pytest.mark.parametrize(
    "name",
    ["template-4/arrays/all/SIGKILL", "fork-4/collated/all/SIGKILL", "spawn/cached/all/SIGTERM"],
)
def test_all_workers_killed_at_once_again_and_again(name: str) -> None:
    assert not survives(name).failed


@pytest.mark.parametrize("name", ["template/numbers/both/SIGKILL", "fork/cached/template/SIGKILL"])
def test_the_template_killed_with_or_without_its_workers(name: str) -> None:
    assert not survives(name).failed


@pytest.mark.parametrize("name", ["template/large/away/SIGKILL", "fork/numbers/away/SIGTERM"])
def test_workers_killed_while_the_reader_is_away(name: str) -> None:
    assert not survives(name).failed


@pytest.mark.parametrize("engine", ["template", "fork", "spawn"])
def test_a_worker_that_was_paused_goes_on(engine: str) -> None:
    assert not survives(f"{engine}/arrays/paused/SIGSTOP").failed


@pytest.mark.parametrize(
    "name",
    ["template/numbers/orphan/Popen", "fork/arrays/orphan/fork", "spawn/numbers/orphan/fork"],
)
def test_a_worker_that_left_a_process_which_has_its_pipes_open(name: str) -> None:
    assert not survives(name).failed


@pytest.mark.parametrize("items", ["collated", "cached", "blocks"])
def test_items_that_always_kill_their_worker_fail_and_no_others(items: str) -> None:
    name = f"fork/{items}/deadly/SIGKILL"
    assert survives(name).failed == len(cell(name, SEED, MOST).struck)


@pytest.mark.parametrize("engine", ["template", "fork", "spawn"])
@pytest.mark.parametrize("how", ["raises", "exits", "dies"])
def test_a_start_hook_that_always_fails_is_told(engine: str, how: str) -> None:
    survives(f"{engine}/numbers/hook/{how}")


@pytest.mark.parametrize("engine", ["template", "fork", "spawn"])
def test_a_start_hook_that_ends_some_workers_delays_the_start(engine: str) -> None:
    assert not survives(f"{engine}/numbers/hook/exits-at-first").failed


@pytest.mark.parametrize("point", ["item-begun", "item-done"])
def test_an_error_is_no_death_and_is_not_tried_again(point: str) -> None:
    verdict = survives(f"template/cached/{point}/raise")
    assert verdict.failed == verdict.faults
    assert not verdict.detections


@pytest.mark.parametrize(
    "name",
    [
        "template/numbers/worker-loaded/raise",
        "template/numbers/template-loaded/raise",
        "fork/numbers/template-asked/EAGAIN",
        "spawn/numbers/worker-hooked/raise",
    ],
)
def test_a_start_that_fails_is_told_once_and_reading_goes_on(name: str) -> None:
    survives(name)


# The judge


def diary(lost: int = 0, repeated: int | None = None) -> Diary:
    """Return one in which worker 0 had died, and also the process `lost`."""
    written = Diary()
    written.lost = [Lost(2.0, pid, 0, 0, ()) for pid in (7, lost) if pid]
    written.repeated = [] if repeated is None else [repeated]
    return written


def reading(*came: int, failed: str = "", unable: str = "") -> Reading:
    """Return one to which these items came, of which 9 is damaged and 2 failed."""

    def which(i: int) -> int:
        if i == 9:
            raise Wrong(i)
        return i

    items = Reading(iter(came), which)
    while items.read():
        pass
    items.failed = [(2, failed)] if failed else []
    items.unable = [unable] if unable else []
    return items


@pytest.mark.parametrize(
    ("column", "came", "written"),
    [
        ("lost", reading(0, 1, 3), diary()),
        ("repeated", reading(0, 1, 1, 2, 3), diary()),
        ("repeated", reading(0, 1, 2, 3), diary(repeated=2)),
        ("reordered", reading(0, 2, 1, 3), diary()),
        ("wrong", reading(0, 1, 2, 9), diary()),
        ("wrong", reading(0, 1, 2, 3, 4), diary()),
        ("wrong", reading(0, 1, 2, 3, failed="KeyError()"), diary()),
        ("wrong", reading(0, 1, 2, 3, unable="no workers"), diary()),
        ("blamed", reading(0, 1, 2, 3, failed="died"), diary()),
        ("blamed", reading(0, 1, 2, 3, failed="timeout"), diary()),
        ("unexplained", reading(0, 1, 2, 3), diary(lost=9)),
    ],
)
def test_the_judge_sees_each_defect(
    column: str, came: Reading, written: Diary, tmp_path: Path
) -> None:
    (tmp_path / "item-begun").write_bytes(b"".join(RECORD.pack(1.0, i, 7) for i in (0, 1)))
    tried = Cell("fork/numbers/item-begun/exit", "fork", "numbers", "item-begun:exit:2", 4)
    verdict = judged(tried, tmp_path, written, came)
    assert set(verdict.defects) == {column}
    assert verdict.detections == [1.0]
    good = judged(tried, tmp_path, diary(), reading(0, 1, 2, 3))
    assert (good.faults, good.defects) == (1, {})
    nothing = judged(tried, tmp_path / "empty", diary(), reading(0, 1, 2, 3))
    assert nothing.defects["wrong"] == ["there was no fault"]


def test_a_damaged_value_is_known() -> None:
    for name, payload in PAYLOADS.items():
        _, which = payload.build(3)
        values = list(payload.build(3)[0])
        if name != "instances":  # whose class is another one in each pipeline
            assert [which(value) for value in values] == [0, 1, 2]
    damaged = bytearray(sealed(3, b"body"))
    damaged[-1] ^= 1
    with pytest.raises(Wrong, match="item 3 is damaged"):
        opened(damaged)
