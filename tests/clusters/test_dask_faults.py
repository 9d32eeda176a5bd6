"""What becomes of a prefetch when something happens to its Dask: nothing is lost, nothing hangs."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import seqtools
from seqtools.engines.cluster import dask as transport
from seqtools.engines.cluster import remote
from tests.clusters import harm, real
from tests.clusters.harm import KillsItsWorker
from tests.clusters.test_dask import check_nothing_is_left
from tests.engines.fifo import Fifo

MakeFifo = Callable[[], Fifo]


def read_all(ready: Any) -> list[Any]:
    """Return all items, and what caused the errors of those that failed."""
    items, found = iter(ready), list[Any]()
    while True:
        try:
            found.append(next(items))
        except StopIteration:
            return found
        except seqtools.EvaluationError as error:
            found.append(error.__cause__)


@pytest.mark.parametrize("threads", [1, 4])
def test_an_item_kills_its_worker_once(tmp_path: Path, threads: int) -> None:
    kills = KillsItsWorker(50, once=str(tmp_path / "killed"))
    with (
        real.dask_cluster(2 if threads == 1 else 1, threads) as cluster,
        cluster.client() as client,
        seqtools.prefetch(seqtools.smap(kills, range(100)), method=client) as ready,
    ):
        assert read_all(ready) == list(range(100))
        ready.close()
        check_nothing_is_left(client)


@pytest.mark.parametrize("threads", [1, 4])
def test_an_item_kills_its_worker_each_time(tmp_path: Path, threads: int) -> None:
    deaths = tmp_path / "deaths"

    def kill(i: int) -> int:
        if i == 50:
            with open(deaths, "a", encoding="ascii") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return i

    with (
        real.dask_cluster(2 if threads == 1 else 1, threads) as cluster,
        cluster.client() as client,
        seqtools.prefetch(seqtools.smap(kill, range(100)), method=client) as ready,
    ):
        found = read_all(ready)
        assert isinstance(found[50], seqtools.WorkerDied)
        assert "died twice while it evaluated item 50" in str(found[50])
        assert [x for i, x in enumerate(found) if i != 50] == [i for i in range(100) if i != 50]
        # with others, and twice alone; once more if a task was taken for the cause whose result
        # was lost
        assert len(deaths.read_text(encoding="ascii")) in {3, 4}
        ready.close()
        check_nothing_is_left(client)


def test_a_worker_is_killed(fresh_dask: real.DaskCluster, fifo: MakeFifo) -> None:
    started, go = fifo(), fifo()

    def wait(i: int) -> int:
        if i % 10 == 0:
            started.send()
            go.wait()
        return i

    with (
        fresh_dask.client() as client,
        seqtools.prefetch(seqtools.smap(wait, range(100)), method=client) as ready,
    ):
        found: list[Any] = []
        reading = threading.Thread(target=lambda: found.extend(read_all(ready)))
        reading.start()
        started.wait(2)
        harm.kill_dask_worker(fresh_dask)
        go.send(1000)
        reading.join()
        assert found == list(range(100))


def test_all_workers_are_killed(
    fresh_dask: real.DaskCluster, fifo: MakeFifo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_MOST_LONELY", 1.0)
    started, go = fifo(), fifo()

    def wait(i: int) -> int:
        if i == 5:
            started.send()
            go.wait()
        return i

    with fresh_dask.client() as client:
        items = iter(seqtools.prefetch(seqtools.smap(wait, range(1000)), method=client))
        assert next(items) == 0
        started.wait()
        harm.kill_dask_workers(fresh_dask)
        n = check_it_ends(items, "all workers of Dask have ended, and no other has come")
        assert n <= 4


def check_it_ends(items: Any, told: str) -> int:
    """Check that items come in order until there is an error; return how many."""
    found = []
    with pytest.raises(seqtools.WorkerStartError, match=told):
        found.extend(items)
    assert found == list(range(1, len(found) + 1))
    return len(found)


def test_the_scheduler_is_killed(fresh_dask: real.DaskCluster) -> None:
    with fresh_dask.client(timeout=60) as client:
        items = iter(seqtools.prefetch(seqtools.smap(abs, range(10_000_000)), method=client))
        assert next(items) == 0
        harm.kill_dask_scheduler(fresh_dask)
        told = "the scheduler of Dask is gone: its client is connecting"
        check_it_ends(items, told)
        with pytest.raises(seqtools.WorkerStartError, match=told):
            next(items)


def test_the_client_is_closed(dask: Any) -> None:
    items = iter(seqtools.prefetch(seqtools.smap(abs, range(10_000_000)), method=dask))
    assert next(items) == 0
    dask.close()
    check_it_ends(items, "the client of Dask was closed|Dask takes no more work")


def test_dask_is_restarted(fresh_dask: real.DaskCluster, fifo: MakeFifo) -> None:
    started, go = fifo(), fifo()

    def wait(i: int) -> int:
        if i % 10 == 0:
            started.send()
            go.wait()
        return i

    with fresh_dask.client() as client:
        with seqtools.prefetch(seqtools.smap(wait, range(100)), method=client) as ready:
            found: list[Any] = []
            reading = threading.Thread(target=lambda: found.extend(read_all(ready)))
            reading.start()
            started.wait(2)
            harm.restart_dask(client)
            go.send(1000)
            reading.join()
            assert found == list(range(100))
        check_nothing_is_left(client)


def test_a_cluster_that_has_no_workers_yet(fifo: MakeFifo) -> None:
    with real.dask_scheduler() as (_, address):
        cluster = real.DaskCluster(address, 0)
        with cluster.client() as client:
            ready = seqtools.prefetch(seqtools.smap(abs, range(100)), 4, client)
            found: list[Any] = []
            reading = threading.Thread(target=lambda: found.extend(read_all(ready)))
            reading.start()
            with real.dask_workers(address):
                reading.join()
                assert found == list(range(100))
                ready.close()
                check_nothing_is_left(client)


def test_workers_come_and_go(fresh_dask: real.DaskCluster) -> None:
    with (
        fresh_dask.client() as client,
        seqtools.prefetch(
            seqtools.smap(lambda _: (time.sleep(0.001), os.getpid())[1], range(1_000_000)),
            method=client,
        ) as ready,
    ):
        items = iter(ready)
        before = {next(items) for _ in range(100)}
        with real.dask_workers(fresh_dask.address):
            seen = set(before)
            while len(seen) < 4:
                seen.add(next(items))
        for _ in range(20_000):  # those of the workers that have gone are evaluated by others
            next(items)


def test_a_module_that_workers_lack_is_named_with_the_line_that_ships_it(
    fresh_dask: real.DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "helpers_of_mine.py").write_text("def double(x):\n    return 2 * x\n", "ascii")
    monkeypatch.syspath_prepend(str(tmp_path))
    from helpers_of_mine import double

    with fresh_dask.client() as client:
        told = r"the workers of Dask have no module 'helpers_of_mine': (client.*\.py'\)) sends it"
        with seqtools.prefetch(seqtools.smap(double, range(9)), method=client) as ready:
            with pytest.raises(seqtools.WorkerStartError, match=told) as caught:
                list(ready)
            assert "ModuleNotFoundError" in "".join(caught.value.__notes__)
            client.upload_file(str(tmp_path / "helpers_of_mine.py"))
            assert list(ready) == [2 * x for x in range(9)]


HIDES = """
import sys

class Hides:
    def find_spec(self, name, path=None, target=None):
        if name == "seqtools":
            raise ModuleNotFoundError("No module named 'seqtools'", name="seqtools")

sys.meta_path.insert(0, Hides())
"""

OLDER = """
import seqtools.engines.cluster.remote as remote

remote.SPEAKS = {}
"""


@pytest.mark.parametrize(
    ("preload", "told"),
    [
        (HIDES, "worker tcp://.* of Dask has no seqtools: python -m pip install seqtools, there"),
        (OLDER.format((1, 3, 2)), r"the workers of Dask have Python 3\.2, this process has 3\."),
        (OLDER.format((0, *remote.SPEAKS[1:])), "have another version of seqtools"),
    ],
    ids=["none", "Python", "messages"],
)
def test_workers_with_other_packages(tmp_path: Path, preload: str, told: str) -> None:
    (tmp_path / "preload.py").write_text(preload, "ascii")
    with real.dask_scheduler() as (_, address):
        preloaded = {"DASK_DISTRIBUTED__WORKER__PRELOAD": str([str(tmp_path / "preload.py")])}
        with (
            real.dask_workers(address, **preloaded),
            real.DaskCluster(address, 0).client() as client,
            seqtools.prefetch(seqtools.smap(abs, range(9)), 2, client) as ready,
            pytest.raises(seqtools.WorkerStartError, match=told),
        ):
            list(ready)


def test_resources(fresh_dask: real.DaskCluster) -> None:
    has_it = {"DASK_DISTRIBUTED__WORKER__RESOURCES__SENSOR": "1"}
    source = seqtools.smap(lambda _: os.getpid(), range(100))
    with fresh_dask.client() as client:
        ready = seqtools.prefetch(
            source, method=client, engine_options={"resources": {"sensor": 1}}
        )
        told = r"no worker of Dask has resources \{'sensor': 1\}: start some with these"
        with pytest.raises(seqtools.WorkerStartError, match=told):
            list(ready)
        with real.dask_workers(fresh_dask.address, 1, **has_it):
            assert len(set(ready)) == 1
            ready.close()
