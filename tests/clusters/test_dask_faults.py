"""Clusters of Dask that change, and workers that lack something; `test_faults` has harm."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import seqtools
from seqtools.engines.cluster import remote
from tests.clusters import real
from tests.clusters.test_dask import check_nothing_is_left


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


def test_a_cluster_that_has_no_workers_yet() -> None:
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
        for _ in range(5_000):  # those of the workers that have gone are evaluated by others
            next(items)


def test_a_module_that_workers_lack_is_named_with_the_line_that_ships_it(
    fresh_dask: real.DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "helpers_of_mine.py").write_text("def double(x):\n    return 2 * x\n", "ascii")
    monkeypatch.syspath_prepend(str(tmp_path))
    from helpers_of_mine import double

    with fresh_dask.client() as client:
        told = (
            r"Dask have no module 'helpers_of_mine': (client.*\.py'\)) sends it, after modules of"
        )
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
        (HIDES, "worker tcp://.* of Dask has no seqtools: install the one that this program has"),
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
