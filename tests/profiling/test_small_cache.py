"""A cache that is too small is named as the reason, and gets the size that suffices."""

from pathlib import Path

import pytest

from seqtools.instrument.profiling import report
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.verdict import LOADING, judge
from tests.profiling.synthetic import PREFETCH, USE, WAIT, Lane, recorded, stages

CACHE, FILE = 1, 2


def cached(size: int, *, given: bool = False) -> list[Stage]:
    """Return the stages of `prefetch(add_cache(smap(load, files), size), 1)`."""
    options = {"cache_size": size, "given": given}
    return [
        stages(nworkers=1)[PREFETCH],
        Stage(CACHE, "add_cache", "add_cache", ("a.py", 1), (FILE,), options),
        Stage(FILE, "smap(load)", "smap", ("a.py", 1), (), {}),
    ]


def in_turns(folder: Path, size: int, files: int = 4, n: int = 60, many: int = 1) -> Case:
    """Return the case of one worker that reads some files in turns, of a cache.

    Loading takes 10 ms. Some are read ahead by another thread.
    """
    consumer, worker = Lane(folder, "MainThread"), Lane(folder, "worker")
    ahead = Lane(folder, "seqtools-reader")
    dropped = size < files
    for i in range(n):
        began = worker.now
        if dropped or i < files:
            worker.does(FILE, 10, which=i % files)
        worker.rests(0.1).did(CACHE, began, which=i % files, many=many)
        if dropped and i % 10 == 0:
            ahead.now = began
            ahead.does(FILE, 10, which=i % files)
        consumer.does(WAIT, worker.now - consumer.now, which=i).does(USE, 0.01, which=i)
    return Case(recorded(folder, cached(size)))


def test_it_is_the_reason_and_first_gets_the_size_that_suffices(tmp_path: Path) -> None:
    case = in_turns(tmp_path, 2)
    found = judge(case)
    assert found.kind == LOADING
    (why,) = [reason for reason in found.because if "was read" in reason]
    assert "smap(load) was read 66 times for 4 items: the cache of 2 items after it" in why
    first = found.advice[0]
    assert first.text == "add_cache(…, cache_size=4) after smap(load), which reads items again"
    assert first.seconds == pytest.approx(case.measures.seconds * 4 / 66, rel=0.3)
    assert report.effect(case, first).startswith("about ")


def test_one_that_suffices_is_not_named(tmp_path: Path) -> None:
    found = judge(in_turns(tmp_path, 4))
    assert not any("was read" in reason for reason in found.because)
    assert not any("cache_size" in advice.text for advice in found.advice)


@pytest.mark.parametrize(("size", "advised"), [(4, False), (2, True)])
def test_what_a_cache_keeps_already_needs_no_other_one(
    tmp_path: Path, size: int, advised: bool
) -> None:
    found = judge(in_turns(tmp_path, size, n=16))
    assert found.kind == LOADING
    assert any("keep what smap(load) returns" in a.text for a in found.advice) == advised


def test_reads_in_bulk_have_no_order_and_give_no_size(tmp_path: Path) -> None:
    case = in_turns(tmp_path, 2, many=2)
    first = judge(case).advice[0]
    assert first.text.startswith("add_cache(…, cache_size=…) larger than 2 after smap(load)")
    assert report.effect(case, first).startswith("at best ")
