"""What is said of iterables, which no number of workers goes through any faster."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import seqtools
from seqtools import instrument
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.verdict import LOADING, judge
from tests.profiling.agreement import contradictions
from tests.profiling.synthetic import PREFETCH, USE, WAIT, Lane, recorded, stages

CUT, ITERABLE = 1, 2


def case_of(folder: Path, method: str) -> Case:
    """Return the case of two workers that take turns at an iterable, or both go through it."""
    given = [
        *stages(method=method)[: PREFETCH + 1],
        Stage(CUT, "smap(cut)", "smap", ("a.py", 1), (ITERABLE,), {}),
        Stage(ITERABLE, "uniter", "uniter", ("a.py", 1), (), {}),
    ]
    consumer = Lane(folder, "MainThread")
    pids = (200, 201) if method == "process" else (100, 100)
    workers = [Lane(folder, f"worker-{k}", pid) for k, pid in enumerate(pids)]
    for i in range(20):
        worker = workers[i % 2]
        begin = worker.now
        worker.does(ITERABLE, 20, which=i).did(CUT, begin, which=i)
        consumer.does(WAIT, 9.9, which=i).does(USE, 0.1, which=i)
    return Case(recorded(folder, given))


@pytest.mark.parametrize("method", ["thread", "process"])
def test_more_workers_are_not_advised_for_an_iterable(tmp_path: Path, method: str) -> None:
    case = case_of(tmp_path, method)
    found = judge(case)
    assert found.kind == LOADING
    assert not any("nworkers" in advice.arguments for advice in found.advice)
    how = {"thread": "threads take turns at it", "process": "each process goes through all of it"}
    said = next(reason for reason in found.because if reason.startswith("uniter takes "))
    assert said.endswith(f"however many workers there are: {how[method]}")
    assert contradictions(case.recording) == []


def test_what_a_batch_claims_is_time_of_the_iterable() -> None:
    class Slow:
        def __iter__(self) -> Iterator[int]:
            for i in range(160):
                time.sleep(0.001)
                yield i

    batches = seqtools.batch(seqtools.smap(abs, seqtools.uniter(Slow(), size=160)), 8)
    with seqtools.prefetch(batches, 2, "thread") as p, instrument.profile(p) as measured:
        assert [i for items in p for i in items] == list(range(160))
    rows = {row["stage"]: row for row in measured.snapshot()["stages"]}
    assert rows["uniter"]["calls"] == 160
    assert rows["uniter"]["own_seconds"] > rows["batch"]["own_seconds"]
    assert not any("nworkers" in advice["arguments"] for advice in measured.snapshot()["advice"])
    assert measured._recording is not None
    assert contradictions(measured._recording) == []
