"""What is said of loading that is read ahead, or could be."""

from pathlib import Path
from typing import Any

import pytest

from seqtools.instrument.profiling import report
from seqtools.instrument.profiling.advice import Advice
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.verdict import LOADING, LOCK, Verdict, judge
from tests.profiling.synthetic import LATE, PREFETCH, SEND, USE, WAIT, Lane, recorded, stages

CUT, CACHE, LOAD_FILE, INNER = 1, 2, 3, 4
FILES = 10
"""Files that each of two workers reads, and cuts into items."""


def pipeline(size: int = 2, *, inner: bool = False, **options: Any) -> list[Stage]:
    """Return the stages of `prefetch(smap(cut, add_cache(smap(load, files), size)), **options)`."""
    given = stages(**{"method": "process", "max_cached": 100, "readahead": True, **options})
    kept = {"cache_size": size, "given": False}
    threads = given[PREFETCH].options | {"method": "thread", "nworkers": 2}
    return [
        given[PREFETCH],
        Stage(CUT, "smap(cut)", "smap", ("a.py", 1), (CACHE,), {}),
        Stage(CACHE, "add_cache", "add_cache", ("a.py", 1), (INNER if inner else LOAD_FILE,), kept),
        Stage(LOAD_FILE, "smap(load)", "smap", ("a.py", 1), (), {}),
        *([Stage(INNER, "prefetch", "prefetch", ("a.py", 1), (LOAD_FILE,), threads)] * inner),
    ]


def read(  # noqa: PLR0913 -- what happens
    folder: Path,
    given: list[Stage],
    *,
    load: float,
    compute: float,
    wait: float,
    queue: float = 0.0,
    others: float = 0.0,
    pids: tuple[int, int] = (200, 201),
    files: int = 2 * FILES,
) -> Case:
    """Return the case of two workers that wait for each file, and compute for it.

    Args:
        folder: Where to write.
        given: The stages.
        load: Milliseconds that loading a file takes.
        compute: Milliseconds that a worker computes with it.
        wait: Milliseconds that a worker waits for it. Where that is as long as loading, workers
            load themselves; else another thread does, before.
        queue: Milliseconds that a worker waits for a processor meanwhile.
        others: Cores, of two, on which other programs compute.
        pids: Processes of the workers.
        files: Number of different files, which both workers read in turns.
    """
    each = wait + compute + queue
    lane = Lane(folder, "MainThread")
    for i in range(2 * FILES):
        lane.does(WAIT, each / 2 if i else each, which=i).does(USE, 0.01, which=i)
    for k, pid in enumerate(pids):
        worker = Lane(folder, f"worker-{k}", pid)
        ahead = Lane(folder, f"ahead-{k}" if len(given) > INNER else "seqtools-reader", pid)
        for i in range(k, 2 * FILES, 2):
            begin = worker.now
            if wait == load:
                worker.does(LOAD_FILE, load, which=i % files).did(CACHE, begin, which=i % files)
            else:
                ahead.now = max(ahead.now, begin + wait - load)
                ahead.does(LOAD_FILE, load, which=i)
                worker.does(INNER if len(given) > INNER else CACHE, wait, which=i)
                if len(given) > INNER:
                    worker.did(CACHE, begin, which=i)
            worker.rests(compute + queue).did(CUT, begin, compute, which=i)
            worker.does(SEND, 0.1, 0.1, which=100)
    recording = recorded(folder, given, cores=2)
    recording.others = others
    return Case(recording)


def of_loading(case: Case, found: Verdict) -> dict[str, tuple[Advice, str]]:
    """Return what is advised about loading, by the function to call, with the effect in words."""
    chosen = [a for a in found.advice if "smap(load)" in a.text and "read again" not in a.text]
    return {
        "inner" if "thread" in a.text else a.text.split("(")[0]: (a, report.effect(case, a))
        for a in chosen
    }


def test_what_workers_wait_for_is_gained_by_an_inner_prefetch(tmp_path: Path) -> None:
    # a reader that loads all the time, and workers that wait for it
    case = read(tmp_path, pipeline(), load=30, compute=10, wait=20)
    found = judge(case)
    assert found.kind == LOADING
    assert any("workers waited for it in 63 % of their time" in r for r in found.because)
    advised = of_loading(case, found)
    inner, effect = advised["inner"]
    assert "nworkers=3, method='thread') right after smap(load)" in inner.text
    assert 0.1 < inner.seconds < 0.15  # of 300 ms, 100 are computed
    assert "times as fast; loading is read ahead in the background already" in effect
    assert found.advice[0] is inner
    assert set(advised) == {"inner"}  # the reader of the cache has no time for more


def test_what_is_hidden_already_gains_little_and_is_still_told(tmp_path: Path) -> None:
    case = read(tmp_path, pipeline(), load=30, compute=40, wait=1)
    found = judge(case)
    said = next(
        reason for reason in found.because if reason.startswith("smap(load), 30 ms an item")
    )
    assert "it waits, as for files or a network (100 % of its time)" in said
    assert "100 % of it in the background; workers waited for it in 2 % of their time" in said
    advised = of_loading(case, found)
    inner, effect = advised["inner"]
    assert inner is found.advice[-1]  # after what gains more
    assert "little" in effect or "about as long" in effect
    assert "in the background already" in effect


def test_where_nobody_waits_there_is_nothing_to_gain(tmp_path: Path) -> None:
    case = read(tmp_path, pipeline(), load=10, compute=40, wait=0)
    inner, effect = of_loading(case, judge(case))["inner"]
    assert inner.seconds == pytest.approx(case.measures.seconds)
    assert "about as long" in effect


def test_on_a_crowded_machine_it_is_told_as_less_certain(tmp_path: Path) -> None:
    case = read(tmp_path, pipeline(), load=30, compute=10, wait=20, queue=10, others=1.6)
    assert case.crowded
    found = judge(case)
    assert any("smap(load)" in reason and "it waits" in reason for reason in found.because)
    advised = of_loading(case, found)
    assert "less certain, as others compute" in advised["inner"][1]
    assert not any("nworkers" in advice.arguments for advice in found.advice)


def test_what_waits_for_a_processor_is_not_said_to_wait_for_files(tmp_path: Path) -> None:
    case = read(tmp_path, pipeline(), load=30, compute=20, wait=1, queue=60, others=1.6)
    assert case.crowded
    said = next(reason for reason in judge(case).because if "smap(cut)" in reason)
    assert "it computes in 25 % of its time, and waits in the rest, also for a processor" in said


def test_a_cache_that_reads_nothing_ahead_gets_room_to_do_so(tmp_path: Path) -> None:
    case = read(tmp_path, pipeline(size=1), load=20, compute=40, wait=20)
    advised = of_loading(case, judge(case))
    advice, effect = advised["add_cache"]
    assert "cache_size=4" in advice.text
    assert advice.seconds == pytest.approx(0.4, rel=0.1)  # of 600 ms
    assert "already" not in effect


def test_reading_ahead_that_is_turned_off_is_advised_to_be_turned_on(tmp_path: Path) -> None:
    case = read(tmp_path, pipeline(readahead=False), load=20, compute=40, wait=20)
    found = judge(case)
    advice = next(a for a in found.advice if a.arguments == {"readahead": True})
    assert advice.seconds == pytest.approx(0.4, rel=0.1)
    assert set(of_loading(case, found)) == {"prefetch", "inner"}


def test_an_inner_prefetch_gets_more_threads(tmp_path: Path) -> None:
    case = read(tmp_path, pipeline(inner=True), load=60, compute=10, wait=20)
    advised = of_loading(case, judge(case))
    advice, effect = advised["prefetch"]
    assert "where smap(load) is read ahead already" in advice.text
    assert advice.seconds < 0.2
    assert "in the background already" in effect


def test_without_a_cache_an_inner_prefetch_is_advised_alone(tmp_path: Path) -> None:
    given = pipeline()
    given[CACHE] = given[CACHE]._replace(kind="cycle", name="cycle", options={})
    case = read(tmp_path, given, load=20, compute=40, wait=20)
    assert set(of_loading(case, judge(case))) == {"inner"}


def test_what_was_dropped_and_is_read_again_needs_a_cache_with_room(tmp_path: Path) -> None:
    case = read(tmp_path, pipeline(), load=20, compute=40, wait=20, files=6)
    found = judge(case)
    assert any("was read 20 times for 6 items, counted in each" in why for why in found.because)
    advice, _ = of_loading(case, found)["add_cache"]
    assert "cache_size=3) after smap(load), which reads items again" in advice.text
    assert 0.4 < advice.seconds < 0.5  # of 600 ms, for three files of each worker


def test_what_is_read_again_without_a_cache_gets_one(tmp_path: Path) -> None:
    given = pipeline()
    given[CACHE] = given[CACHE]._replace(kind="cycle", name="cycle", options={})
    case = read(tmp_path, given, load=20, compute=40, wait=20, files=2)
    assert "cache_size=2) after smap(load)" in of_loading(case, judge(case))["add_cache"][0].text


def test_a_cache_of_the_users_own_is_left_to_them(tmp_path: Path) -> None:
    given = pipeline()
    given[CACHE] = given[CACHE]._replace(options={"cache_size": 1, "given": True})
    case = read(tmp_path, given, load=20, compute=40, wait=20, files=4)
    assert set(of_loading(case, judge(case))) == {"inner"}


def test_who_waits_for_the_lock_gains_no_more_than_that_leaves(tmp_path: Path) -> None:
    watcher = Lane(tmp_path, "seqtools-watcher")
    for _ in range(40):
        watcher.rests(7).does(LATE, 5)
    case = read(
        tmp_path, pipeline(method="thread"), load=30, compute=10, queue=10, wait=5, pids=(100, 100)
    )
    found = judge(case)
    assert found.kind == LOCK
    inner, _ = of_loading(case, found)["inner"]
    assert inner.seconds >= 0.2  # in all, that is computed
    assert any("and waits in the rest, also for the lock" in reason for reason in found.because)
