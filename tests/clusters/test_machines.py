"""Prefetches whose workers are on a second machine, which shares neither files nor memory.

Functions are defined within tests, so that they are sent by value, and use no globals of this
module, which is missing there.
"""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools.engines.cluster.calls import Calls
from seqtools.engines.cluster.remote import LACKING
from seqtools.testing.gate import Gate
from tests.clusters import real
from tests.clusters.elsewhere import Machine, machine
from tests.clusters.harm import HARMS
from tests.clusters.reading import (
    N,
    Outcomes,
    check_dask,
    check_here,
    check_ray,
    harmed,
    waiting,
)

# Ray is slow to start workers, or to give processors back, where others use the machine.
pytestmark = pytest.mark.filterwarnings("ignore:. of 2 workers have started in Ray")

LARGE = 3_000_000
"""Numbers of an array of 24 MB: more than Dask lets a task have without a warning."""


class There:
    """A cluster whose workers are on another machine.

    Args:
        kind: Which one.
        method: What a user gives `prefetch`.
        machine: The other machine.
    """

    def __init__(self, kind: str, method: Any, machine: Machine) -> None:
        self.kind, self.method, self.machine = kind, method, machine


@pytest.fixture(params=["dask", "ray"])
def there(request: pytest.FixtureRequest) -> Iterator[There]:
    """Yield a cluster of each kind, of which nothing may be left afterwards."""
    kind = request.param
    method = request.getfixturevalue(f"{kind}_elsewhere")
    if kind == "dask":
        cluster = request.getfixturevalue("dask_machine")
        yield There(kind, method, cluster.machine)
        check_dask(method)
    else:
        yield There(kind, method, request.getfixturevalue("ray_machine"))
        check_ray()
    check_here()


@pytest.fixture
def lacked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of workers that have answered that they lack the pipeline."""
    found: list[str] = []
    checked = Calls._checked

    def check(self: Calls, raw: Any) -> Any:
        answer = checked(self, raw)
        if answer.status == LACKING:
            found.append(answer.worker)
        return answer

    monkeypatch.setattr(Calls, "_checked", check)
    return found


@pytest.mark.parametrize("size", [10, LARGE], ids=["small", "large"])
def test_the_pipeline_is_sent(there: There, size: int, lacked: list[str]) -> None:
    added = np.arange(size * 1.0)

    def look(i: int) -> Any:
        return float(added[i % len(added)]) + i, socket.gethostname()

    with seqtools.prefetch(seqtools.smap(look, range(N)), method=there.method) as ready:
        items = list(ready)
    assert [item[0] for item in items] == [i % size + i for i in range(N)]
    assert {item[1] for item in items} == {there.machine.hostname}
    if there.kind == "dask" or size == LARGE:  # an actor is created with a small one
        assert lacked
    assert all(name.endswith(f" on {there.machine.hostname}") for name in lacked)


def test_mapped_files_are_sent_by_content(there: There, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.arange(60_000.0).reshape(600, 100))
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    path = str(tmp_path / "rows.npy")

    def read(i: int) -> Any:
        return float(rows[i].sum()), os.path.exists(path)

    with seqtools.prefetch(seqtools.smap(read, range(N)), method=there.method) as ready:
        assert list(ready) == [(float(rows[i].sum()), False) for i in range(N)]


def test_values_can_be_written_to(there: There) -> None:
    buffer = np.zeros(100_000)

    def fill(i: int) -> Any:
        buffer[:] = i
        return buffer, buffer[:3]

    with seqtools.prefetch(seqtools.smap(fill, range(20)), method=there.method) as ready:
        items = list(ready)
    assert [(large[-1], small[0]) for large, small in items] == [(i, i) for i in range(20)]
    items[3][0][:] = -1
    assert items[4][0][0] == 4


def test_errors_name_the_host(there: There) -> None:
    def invert(x: int) -> float:
        return 1 / x

    with seqtools.prefetch(seqtools.smap(invert, [1, 0, 2]), method=there.method) as ready:
        with pytest.raises(seqtools.EvaluationError) as caught:
            ready[1]
        assert [step.stage for step in caught.value.path] == ["prefetch", "smap(invert)"]
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        notes = "".join(caught.value.__cause__.__notes__)
        assert f" on {there.machine.hostname}:" in notes
        assert socket.gethostname() not in notes


def test_what_is_printed_arrives(there: There, capsys: pytest.CaptureFixture[str]) -> None:
    def tell(x: int) -> int:
        print("item", x)  # noqa: T201
        return x

    with seqtools.prefetch(seqtools.smap(tell, range(4)), 1, there.method) as ready:
        assert list(ready) == [0, 1, 2, 3]
    assert sorted(capsys.readouterr().out.splitlines()) == [f"item {x}" for x in range(4)]


def test_a_missing_module_is_named_with_what_ships_it(
    there: There, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "helpers_of_mine.py").write_text("def double(x):\n    return 2 * x\n", "ascii")
    monkeypatch.syspath_prepend(str(tmp_path))
    from helpers_of_mine import double

    ships = {
        "dask": r"client\.upload_file\('.*helpers_of_mine\.py'\) sends it",
        "ray": r"ray\.init\(runtime_env=.*'py_modules': \['.*helpers_of_mine\.py'\].*sends it",
    }
    told = rf"no module( named)? 'helpers_of_mine': {ships[there.kind]}"
    with (
        seqtools.prefetch(seqtools.smap(double, range(9)), method=there.method) as ready,
        pytest.raises(seqtools.WorkerStartError, match=told),
    ):
        list(ready)


def test_a_file_is_loaded_by_one_worker(there: There) -> None:
    """Except at the start, while it is not known how long an item takes and runs are short."""
    n, most = 12, 12 + 2 * real.WORKERS

    def load(k: int) -> list[tuple[int, int, int]]:
        loads.append(k)
        return [(k, os.getpid(), len(loads))] * 50

    loads: list[int] = []
    files = seqtools.add_cache(seqtools.smap(load, range(n)), 2)
    with seqtools.prefetch(seqtools.unbatch(files, 50), method=there.method) as ready:
        found = list(ready)
    assert [k for k, _, _ in found] == [i // 50 for i in range(50 * n)]
    assert n <= len(set(found)) <= most


# ---------------------------------------------------------------------------- faults


@pytest.fixture
def gates(request: pytest.FixtureRequest) -> Iterator[Callable[[Machine], Gate]]:
    """Return a function that makes a gate, at the address at which a machine reaches this one."""
    made: list[Gate] = []

    def make(other: Machine) -> Gate:
        made.append(Gate(other.reader))
        return made[-1]

    yield make
    for gate in made:
        gate.open()


MACHINES = [name for name, row in HARMS.items() if row.to == "machine"]


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_of_dask_is_harmed(
    name: str, gates: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqtools.engines.cluster.dask._MOST_LONELY", 1.0)
    # the least that Dask accepts, until the scheduler sees that a machine says nothing any more
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP", "12s")
    with real.dask_elsewhere() as cluster, cluster.client() as client:
        assert cluster.machine is not None
        gate = gates(cluster.machine)
        source = waiting(gate)
        with (
            seqtools.prefetch(source, method=client) as ready,
            harmed(gate, lambda: HARMS[name].do(cluster.machine)),
        ):
            found = Outcomes(ready)
        found.check([*range(N)], ends=HARMS[name].ends)
        found.check_it_can_go_on(source, [*range(N)])
    check_here()


@pytest.mark.filterwarnings("ignore:. of 2 workers have started", "ignore:no node of Ray has")
@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_of_ray_is_harmed(
    name: str, gates: Any, fresh_ray_machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqtools.engines.cluster.ray._MOST_LONELY", 1.0)
    gate = gates(fresh_ray_machine)
    source = waiting(gate)
    with (
        seqtools.prefetch(source, method="ray") as ready,
        harmed(gate, lambda: HARMS[name].do(fresh_ray_machine)),
    ):
        found = Outcomes(ready)
    found.check([*range(N)], ends=HARMS[name].ends)
    found.check_it_can_go_on(source, [*range(N)])
    check_here()


def test_a_machine_of_dask_is_plugged_in_again(
    gates: Any, fresh_dask_machine: real.DaskCluster
) -> None:
    other = fresh_dask_machine.machine
    assert other is not None
    gate = gates(other)

    def do() -> None:
        other.unplug()
        other.plug()

    with fresh_dask_machine.client() as client:
        with seqtools.prefetch(waiting(gate), method=client) as ready, harmed(gate, do):
            found = Outcomes(ready)
        found.check([*range(N)], ends=False)
        check_dask(client)


# ---------------------------------------------------------------------------- no seqtools


def test_workers_without_seqtools_are_found_before_they_die() -> None:
    with machine(package=False) as other, real.dask_scheduler(other.reader) as (pid, address):
        cluster = real.DaskCluster(address, pid, machine=other)
        other.start(
            *("-m", "distributed.cli.dask_worker", address, f"--host={other.address}"),
            *("--nworkers=2", "--nthreads=1", "--no-dashboard"),
        )
        with cluster.client() as client:
            # some are there before it is read, others come later
            with (
                seqtools.prefetch(seqtools.smap(abs, range(9)), 2, client) as ready,
                pytest.raises(seqtools.WorkerStartError, match="of Dask has no seqtools"),
            ):
                list(ready)
            client.wait_for_workers(2, timeout=real.LONGEST)
            with (
                seqtools.prefetch(seqtools.smap(abs, range(9)), method=client) as ready,
                pytest.raises(seqtools.WorkerStartError, match="of Dask has no seqtools"),
            ):
                list(ready)
            workers = client.scheduler_info(n_workers=-1)["workers"]
            assert len(workers) == 2
            assert client.submit(int, 3).result(real.LONGEST) == 3
            assert set(client.scheduler_info(n_workers=-1)["workers"]) == set(workers)
            with real.dask_workers(address):
                client.wait_for_workers(4, timeout=real.LONGEST)
                with (
                    seqtools.prefetch(seqtools.smap(abs, range(N)), method=client) as ready,
                    pytest.warns(RuntimeWarning, match="2 workers of Dask are not used: worker"),
                ):
                    assert list(ready) == [*range(N)]
            assert set(workers) <= set(client.scheduler_info(n_workers=-1)["workers"])
    check_here()
