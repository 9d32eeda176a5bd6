"""Real clusters, each until its context ends; `conftest.py` keeps one of each for all tests.

What they yield is what a user passes as `method=`, or its address. Each starts in processes of its
own, which end with this one whatever becomes of it.
"""

import logging
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import distributed
import loky
import ray

from tests import scripts
from tests.clusters.elsewhere import LOOPBACK, Machine
from tests.engines.fifo import Fifo

DASK = str(Path(__file__).parent / "dask_main.py")
RAY_STORE = 200 << 20
"""Bytes of Ray's object store; arbitrary, enough for what tests send."""
OFFLOADED = 11 << 20
"""Bytes of a message that Dask decodes in a thread of its own, which is there for good."""
WORKERS = 2

# Read by Ray when it is imported, and by all of its processes.
RAY_SETTINGS = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",  # nobody is told
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the future that a warning is about
}


# ---------------------------------------------------------------------------- Dask


@contextmanager
def dask_program(*arguments: str, folder: str | None = None) -> Iterator[tuple[Any, str]]:
    """Run `dask_main.py`; yield its process and the addresses that it has."""
    with (
        temporary_folder() as made,
        open(os.path.join(made, "log"), "w+", encoding="utf-8") as log,
    ):
        settings = {"DASK_TEMPORARY_DIRECTORY": folder or made}
        with subprocess.Popen(
            [sys.executable, DASK, *arguments],
            env=scripts.environment(**settings, PYTHONPATH=scripts.SOURCE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C is for the reader
        ) as process:
            assert process.stdout
            yield process, _first_line(process.stdout, log)
            with suppress(BrokenPipeError):
                process.communicate()  # which closes its input


def _first_line(output: IO[str], log: IO[str]) -> str:
    line = output.readline().strip()
    if not line:
        log.seek(0)
        raise RuntimeError(f"a program did not start: {log.read()}")
    return line


@contextmanager
def dask_scheduler(host: str = LOOPBACK) -> Iterator[tuple[Any, str]]:
    """Yield the process of a scheduler, and its address."""
    with dask_program("scheduler", host) as (process, address):
        yield process, address


@contextmanager
def dask_cluster(processes: int = WORKERS, threads: int = 1) -> Iterator["DaskCluster"]:
    """Yield a scheduler in a process of its own, with workers in other processes."""
    with dask_scheduler() as (scheduler, address):
        command = ("workers", address, LOOPBACK, str(processes), str(threads))
        with dask_program(*command) as (nannies, _):
            yield DaskCluster(scheduler, nannies, address)


class DaskCluster:
    """A cluster of Dask, by its processes: `nannies` is the parent of the workers."""

    def __init__(self, scheduler: Any, nannies: Any, address: str) -> None:
        self.scheduler, self.nannies, self.address = scheduler, nannies, address

    def client(self) -> "distributed.Client":
        """Return a client, to be closed by whoever asks for it."""
        return dask_client(self.address)


def dask_client(address: str) -> "distributed.Client":
    """Return a client of the scheduler at `address`."""
    # What it logs when its cluster is harmed is true, and not for the output of tests.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    return distributed.Client(address, timeout=scripts.LONGEST)


def warm_dask(cluster: DaskCluster) -> None:
    """Have Dask start what it starts once in a process, at the first use."""
    with cluster.client() as client:
        assert len(client.submit(bytes, OFFLOADED).result(scripts.LONGEST)) == OFFLOADED


# ---------------------------------------------------------------------------- Ray


def ray_options(folder: str) -> dict[str, Any]:
    """Return the options of `ray.init` for a cluster of its own, in silence."""
    return {
        "_node_ip_address": LOOPBACK,
        "_temp_dir": folder,
        "include_dashboard": False,
        "log_to_driver": False,
        "logging_level": logging.CRITICAL,
        "num_cpus": WORKERS,
        "object_store_memory": RAY_STORE,
    }


@contextmanager
def ray_local() -> Iterator[str]:
    """Start a local Ray with two processors, to which this process is connected."""
    with temporary_folder() as folder:
        ray.init(**ray_options(folder))
        try:
            warm_ray()
            yield "ray"
        finally:
            ray.shutdown()


class RayNodes:
    """Two nodes of Ray on this machine; this process is connected to the first."""

    def __init__(self, cluster: Any, second: Any) -> None:
        self.cluster, self.second = cluster, second


@contextmanager
def ray_nodes() -> Iterator[RayNodes]:
    """Start two nodes with a processor each, of which the second can be removed."""
    from ray.cluster_utils import Cluster

    with temporary_folder() as folder:
        node = {"num_cpus": 1, "object_store_memory": RAY_STORE}
        head = {"include_dashboard": False, "temp_dir": folder, **node}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            second = cluster.add_node(**node)
            ray.init(cluster.address, log_to_driver=False, logging_level=logging.CRITICAL)
            warm_ray()
            yield RayNodes(cluster, second)
        finally:
            ray.shutdown()
            cluster.shutdown()


@contextmanager
def ray_elsewhere(machine: Machine) -> Iterator[Machine]:
    """Start Ray without processors here, and with some on `machine`, where everything then runs."""
    with temporary_folder() as folder:
        options = ray_options(folder) | {"_node_ip_address": machine.reader, "num_cpus": 0}
        ray.init(**options)
        try:
            machine.start(*ray_node(ray.get_runtime_context().gcs_address, machine.address))
            warm_ray(WORKERS)
            yield machine
        finally:
            ray.shutdown()


def ray_node(address: str, own: str) -> list[str]:
    """Return the program that joins Ray at `address` from the host with the address `own`."""
    node = ["-m", "ray.scripts.scripts", "start", "--block", f"--address={address}"]
    node += [f"--node-ip-address={own}", f"--num-cpus={WORKERS}"]
    return [*node, f"--object-store-memory={RAY_STORE}"]


def warm_ray(processors: int = WORKERS) -> None:
    """Have Ray connect to its workers, which it does once, and forget those that it has tried."""

    @ray.remote(num_cpus=1)
    class Actor:
        def echo(self, value: Any) -> Any:
            return value

    for _ in range(2):
        actors = [Actor.remote() for _ in range(processors)]
        ray.get([actor.echo.remote(1) for actor in actors], timeout=scripts.LONGEST)
        for actor in actors:
            ray.kill(actor)


# ---------------------------------------------------------------------------- executors


def process_pool(workers: int = WORKERS) -> ProcessPoolExecutor:
    """Return a pool of the standard library, whose processes are forked by a server."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("forkserver"))


def loky_pool(workers: int = WORKERS) -> Executor:
    """Return a pool of loky that is nobody else's."""
    return loky.ProcessPoolExecutor(workers, timeout=None)


def thread_pool(workers: int = WORKERS) -> ThreadPoolExecutor:
    """Return a pool of threads."""
    return ThreadPoolExecutor(workers)


EXECUTORS = {"loky": loky_pool, "process": process_pool, "thread": thread_pool}
"""How each executor is made: what a user passes as a factory."""


def warm_pool(pool: Executor, workers: int = WORKERS) -> None:
    """Have a pool start all of its workers, which it does when they are needed."""
    with temporary_folder() as folder:
        started, go = Fifo(Path(folder) / "started"), Fifo(Path(folder) / "go")
        waiting = [pool.submit(_meet, started, go) for _ in range(workers)]
        started.wait(workers)
        go.send(workers)
        for future in waiting:
            future.result(scripts.LONGEST)
        started.close()
        go.close()


def _meet(started: Fifo, go: Fifo) -> None:
    started.send()
    go.wait()


@contextmanager
def temporary_folder() -> Iterator[str]:
    """Yield a folder with a short name: sockets in it may have names of 107 bytes at most."""
    folder = tempfile.mkdtemp(prefix="sqt-", dir="/tmp")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
