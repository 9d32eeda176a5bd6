"""Profiles of pipelines whose workers are processes of an executor, here and on other machines."""

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

import seqtools
from seqtools import instrument
from seqtools._core import recording
from seqtools.engines.cluster.costs import BlockCost
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.trace import write_trace
from seqtools.instrument.profiling.verdict import LOADING, judge
from tests import leaks
from tests.profiling import elsewhere
from tests.profiling.synthetic import SEND, SOURCE, USE, WAIT, Lane, recorded, stages


@contextmanager
def pool(
    n: int = 2, method: str = "forkserver", begin: Callable[[], None] | None = None
) -> Iterator[Executor]:
    """Start a pool that tests share; what it holds is no leak of one of them."""
    forkserver.ensure_running()
    before = leaks.held()
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(n, mp_context=context, initializer=begin) as executor:
        assert list(executor.map(int, range(n))) == list(range(n))
        leaks.stand(before)
        yield executor
    leaks.settle()


@pytest.fixture(scope="module")
def here() -> Iterator[Executor]:
    with pool() as executor:
        yield executor


@pytest.fixture(scope="module")
def there() -> Iterator[Executor]:
    with pool(method="spawn", begin=elsewhere.move) as executor:
        yield executor


def events_of(measured: instrument.Profile, folder: Path) -> list[dict[str, Any]]:
    path = folder / "trace.json"
    measured.to_trace(path)
    return list(json.loads(path.read_text(encoding="utf-8"))["traceEvents"])


def processes_of(events: list[dict[str, Any]]) -> dict[int, str]:
    return {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}


def profiled(executor: Executor, n: int = 60) -> instrument.Profile:
    source = seqtools.smap(lambda x: (x, os.getpid()), seqtools.smap(abs, range(n)))
    p = seqtools.prefetch(source, method=executor)
    with instrument.profile(p) as measured:
        assert [x for x, _ in p] == list(range(n))
    p.close()
    return measured


def active_in(executor: Executor) -> int:
    """Return in how many folders the two processes write."""
    answers: dict[int, int] = {}
    while len(answers) < 2:  # any of them may answer
        calls = [executor.submit(elsewhere.folders) for _ in range(4)]
        answers.update(call.result() for call in calls)
    return max(answers.values())


def test_workers_of_a_pool_have_lanes_and_keep_no_files(here: Executor, tmp_path: Path) -> None:
    measured = profiled(here)
    assert active_in(here) == 0
    events = events_of(measured, tmp_path)
    names = processes_of(events)
    assert names.pop(os.getpid()) == "consumer"
    assert names
    assert all(name == f"worker process {pid}" for pid, name in names.items())
    spans = [e for e in events if e["ph"] == "X" and e["pid"] in names]
    assert sum(e["name"] == "smap(abs)" for e in spans) == 60
    assert json.loads(json.dumps(measured.snapshot()))["items"] == 60


def test_records_of_another_machine_are_sent_along(there: Executor, tmp_path: Path) -> None:
    measured = profiled(there)
    assert active_in(there) == 0
    events = events_of(measured, tmp_path)
    names = processes_of(events)
    assert names.pop(os.getpid()) == "consumer"
    assert names
    assert all(name == f"worker process {pid} on host7" for pid, name in names.items())
    spans = [e for e in events if e["ph"] == "X"]
    assert all(e["dur"] >= 0 for e in spans)
    inner = [e for e in spans if e["name"] == "smap(abs)"]
    assert sorted(e["args"]["index"] for e in inner) == list(range(60))
    assert {e["pid"] for e in inner} <= set(names)
    # an item is evaluated before it is received, but for what is unknown of the clocks
    received = {
        e["args"]["index"]: e["ts"] + e["dur"] for e in spans if e["name"] == "wait for an item"
    }
    [line] = [line for line in measured.report().splitlines() if line.startswith("clock of host7")]
    number, unit = line.removeprefix("clock of host7: its times may be wrong by ").split()
    within = float(number) * {"s": 1e6, "ms": 1e3, "µs": 1}[unit]
    assert within < elsewhere.AHEAD * 1e6 / 100
    for each in inner:
        assert each["ts"] >= -within
        assert each["ts"] + each["dur"] <= received[each["args"]["index"]] + 1.01 * within


def test_both_have_the_same_figures(here: Executor, there: Executor) -> None:
    calls = [
        [(s["stage"], s["calls"]) for s in profiled(executor).snapshot()["stages"]]
        for executor in (here, there)
    ]
    assert calls[0] == calls[1]


def test_the_page_and_the_snapshot_hold_no_object_of_the_user(
    here: Executor, tmp_path: Path
) -> None:
    measured = profiled(here)
    measured.to_html(tmp_path / "report.html")
    case = measured._case()
    assert all(
        here is not value for stage in case.recording.stages for value in stage.options.values()
    )


# Recordings that never happened, in milliseconds

COSTLY = BlockCost("Dask", 0.004, 0.016)


def read(folder: Path, each: float, n: int, block: int, **options: Any) -> Case:
    """Return a profile of items that compute for `each`, half of the time of two workers."""
    lanes = [Lane(folder, f"w{k}", 200 + k) for k in range(2)]
    consumer = Lane(folder, "MainThread")
    for i in range(n):
        lane = lanes[i // block % 2]
        lane.does(SOURCE, each, each, which=i)
        if i % block == block - 1:
            lane.recorder.note(SEND, block, 100, lane.now / 1e3 + 1, lane.now / 1e3 + 1, 0)
            lane.rests(block * each)
        consumer.does(WAIT, each, which=i).does(USE, 0.0001, which=i)
    return Case(recorded(folder, stages(method="executor", cost=COSTLY, **options)))


def test_a_cluster_that_cannot_pay_is_told(tmp_path: Path) -> None:
    found = judge(read(tmp_path, 2, 160, 8))
    assert found.kind == LOADING
    [why] = [reason for reason in found.because if "Dask" in reason]
    assert why == (
        "a cluster cannot pay for such items: an item takes 2 ms, a block of 8 of them 16 ms, and "
        "each block costs Dask about 4 ms: 2 workers there do as much as 1.0 would here; "
        "use method='process'"
    )
    assert found.advice[0].arguments["method"] == "process"
    assert not any("of a cluster" in each.text for each in found.advice)


def test_a_cluster_with_expensive_items_may_be_larger(tmp_path: Path) -> None:
    found = judge(read(tmp_path, 200, 40, 1))
    assert found.kind == LOADING
    assert not any("Dask" in reason for reason in found.because)


def test_two_machines_may_have_processes_of_one_number(tmp_path: Path) -> None:
    consumer = Lane(tmp_path, "MainThread")
    lanes = [Lane(tmp_path, name, 200) for name in "abc"]
    for lane, machine in zip(lanes, ("", "m1", "m2"), strict=True):
        fields = {"pid": 200, "thread": "w", "ident": 200, "machine": machine, "host": machine}
        data = recording.header(fields, ahead=0.001 * (machine == "m2"), within=0.0001)
        lane.recorder.view[: len(data)] = data
    for i in range(30):
        lanes[i % 3].does(SOURCE, 3, which=i)
        consumer.does(WAIT, 1, which=i).does(USE, 0.1, which=i)
    measured = recorded(tmp_path, stages(method="executor", nworkers=3))
    write_trace(measured, tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    names = processes_of(events)
    assert sorted(names.values()) == [
        "consumer", "worker process 200", "worker process 200 on m1", "worker process 200 on m2",
    ]  # fmt: skip
    reads = [(names[e["pid"]], e["args"]["index"], e["ts"]) for e in events if e["ph"] == "X"]
    first = {name: ts for name, index, ts in reads if name != "consumer" and index < 3}
    assert first["worker process 200 on m1"] - first["worker process 200 on m2"] == 1000
    assert len(measured.pool(measured.stages[0])) == 3
    assert [line.split(":")[0] for line in measured.clocks()] == ["clock of m1", "clock of m2"]
