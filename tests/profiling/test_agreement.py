"""Verdict, table, advice and page of a profile never contradict each other."""

import random
import time
from pathlib import Path
from typing import Any

import pytest

import seqtools
from seqtools import instrument
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.report import report
from seqtools.instrument.profiling.tracks import Recording
from tests.profiling.agreement import contradictions
from tests.profiling.synthetic import PREFETCH, USE, WAIT, Lane, recorded, stages

ITEMS = 12


def drawn_stages(draw: random.Random) -> list[Stage]:
    """Return a prefetch over a few functions, with caches in between."""
    given = stages(
        nworkers=draw.choice([1, 2, 3]),
        method=draw.choice(["thread", "process"]),
        readahead=True,
        max_cached=draw.choice([None, 10]),
    )[:1]
    depth = draw.randint(1, 6)
    for number in range(1, depth + 1):
        sources = (number + 1,) if number < depth else ()
        cache = {"cache_size": draw.choice([1, 2, 8]), "given": False}
        if sources and draw.random() < 0.4:
            given.append(
                Stage(number, f"add_cache:{number}", "add_cache", ("a.py", 1), sources, cache)
            )
        else:
            given.append(Stage(number, f"smap(f{number})", "smap", ("a.py", 1), sources, {}))
    return given


class Worker:
    """A worker, and the thread that reads ahead for its caches, from event to event."""

    def __init__(self, folder: Path, given: list[Stage], draw: random.Random, k: int) -> None:
        self.given, self.draw = given, draw
        pid = 200 + k if given[PREFETCH].options["method"] == "process" else 100
        self.lane = Lane(folder, f"worker-{k}", pid)
        # each background thread serves one worker here, and they share their name
        self.ahead = Lane(folder / f"{k}", "seqtools-reader", pid)
        self.costs = {s.number: (draw.expovariate(0.5), draw.random()) for s in given}

    def does(self, number: int, i: int, lane: Lane) -> float:
        """Have an item of a stage read in a lane, and return for how long that computed."""
        begin = lane.now
        took, part = self.costs[number]
        computing = 0.0
        for source in self.given[number].sources:
            way = self.draw.random()
            if self.given[number].kind != "add_cache" or way < 0.3 or lane is self.ahead:
                computing += self.does(source, i, lane)
            elif way < 0.8:
                self.ahead.now = max(self.ahead.now, lane.now - self.draw.random())
                self.does(source, i, self.ahead)
                lane.rests(max(0.0, self.ahead.now - lane.now))
        if self.given[number].kind != "add_cache":
            computing += took * part
            lane.rests(took)
        else:
            lane.rests(0.001)
        lane.did(number, begin, computing, which=i)
        return computing


def drawn(folder: Path, seed: int) -> Recording:
    """Return a recording of what workers did, of which all that is random is drawn from a seed."""
    draw = random.Random(seed)
    given = drawn_stages(draw)
    workers = []
    for k in range(given[PREFETCH].options["nworkers"]):
        (folder / f"{k}").mkdir()
        workers.append(Worker(folder, given, draw, k))
    consumer = Lane(folder, "MainThread")
    for i in range(ITEMS):
        worker = workers[i % len(workers)]
        worker.does(1, i, worker.lane)
        consumer.does(WAIT, max(0.01, worker.lane.now - consumer.now), which=i)
        consumer.does(USE, draw.expovariate(1.0), which=i)
    for k in range(len(workers)):  # all pages in one folder, by names that differ
        (page,) = (folder / f"{k}").iterdir()
        page.rename(folder / f"{k}-{page.name}")
        (folder / f"{k}").rmdir()
    return recorded(folder, given, cores=4)


@pytest.mark.parametrize("seed", range(60))
def test_what_is_said_of_drawn_recordings_agrees(tmp_path: Path, seed: int) -> None:
    assert contradictions(drawn(tmp_path, seed)) == []


def test_workers_that_wait_at_a_cache_wait_for_the_stage_that_is_read(tmp_path: Path) -> None:
    kept = {"cache_size": 2, "given": False}
    given = [
        *stages(method="process", readahead=True)[:1],
        Stage(1, "add_cache", "add_cache", ("a.py", 1), (2,), kept),
        Stage(2, "smap(windows)", "smap", ("a.py", 1), (3,), {}),
        Stage(3, "smap(tokens)", "smap", ("a.py", 1), (), {}),
    ]
    consumer = Lane(tmp_path, "MainThread")
    worker, ahead = Lane(tmp_path, "worker", 200), Lane(tmp_path, "seqtools-reader", 200)
    for i in range(20):
        begin = ahead.now
        ahead.does(3, 9, 9, which=i).rests(1).did(2, begin, 10, which=i)
        worker.does(1, 10, which=i)
        consumer.does(WAIT, 9.9, which=i).does(USE, 0.1, which=i)
    recording = recorded(tmp_path, given)
    assert contradictions(recording) == []
    case = Case(recording)
    assert [round(1e3 * figure.own) for figure in case.figures[1:]] == [0, 20, 180]
    assert [round(1e3 * figure.own_ahead) for figure in case.figures[1:]] == [0, 20, 180]
    said = report(case)
    assert "most of their time is in smap(tokens): it computes (100 % of its time)" in said
    assert "keep what smap(tokens) returns" in said


def test_hidden_work_is_not_what_workers_wait_for(tmp_path: Path) -> None:
    kept = {"cache_size": 2, "given": False}
    given = [
        *stages(method="process", readahead=True)[:1],
        Stage(1, "smap(cut)", "smap", ("a.py", 1), (2,), {}),
        Stage(2, "add_cache", "add_cache", ("a.py", 1), (3,), kept),
        Stage(3, "smap(load)", "smap", ("a.py", 1), (), {}),
    ]
    consumer = Lane(tmp_path, "MainThread")
    worker, ahead = Lane(tmp_path, "worker", 200), Lane(tmp_path, "seqtools-reader", 200)
    for i in range(20):
        ahead.does(3, 9, 9, which=i).rests(1)
        begin = worker.now
        worker.does(2, 0.01, which=i).rests(9.99).did(1, begin, 8, which=i)
        consumer.does(WAIT, 9.9, which=i).does(USE, 0.1, which=i)
    recording = recorded(tmp_path, given)
    assert contradictions(recording) == []
    assert "most of their time is in smap(cut): " in report(Case(recording))


class Work:
    """Waits and computes for so long."""

    def __init__(self, waiting: float, computing: float) -> None:
        self.waiting, self.computing = waiting, computing

    def __call__(self, item: Any) -> Any:
        if self.waiting:
            time.sleep(self.waiting)
        until = time.thread_time() + self.computing
        while time.thread_time() < until:
            sum(range(50))
        return item


def pipeline(draw: random.Random) -> Any:
    """Return stages of every kind over a few items, in an order that is drawn."""
    made: Any = range(24)
    for k in range(draw.randint(1, 4)):
        work = Work(draw.choice([0, 0.001, 0.003]), draw.choice([0, 0.0005, 0.002]))
        work.__name__ = f"f{k}"  # type: ignore[attr-defined]
        made = seqtools.smap(work, made)
        if draw.random() < 0.5:
            made = seqtools.add_cache(made, draw.choice([1, 2, 4]))
    if draw.random() < 0.5:
        made = seqtools.batch(made, 2)
    return seqtools.prefetch(
        made, draw.choice([1, 2]), draw.choice(["thread", "process"]), readahead=True
    )


@pytest.mark.parametrize("seed", range(8))
def test_what_is_said_of_real_pipelines_agrees(seed: int) -> None:
    with pipeline(random.Random(seed)) as p, instrument.profile(p) as measured:
        assert len(list(p)) == len(p)
    recording = measured._recording
    assert recording is not None
    assert contradictions(recording) == []
