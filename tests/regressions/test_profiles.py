"""Estimates of a profile for threads, which cannot be faster than the lock of the interpreter."""

from pathlib import Path

import pytest

from seqtools.instrument.profiling import report
from seqtools.instrument.profiling.advice import Advice
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.verdict import LOADING, judge
from tests.profiling.synthetic import LATE, PREFETCH, USE, WAIT, Lane, recorded, stages

TRANSFORM, LOAD, INNER = 1, 2, 3
N = 100


def pipeline(*, inner: bool = False, **options: object) -> list[Stage]:
    """Return the stages of `prefetch(smap(transform, smap(load, …)), **options)`."""
    given = stages(**options)[PREFETCH]
    threads = given.options | {"nworkers": 1}
    return [
        given,
        Stage(TRANSFORM, "smap(transform)", "smap", ("a.py", 1), (INNER if inner else LOAD,), {}),
        Stage(LOAD, "smap(load)", "smap", ("a.py", 1), (), {}),
        *([Stage(INNER, "prefetch", "prefetch", ("a.py", 1), (LOAD,), threads)] * inner),
    ]


def read(folder: Path, given: list[Stage], load: float, compute: float, late: float) -> Case:
    """Return the case of threads that wait for `load` ms and compute for `compute` ms in Python.

    A thread that could go on waits for the lock for `late` ms, because each thread that computes
    gives up the lock when it waits for its next item.
    """
    workers, each = given[PREFETCH].options["nworkers"], load + compute
    workers = 2 if workers == "auto" else workers
    consumer, watcher = Lane(folder, "MainThread"), Lane(folder, "seqtools-watcher")
    for i in range(N):
        consumer.does(WAIT, each / workers if i else each, which=i).does(USE, 0.01, which=i)
        watcher.rests(5).does(LATE, late)
    inner = len(given) > INNER
    for k in range(workers):
        lane = Lane(folder, f"worker-{k}")
        ahead = Lane(folder, f"ahead-{k}") if inner else lane
        for i in range(k, N, workers):
            begin = ahead.now = lane.now
            ahead.does(LOAD, load, 0.01, which=i)
            if inner:
                lane.does(INNER, load, which=i)
            lane.rests(compute).did(TRANSFORM, begin, compute, which=i)
    return Case(recorded(folder, given, cores=8))


def evaluating_all(case: Case) -> list[Advice]:
    """Return the advice after which threads of this process still compute everything."""
    return [
        each
        for each in judge(case).advice
        if "keep what" not in each.text and each.arguments.get("method") != "process"
    ]


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("compute", [0.5, 2.0, 4.0])
@pytest.mark.parametrize("max_cached", [1, None])
def test_no_threads_are_faster_than_the_lock(
    tmp_path: Path, compute: float, workers: int, inner: bool, max_cached: int | None
) -> None:
    given = pipeline(inner=inner, nworkers=workers, max_cached=max_cached)
    case = read(tmp_path, given, 5.0, min(compute, 5.0 / workers), 0.8)
    least = sum(item.computing for item in case.measures.served)
    assert not case.locked  # no thread waits for the lock for long, so far
    found = evaluating_all(case)
    assert found
    for each in found:
        assert each.whole(case) >= 0.99 * least, each
        assert case.measures.seconds / each.gain(case) >= 0.97 * least, each


def test_threads_that_read_ahead_under_the_lock_are_not_advised_first(tmp_path: Path) -> None:
    case = read(tmp_path, pipeline(), 5.0, 2.0, 0.8)
    found = judge(case)
    assert found.kind == LOADING
    assert "method='thread') right after smap(load)" not in found.advice[0].text
    assert found.advice[0].arguments["nworkers"] in {3, 4}
    [inner] = [each for each in found.advice if "right after smap(load)" in each.text]
    said = report.effect(case, inner)
    assert said.startswith("at best ")
    assert "may wait 5 ms for the lock" in said


def test_where_no_other_plan_is_estimated_threads_under_the_lock_are_no_advice(
    tmp_path: Path,
) -> None:
    case = read(tmp_path, pipeline(nworkers="auto"), 5.0, 2.0, 0.8)
    assert case.chosen
    assert not [each for each in judge(case).advice if "right after smap(load)" in each.text]


def test_few_large_reads_do_not_wait_for_the_lock_for_long(tmp_path: Path) -> None:
    case = read(tmp_path, pipeline(), 250.0, 200.0, 0.8)
    [inner] = [each for each in judge(case).advice if "right after smap(load)" in each.text]
    assert not inner.bound


def test_to_keep_what_waits_leaves_what_computes(tmp_path: Path) -> None:
    case = read(tmp_path, pipeline(), 5.0, 2.0, 0.8)
    [kept] = [each for each in judge(case).advice if "keep what" in each.text]
    assert "smap(load)" in kept.text
    assert kept.whole(case) >= 0.9 * case.under_lock(case.setting)


def test_functions_that_release_the_lock_have_no_such_bound(tmp_path: Path) -> None:
    case = read(tmp_path, pipeline(nworkers=4), 5.0, 5.0, 0.1)  # they compute on two cores
    [inner] = [each for each in judge(case).advice if "right after smap(load)" in each.text]
    assert not inner.bound
    assert "lock" not in report.effect(case, inner)
