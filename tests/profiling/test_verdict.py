"""What is said of recordings of which it is known what was the matter."""

from pathlib import Path
from weakref import ref

import pytest

import seqtools
from seqtools.instrument.profiling import report
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.verdict import (
    CONSUMER,
    LOADING,
    LOCK,
    SHORT,
    SLOW,
    TRANSFER,
    judge,
)
from tests.profiling.synthetic import (
    FILL,
    LATE,
    LOAD,
    PREFETCH,
    SEND,
    SOURCE,
    USE,
    WAIT,
    Lane,
    recorded,
    stages,
)


def consumer(folder: Path, n: int, waits: float, uses: float, computing: float = 0.0) -> Lane:
    lane = Lane(folder, "MainThread")
    for i in range(n):
        lane.does(WAIT, waits, which=i).does(USE, uses, computing, which=i)
    return lane


def workers(  # noqa: PLR0913, PLR0917 -- what a worker does
    folder: Path, n: int, took: float, computing: float, count: int = 2, pid: int = 0
) -> list[Lane]:
    lanes = [Lane(folder, f"worker-{k}", pid + k if pid else 100) for k in range(count)]
    for i in range(n):
        lanes[i % count].does(SOURCE, took, computing, which=i)
    return lanes


def test_loading_that_waits_gets_more_workers(tmp_path: Path) -> None:
    consumer(tmp_path, 50, waits=9, uses=1)
    workers(tmp_path, 50, took=20, computing=0.1)
    case = Case(recorded(tmp_path, stages(max_cached=None)))
    found = judge(case)
    assert found.kind == LOADING
    assert any("smap(load): it waits" in reason for reason in found.because)
    first = found.advice[0]
    assert first.arguments["nworkers"] >= 16
    assert "method" not in first.arguments
    assert 0.045 < first.seconds < 0.15  # the consumer alone takes 50 ms
    assert "about " in report.effect(case, first)


def test_a_window_that_leaves_workers_idle_gets_larger(tmp_path: Path) -> None:
    consumer(tmp_path, 50, waits=20, uses=0.1).sees(0, 1)
    workers(tmp_path, 50, took=20, computing=0.1, count=1)  # one of them has room at a time
    case = Case(recorded(tmp_path, stages(max_cached=1)))
    found = judge(case)
    assert found.kind == LOADING
    more, wider = (a for a in found.advice if a.arguments)
    workers_advised = more.arguments["nworkers"]
    assert workers_advised > 2
    assert more.arguments["max_cached"] == 2 * workers_advised
    assert f"nworkers={workers_advised}, max_cached={2 * workers_advised})" in more.text
    assert more.seconds < wider.seconds
    assert wider.arguments == {"max_cached": 4}
    assert abs(wider.seconds - case.measures.seconds / 2) < 0.1 * case.measures.seconds


def test_a_prefetch_that_reads_nothing_ahead_is_told_to(tmp_path: Path) -> None:
    lane = Lane(tmp_path, "MainThread")
    for i in range(50):
        begin = lane.now
        lane.does(SOURCE, 9, 0.1, which=i).did(WAIT, begin, 0.1, which=i).does(USE, 1, which=i)
    found = judge(Case(recorded(tmp_path, stages(nworkers=0))))
    assert found.kind == LOADING
    assert "nworkers=" in found.advice[0].text
    assert found.advice[0].text.endswith("in place of nworkers=0")


def test_loading_that_computes_gets_the_cores(tmp_path: Path) -> None:
    consumer(tmp_path, 50, waits=19, uses=1)
    workers(tmp_path, 50, took=20, computing=20, count=1, pid=200)
    found = judge(Case(recorded(tmp_path, stages(nworkers=1, method="process"))))
    assert found.kind == LOADING
    assert found.advice[0].arguments == {"nworkers": 4}
    assert 0.2 < found.advice[0].seconds < 0.3
    assert any("it computes (100 %" in reason for reason in found.because)


def test_threads_that_wait_for_the_lock_become_processes(tmp_path: Path) -> None:
    consumer(tmp_path, 50, waits=9.5, uses=0.5)
    workers(tmp_path, 50, took=20, computing=10)
    watcher = Lane(tmp_path, "seqtools-watcher")
    for _ in range(40):
        watcher.rests(7).does(LATE, 5)
    found = judge(Case(recorded(tmp_path, stages())))
    assert found.kind == LOCK
    assert found.advice[0].arguments["method"] == "process"
    assert found.advice[0].seconds < 0.3


def test_values_that_are_expensive_to_send_stay_in_threads(tmp_path: Path) -> None:
    lane = consumer(tmp_path, 50, waits=9, uses=1)
    for pid in (200, 201):
        worker = Lane(tmp_path, "MainThread", pid)
        for i in range(25):
            worker.does(SOURCE, 1, 1, which=2 * i + pid - 200).does(SEND, 10, which=1 << 20)
    other = Lane(tmp_path, "seqtools-keeper")
    for _ in range(50):
        other.does(LOAD, 8, which=1 << 20)
    assert lane.now == 500
    found = judge(Case(recorded(tmp_path, stages(method="process"))))
    assert found.kind == TRANSFER
    assert found.advice[0].arguments["method"] == "thread"
    assert any("1.05 MB" in reason for reason in found.because)


def test_a_consumer_that_is_served_is_told_so(tmp_path: Path) -> None:
    consumer(tmp_path, 50, waits=0.1, uses=10)
    workers(tmp_path, 50, took=5, computing=1)
    found = judge(Case(recorded(tmp_path, stages())))
    assert found.kind == CONSUMER
    assert found.advice[0].arguments == {"nworkers": 1}  # is enough
    assert found.ceiling is not None
    assert abs(found.ceiling - 0.5) < 0.001


def test_one_slow_item_is_named(tmp_path: Path) -> None:
    lane = Lane(tmp_path, "MainThread")
    one, other = (Lane(tmp_path, f"worker-{k}") for k in range(2))
    for i in range(50):
        lane.does(WAIT, 400 if i == 20 else 0.1, which=i).does(USE, 5, which=i)
        (other if i % 2 else one).does(SOURCE, 450 if i == 20 else 4, which=i)
    recording = recorded(tmp_path, stages(max_cached=6))
    files = [f"img_{k:02}.png" for k in range(100)]
    pairs = seqtools.batch(seqtools.smap(len, files), 2)
    recording.originals = {PREFETCH: ref(pairs)}
    found = judge(Case(recording))
    assert found.kind == SLOW
    (told,) = [reason for reason in found.because if "item 20 took 450 ms" in reason]
    assert told.endswith(", made from 'img_40.png', 'img_41.png'")
    assert {"ordered": False} in [advice.arguments for advice in found.advice]


def test_too_little_says_nothing(tmp_path: Path) -> None:
    consumer(tmp_path, 3, waits=9, uses=1)
    workers(tmp_path, 3, took=20, computing=0.1)
    found = judge(Case(recorded(tmp_path, stages())))
    assert (found.kind, found.ceiling, found.advice) == (SHORT, None, [])


@pytest.mark.parametrize(("n", "said"), [(1, "1 item in 0.000 s was"), (1200, "1,200 items in")])
def test_items_are_counted_in_words(tmp_path: Path, n: int, said: str) -> None:
    consumer(tmp_path, n, waits=0.001, uses=0)
    found = judge(Case(recorded(tmp_path, stages())))
    assert found.kind == SHORT
    assert found.because[0].startswith(said)


def test_a_window_that_was_only_seen_before_the_start_is_taken_for_the_first(
    tmp_path: Path,
) -> None:
    lane = consumer(tmp_path, 50, waits=9, uses=1)
    lane.recorder.note(FILL, 0, 0, 1.0, 1.0, 0)
    workers(tmp_path, 50, took=20, computing=0.1)
    case = Case(recorded(tmp_path, stages(max_cached=None)))
    assert case.setting.window == 10
    assert judge(case).kind == LOADING


def test_what_workers_read_ahead_and_compute_twice_is_told(tmp_path: Path) -> None:
    consumer(tmp_path, 50, waits=19, uses=1)
    given = stages(method="process", readahead=True)
    cached = [
        given[0],
        given[1]._replace(name="smap(cut)", sources=(2,)),
        Stage(2, "smap(load)", "smap", ("a.py", 0), (), {}),
    ]
    for pid in (200, 201):
        worker = Lane(tmp_path, "MainThread", pid)
        ahead = Lane(tmp_path, "seqtools-reader", pid)
        for i in range(25):
            worker.does(SOURCE, 40, 40, which=2 * i + pid - 200)
            ahead.does(2, 20, 20, which=i)
    found = judge(Case(recorded(tmp_path, cached, cores=8)))
    assert found.kind == LOADING
    assert any("smap(load) was read 50 times for 25 items" in r for r in found.because)
    advice = next(a for a in found.advice if a.arguments == {"readahead": False})
    assert abs(advice.seconds - (0.981 - 0.25)) < 0.01


def test_what_others_compute_is_told_and_counted(tmp_path: Path) -> None:
    consumer(tmp_path, 50, waits=9, uses=1)
    workers(tmp_path, 50, took=20, computing=10, pid=200)
    recording = recorded(tmp_path, stages(method="process"), cores=2)
    recording.others = 1.0
    case = Case(recording)
    assert case.setting.cores == 1
    assert any("other programs computed on 1.0 of 2 cores" in r for r in judge(case).because)
    assert all(item.waiting == 0 for item in case.items)  # that was for a processor


def test_the_report_begins_with_the_verdict_and_ends_with_the_stages(tmp_path: Path) -> None:
    consumer(tmp_path, 50, waits=9, uses=1)
    workers(tmp_path, 50, took=20, computing=0.1)
    lines = report.report(Case(recorded(tmp_path, stages()))).splitlines()
    assert lines[0] == "loading is the bottleneck: your loop waited 90 % of the time"
    heads = ["because", "ceiling", "try, in this order", "stages, with the times of all workers"]
    assert [line for line in lines if line in heads] == heads
    assert any(line.split()[:2] == ["smap(load)", "50"] for line in lines)
