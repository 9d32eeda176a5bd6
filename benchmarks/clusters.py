"""The clusters that contestants share: each with two workers, started here, ended at exit.

What starts one returns it when both workers have evaluated something, so that nothing of its
start is timed where it is used. Its start is a workload of its own.
"""

import atexit
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import Any

from benchmarks.workload import Cluster

NWORKERS = 2
TOGETHER = 0.2
"""Seconds that both workers sleep in the end, so that each gets one of two tasks. Arbitrary."""


def _wait(_: int) -> int:
    time.sleep(TOGETHER)
    return os.getpid()


def pool() -> Executor:
    """Return a process pool of the standard library."""
    import multiprocessing

    executor = ProcessPoolExecutor(NWORKERS, multiprocessing.get_context("forkserver"))
    return _warm(executor)


def loky() -> Executor:
    """Return the executor of loky."""
    import loky

    executor: Executor = loky.get_reusable_executor(NWORKERS, timeout=600)
    return _warm(executor)


def dask() -> Any:
    """Return a client of Dask whose scheduler and workers are processes of their own.

    So it is on a cluster; in a `LocalCluster` the scheduler shares the reader's process.
    """
    from distributed import Client

    folder = tempfile.TemporaryDirectory(prefix="bench-dask-")
    atexit.register(folder.cleanup)
    file = os.path.join(folder.name, "scheduler.json")
    here = "--host", "127.0.0.1", "--scheduler-file", file, "--no-dashboard"
    _start(folder.name, "scheduler", *here, "--port", "0")
    for _ in range(NWORKERS):
        _start(folder.name, "worker", *here, "--nthreads", "1", "--no-nanny")
    client = Client(scheduler_file=file, timeout=30)
    atexit.register(client.close)
    client.wait_for_workers(NWORKERS, timeout=30)
    client.gather(client.map(_wait, range(NWORKERS), pure=False))
    return client


def _start(folder: str, kind: str, *arguments: str) -> None:
    # The folder of this process comes along, so that workers find this package.
    command = [sys.executable, "-m", "distributed.cli.dask_" + kind, *arguments]
    if kind == "worker":
        command += ["--local-directory", folder]
    with open(os.path.join(folder, "log"), "a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 -- ours

    def end() -> None:
        process.kill()
        process.wait()

    atexit.register(end)


def ray() -> str:
    """Start Ray on this machine, and return the name by which a prefetch is told to use it."""
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    import ray

    ray.init(
        address="local",  # another that runs on this machine is not ours
        num_cpus=NWORKERS,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        logging_level="ERROR",
        _node_ip_address="127.0.0.1",
    )
    atexit.register(ray.shutdown)
    wait = ray.remote(_wait)
    ray.get([wait.remote(k) for k in range(NWORKERS)])
    return "ray"


def _warm(executor: Executor) -> Executor:
    atexit.register(executor.shutdown, wait=False)
    list(executor.map(_wait, range(NWORKERS)))
    return executor


CLUSTERS: dict[Cluster, tuple[Callable[[], Any], str | None]] = {
    "pool": (pool, None),
    "loky": (loky, "loky"),
    "dask": (dask, "distributed"),
    "ray": (ray, "ray"),
}
"""What starts each of them, and the distribution that it is from."""
