"""The clusters are real, and what they hold is told from what a test leaves behind."""

import os
import subprocess
from concurrent.futures import Executor
from typing import Any

import distributed
import pytest
import ray as the_ray

from tests import leaks
from tests.clusters import real
from tests.scripts import LONGEST
from tests.test_leaks import SLEEPER


def places(method: Any, n: int = 8) -> list[tuple[int, int]]:
    """Return the process of each of `n` tasks, and its parent."""

    def place(_: int) -> tuple[int, int]:
        return os.getpid(), os.getppid()

    if method == "ray":
        task = the_ray.remote(place)
        found: list[tuple[int, int]] = the_ray.get([task.remote(k) for k in range(n)])
        return found
    if isinstance(method, distributed.Client):
        found = method.gather(method.map(place, range(n), pure=False))
        return found
    assert isinstance(method, Executor)
    return [future.result(LONGEST) for future in [method.submit(os_place) for _ in range(n)]]


def os_place() -> tuple[int, int]:
    return os.getpid(), os.getppid()


def test_tasks_run(cluster: Any) -> None:
    assert len(places(cluster)) == 8


def test_tasks_run_in_other_processes(
    dask: Any, dask_threads: Any, loky: Any, process_pool: Any, ray: Any
) -> None:
    for method in dask, dask_threads, loky, process_pool, ray:
        assert os.getpid() not in {pid for pid, _ in places(method)}


def test_dask_has_two_processes_and_a_scheduler_in_another(
    dask: Any, dask_processes: real.DaskCluster
) -> None:
    workers = dask.run(os_place)
    assert len({pid for pid, _ in workers.values()}) == 2
    assert dask.run_on_scheduler(os.getpid) == dask_processes.scheduler
    assert dask_processes.scheduler not in {os.getpid(), dask_processes.nannies}


def test_dask_has_one_process_with_four_threads(dask_threads: Any) -> None:
    assert list(dask_threads.nthreads().values()) == [4]


def test_ray_has_two_processors(ray: Any) -> None:
    assert the_ray.cluster_resources()["CPU"] == 2


@pytest.mark.parametrize("orphan", [False, True], ids=["process", "thread"])
def test_a_leak_is_seen_while_clusters_stand(ray: Any, dask: Any, orphan: bool) -> None:
    before = leaks.held()
    with subprocess.Popen(SLEEPER, stdin=subprocess.PIPE) as process:
        lines = leaks.leaked(before, grace=0)
    assert any(line.startswith(f"process {process.pid} (") for line in lines)
