"""The clusters are real, and what they hold is told from what a test leaves behind."""

import os
import socket
import subprocess
from concurrent.futures import Executor
from typing import Any

import distributed
import ray as the_ray

from tests import leaks
from tests.clusters import real
from tests.scripts import LONGEST
from tests.test_leaks import SLEEPER


def places(method: Any, n: int = 8) -> list[int]:
    """Return the process of each of `n` tasks."""
    if method == "ray":
        task = the_ray.remote(process)
        return list(the_ray.get([task.remote() for _ in range(n)], timeout=LONGEST))
    if isinstance(method, distributed.Client):
        futures = [method.submit(process, pure=False) for _ in range(n)]
        return list(method.gather(futures))
    assert isinstance(method, Executor)
    return [future.result(LONGEST) for future in [method.submit(process) for _ in range(n)]]


def process() -> int:
    return os.getpid()


def test_tasks_run(cluster: Any) -> None:
    assert len(places(cluster)) == 8


def test_tasks_run_in_other_processes(
    dask: Any, dask_threads: Any, loky: Any, process_pool: Any, ray: Any
) -> None:
    for method in dask, dask_threads, loky, process_pool, ray:
        assert os.getpid() not in places(method)


def test_dask_has_two_processes_and_a_scheduler_in_another(
    dask: Any, dask_processes: real.DaskCluster
) -> None:
    assert len(set(dask.run(os.getpid).values())) == 2
    assert dask.run_on_scheduler(os.getpid) == dask_processes.scheduler
    assert dask_processes.scheduler not in {os.getpid(), dask_processes.nannies}


def test_dask_has_one_process_with_four_threads(dask_threads: Any) -> None:
    assert list(dask_threads.nthreads().values()) == [4]


def test_ray_has_two_processors(ray: Any) -> None:
    assert the_ray.cluster_resources()["CPU"] == 2


def test_leaks_are_seen_while_clusters_stand(dask: Any, ray: Any) -> None:
    before = leaks.held()
    with (
        subprocess.Popen(SLEEPER, stdin=subprocess.PIPE) as process,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()[:2]),
    ):
        lines = leaks.leaked(before, grace=0)
    assert any(line.startswith(f"process {process.pid} (") for line in lines)
    assert sum(line.startswith("file descriptor socket:") for line in lines) == 2


def test_a_second_client_of_dask_is_a_leak(dask: Any, dask_processes: real.DaskCluster) -> None:
    before = leaks.held()
    with dask_processes.client(set_as_default=False):
        lines = leaks.leaked(before, grace=0)
    assert any(line.startswith("thread IO loop") for line in lines)
    assert any(line.startswith("file descriptor socket:") for line in lines)
    assert leaks.leaked(before, leaks.GRACE) == []


def test_what_ray_opens_and_starts_for_its_tasks_is_no_leak(ray: Any) -> None:
    before = leaks.held()
    for _ in range(2):
        places(ray, 20)
        real.warm_ray(real.WORKERS)
    assert leaks.leaked(before, leaks.GRACE) == []
