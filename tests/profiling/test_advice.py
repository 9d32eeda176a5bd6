"""Advice that must hold: for loops that use the cores, short runs, and stages that draw."""

from pathlib import Path
from typing import Any

import pytest

import seqtools
from seqtools import instrument
from seqtools.instrument.profiling import report
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.tracks import Recording
from seqtools.instrument.profiling.transfer import Transfer, tried
from seqtools.instrument.profiling.verdict import CONSUMER, LOADING, judge
from tests.profiling.synthetic import (
    LATE,
    SOURCE,
    USE,
    WAIT,
    Lane,
    recorded,
    stages,
)


def inline(  # noqa: PLR0913, PLR0917 -- what a loop does
    folder: Path,
    n: int,
    took: float,
    computing: float,
    use: float,
    use_cores: float = 0.0,
    given: list[Stage] | None = None,
    cores: int = 2,
) -> Recording:
    """Return a recording of a loop without workers, which computes on so many cores itself."""
    lane = Lane(folder, "MainThread")
    for i in range(n):
        begin = lane.now
        lane.does(SOURCE, took, computing, which=i).did(WAIT, begin, computing, which=i)
        lane.does(USE, use, min(1.0, use_cores) * use, which=i).on_cores(use_cores, use)
    return recorded(folder, given or stages()[1:], cores=cores)


def without_prefetch(**options: Any) -> list[Stage]:
    return [Stage(0, "batch", "batch", ("a.py", 2), (SOURCE,), {}), stages()[1]._replace(**options)]


def workers_of(case: Case) -> list[dict[str, Any]]:
    return [advice.arguments for advice in judge(case).advice if advice.arguments]


def test_a_loop_that_uses_all_cores_gets_no_workers_that_compute(tmp_path: Path) -> None:
    case = Case(inline(tmp_path, 50, 10, 10, 10, 2.0, without_prefetch()))
    assert abs(case.loop_cores - 2) < 0.01
    assert workers_of(case) == []
    assert any("itself computes on 2.0 cores" in reason for reason in judge(case).because)


def test_it_gets_workers_that_wait(tmp_path: Path) -> None:
    recording = inline(tmp_path, 50, 10, 0.1, 10, 2.0, without_prefetch())
    recording.others = 1.0
    assert workers_of(Case(recording))[0]["method"] == "thread"


def test_it_gets_workers_that_compute_where_there_are_more_cores(tmp_path: Path) -> None:
    case = Case(inline(tmp_path, 50, 10, 10, 10, 2.0, without_prefetch(), cores=8))
    assert workers_of(case)[0] == {"nworkers": 1, "method": "process"}  # the fewest that suffice


def test_a_loop_that_waits_for_cores_still_shows_that_it_uses_several(tmp_path: Path) -> None:
    recording = inline(tmp_path, 50, 10, 5, 10, 0.4, without_prefetch())
    for track in recording.tracks:  # of 4 ms of the process, half are of the thread
        track.records = [
            r._replace(processor=2_000_000) if r.what == USE else r for r in track.records
        ]
    recording.others = 1.7
    assert abs(Case(recording).loop_cores - 2) < 0.01


def test_a_short_run_is_bounded_by_the_start_and_the_first_item(tmp_path: Path) -> None:
    recording = inline(tmp_path, 25, 30, 30, 0.001, 1.0, without_prefetch(), cores=32)
    recording.imports = 2.0
    case = Case(recording)
    advice = judge(case).advice
    (other,) = [a for a in advice if a.arguments]
    assert other.arguments["method"] == "process"
    assert other.whole(case) > 2.15 + 0.03  # longer than without workers, which is said
    said = report.effect(case, other)
    assert "instead of 750 ms, because workers start in 2.18 s" in said
    assert "times as fast in a long run" in said
    (kept,) = [a for a in advice if not a.arguments]
    assert report.effect(case, kept).startswith("at best ")


def test_what_is_sent_is_counted_before_anything_is_sent(tmp_path: Path) -> None:
    recording = inline(tmp_path, 50, 10, 10, 0.1, 1.0, without_prefetch(), cores=8)
    free = Case(recording).expect_with("process", 4).seconds
    recording.transfer = Transfer(send=0.02, load=0.01)
    assert free < 0.15
    assert Case(recording).expect_with("process", 4).seconds > 50 * 0.01
    assert Case(recording).expect_with("thread", 4).seconds < 50 * 0.0101


def test_what_cannot_be_pickled_has_no_cost() -> None:
    assert tried(lambda: None) is None
    assert tried([1, 2]) is not None


def test_what_was_measured_too_shortly_is_not_estimated(tmp_path: Path) -> None:
    case = Case(inline(tmp_path, 10, 30, 1, 0.1, 1.0, without_prefetch()))
    found = judge(case)
    assert found.kind == LOADING
    assert "method='thread'" in found.advice[0].text
    said = report.effect(case, found.advice[0])
    assert said.startswith("not estimated, because it has only 10 items, in ")
    assert "times as fast" not in report.report(case)
    assert {advice["seconds"] for advice in report.snapshot(case)["advice"]} == {None}


def test_a_loop_of_no_time_has_no_ceiling_in_microseconds(tmp_path: Path) -> None:
    said = report.report(Case(inline(tmp_path, 25, 30, 1, 0.001, 1.0, without_prefetch())))
    assert "24 items would take less than 20 ms, not" in said


def test_the_fewest_workers_that_suffice_are_advised(tmp_path: Path) -> None:
    case = Case(inline(tmp_path, 50, 18, 0.1, 10, 0.5, without_prefetch(), cores=32))
    assert workers_of(case) == [{"nworkers": 2, "method": "thread"}]  # and no processes


def test_workers_that_are_of_no_use_are_given_up(tmp_path: Path) -> None:
    consumer = Lane(tmp_path, "MainThread")
    lanes = [Lane(tmp_path, "MainThread", 200 + k) for k in range(8)]
    for i in range(80):
        consumer.does(WAIT, 9, which=i).does(USE, 1, which=i)
        lanes[i % 8].does(SOURCE, 80, 20, which=i)
    case = Case(recorded(tmp_path, stages(nworkers=8, method="process"), cores=2))
    assert case.crowded
    assert workers_of(case)[0] == {"nworkers": 2}


def test_threads_are_advised_for_functions_that_release_the_lock(tmp_path: Path) -> None:
    for late, expected in ((5, "process"), (0.1, "thread")):
        folder = tmp_path / expected
        folder.mkdir()
        watcher = Lane(folder, "seqtools-watcher")
        for _ in range(20):
            watcher.rests(25).does(LATE, late)
        recording = inline(folder, 50, 10, 10, 0.1, 1.0, without_prefetch())
        assert workers_of(Case(recording))[0]["method"] == expected
        recording.one_at_a_time = True  # for a lock of h5py, say
        assert workers_of(Case(recording))[0]["method"] == "process"


def test_to_keep_what_is_drawn_is_said_to_freeze_it(tmp_path: Path) -> None:
    given = [
        Stage(0, "batch", "batch", ("a.py", 2), (SOURCE,), {}),
        Stage(SOURCE, "smap(flip)", "smap", ("a.py", 1), (2,), {"draws": True}),
        Stage(2, "smap(load)", "smap", ("a.py", 1), (), {}),
    ]
    lane = Lane(tmp_path, "MainThread")
    for i in range(50):
        begin = lane.now
        lane.does(2, 3, 3, which=i).rests(7).did(SOURCE, begin, 10, which=i)
        lane.did(WAIT, begin, 10, which=i).does(USE, 1, 1, which=i)
    (kept,) = [a for a in judge(Case(recorded(tmp_path, given))).advice if "keep" in a.text]
    assert (
        "smap(flip) draws random numbers, and would draw the same ones in every epoch" in kept.note
    )
    assert "keep what smap(load) returns" in kept.note


def test_a_profile_knows_which_stages_draw() -> None:
    def draw(i: int, rng: Any) -> float:
        return float(rng.random()) + i

    p = seqtools.smap(abs, seqtools.smap(draw, range(20), rng=0))
    with instrument.profile(p) as measured:
        list(p)
    recording = measured._updated()
    drawing = [stage.name for stage in recording.stages if stage.options.get("draws")]
    assert drawing == ["smap(draw)"]


def test_one_item_is_replayed_to_measure_the_loop_alone() -> None:
    evaluated: list[int] = []

    def load(i: int) -> int:
        evaluated.append(i)
        return i

    p = seqtools.prefetch(seqtools.smap(load, range(1000)), nworkers=1, max_cached=5)
    with p, instrument.profile(p, replay=True) as measured:
        assert list(p[3:]) == [3] * 997
        assert p[10] == 3
        assert len(evaluated) <= 6
    case = measured._case()
    assert case.recording.replayed
    assert list(p)[:3] == [0, 1, 2]


@pytest.mark.parametrize("nworkers", [0, 1])
def test_what_ends_unseen_is_not_replayed(nworkers: int) -> None:
    """A loop over it would not end, because the end is found by reading only."""
    p = seqtools.prefetch(seqtools.smap(str, seqtools.uniter(iter(range(4)))), nworkers)
    words = r"needs a sequence of known length, .* got prefetch: give uniter\(\) its size="
    with pytest.raises(ValueError, match=words):
        instrument.profile(p, replay=True)
    some = p[:3]
    with p, instrument.profile(some, replay=True):
        assert list(some) == ["0"] * 3
    sized = seqtools.smap(str, seqtools.uniter(iter(range(4)), size=4))
    with instrument.profile(sized, replay=True):
        assert list(sized) == ["0"] * 4


def test_an_endless_item_is_replayed_until_the_loop_ends() -> None:
    p = seqtools.smap(str, seqtools.cycle([1, 2]))
    with instrument.profile(p, replay=True):
        assert [item for item, _ in zip(p, range(5), strict=False)] == ["1"] * 5


def test_a_replayed_item_gives_the_ceiling_and_no_advice(tmp_path: Path) -> None:
    recording = inline(tmp_path, 50, 0.001, 0.001, 10, 2.0, without_prefetch())
    recording.replayed = True
    case = Case(recording)
    found = judge(case)
    assert (found.kind, found.advice) == (CONSUMER, [])
    assert "49 items take 500 ms, however fast they are loaded" in report.report(case)


def test_a_loop_that_does_nearly_nothing_uses_no_cores(tmp_path: Path) -> None:
    case = Case(inline(tmp_path, 50, 10, 10, 0.01, 2.0, without_prefetch()))
    assert case.measures.helpers == 0
    assert workers_of(case)[0] == {"nworkers": 2, "method": "process"}
