"""Profiles and checks of pipelines on real clusters, here and on a second machine."""

import json
import os
import warnings
from pathlib import Path
from typing import Any

import pytest

import seqtools
from seqtools import instrument
from tests.clusters import real
from tests.clusters.elsewhere import Machine
from tests.clusters.test_elsewhere import by_value
from tests.profiling.elsewhere import folders


def profiled(method: Any, n: int = 120) -> instrument.Profile:
    p = seqtools.prefetch(seqtools.smap(abs, range(n)), method=method)
    with instrument.profile(p) as measured:
        assert list(p) == list(range(n))
    p.close()
    return measured


def lanes(measured: instrument.Profile, folder: Path) -> set[str]:
    """Return the names of the processes that evaluated items, which are all there."""
    measured.to_trace(folder / "trace.json")
    events = json.loads((folder / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    names = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    reads = [e for e in events if e["ph"] == "X" and e["name"] == "smap(abs)"]
    assert sorted(e["args"]["index"] for e in reads) == list(range(len(reads)))
    assert len(reads) == 120
    return {names[e["pid"]] for e in reads}


def nothing_stays(client: Any) -> None:
    assert {count for _, count in client.run(by_value(folders)).values()} == {0}


def test_actors_on_another_machine_have_lanes(
    ray_elsewhere: Any, ray_machine: Machine, tmp_path: Path
) -> None:
    measured = profiled(ray_elsewhere)
    host = ray_machine.hostname
    for lane in lanes(measured, tmp_path):
        assert lane.startswith("worker ")
        assert lane.endswith(f" on {host}")
    assert f"clock of {host}: its times may be wrong by " in measured.report()


@pytest.mark.parametrize("by_executor", [True, False], ids=["executor", "client"])
def test_workers_of_dask_have_lanes(dask: Any, tmp_path: Path, by_executor: bool) -> None:
    measured = profiled(dask.get_executor() if by_executor else dask)
    pids = dask.run(os.getpid).values()
    assert lanes(measured, tmp_path) <= {f"worker process {pid}" for pid in pids}
    nothing_stays(dask)


@pytest.mark.parametrize("by_executor", [True, False], ids=["executor", "client"])
def test_workers_on_another_machine_have_lanes(
    dask_elsewhere: Any, dask_machine: real.DaskCluster, tmp_path: Path, by_executor: bool
) -> None:
    assert dask_machine.machine
    measured = profiled(dask_elsewhere.get_executor() if by_executor else dask_elsewhere)
    host = dask_machine.machine.hostname
    pids = dask_elsewhere.run(os.getpid).values()
    assert lanes(measured, tmp_path) <= {f"worker process {pid} on {host}" for pid in pids}
    assert f"clock of {host}: its times may be wrong by " in measured.report()
    nothing_stays(dask_elsewhere)


def test_actors_of_ray_have_lanes(ray: Any, tmp_path: Path) -> None:
    assert lanes(profiled(ray), tmp_path)


@pytest.mark.parametrize(
    ("name", "title"), [("dask", "Dask"), ("ray", "Ray"), ("loky", "the ProcessPoolExecutor")]
)
def test_quick_items_do_not_pay(name: str, title: str, request: pytest.FixtureRequest) -> None:
    method = request.getfixturevalue(name)
    p = seqtools.prefetch(seqtools.smap(abs, range(1000)), 2, method, max_cached=16)
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # or else it would tell that they are errors here alone
        found = instrument.check(p)
    assert [f"each block costs {title} about" in each.what for each in found] == [True]
