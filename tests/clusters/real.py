"""Real clusters, each until its context ends; `conftest.py` keeps one of each for all tests.

All of them run in processes of their own, except threads, and end with this one whatever becomes
of it. Clients and Ray are silent: what they would say of a cluster that a test harms is true, and
is nothing for the output of tests.
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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Read by Ray when it is imported, and by all of its processes.
os.environ |= {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the default of a future version, it warns
    "RAY_AUTH_MODE": "disabled",  # otherwise it makes a file with a token in the home folder
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}

import distributed
import loky
import ray
from ray.cluster_utils import Cluster

from tests import scripts
from tests.clusters.elsewhere import LOOPBACK, Machine, machine
from tests.engines.fifo import Fifo

WORKERS = 2
PREFIX = f"sqt-{os.getpid()}-"
"""How folders of clusters begin in `/tmp`."""
DASK = str(Path(__file__).parent / "dask_main.py")
STORE = 200 << 20
"""Bytes of Ray's object store; arbitrary, enough for what tests send."""
OFFLOADED = 11 << 20
"""Bytes of a message that Dask decodes in another thread, which is then there for good."""

logging.getLogger("distributed").setLevel(logging.CRITICAL)

# ---------------------------------------------------------------------------- Dask


class DaskCluster:
    """A scheduler of Dask with its workers.

    Args:
        address: Where the scheduler listens.
        scheduler: Its process.
        nannies: The process that starts workers again when they die, if it is on this machine.
        machine: Where workers are, if it is another machine.
    """

    def __init__(
        self, address: str, scheduler: int, nannies: int = 0, machine: Machine | None = None
    ) -> None:
        self.address = address
        self.scheduler = scheduler
        self.nannies = nannies
        self.machine = machine

    def client(self, **options: Any) -> distributed.Client:
        """Return a client, which is closed by whoever asked for it."""
        return distributed.Client(self.address, timeout=scripts.LONGEST, **options)


@contextmanager
def dask_cluster(processes: int = WORKERS, threads: int = 1) -> Iterator[DaskCluster]:
    """Start a scheduler in a process of its own, and workers in others."""
    with dask_scheduler() as (scheduler, address):
        arguments = ("workers", address, LOOPBACK, str(processes), str(threads))
        with _dask_program(*arguments) as (nannies, _):
            yield _warm(DaskCluster(address, scheduler, nannies))


@contextmanager
def dask_elsewhere() -> Iterator[DaskCluster]:
    """Start a scheduler here, and workers on another machine, by the command that users type."""
    with machine() as other, dask_scheduler(other.reader) as (scheduler, address):
        cluster = DaskCluster(address, scheduler, machine=other)
        other.start(
            *("-m", "distributed.cli.dask_worker", address, f"--host={other.address}"),
            *(f"--nworkers={WORKERS}", "--nthreads=1", "--no-dashboard"),
        )
        with cluster.client() as client:
            client.wait_for_workers(WORKERS, timeout=scripts.LONGEST)
        yield _warm(cluster)


@contextmanager
def dask_scheduler(host: str = LOOPBACK) -> Iterator[tuple[int, str]]:
    """Yield the process id of a scheduler, and its address."""
    with _dask_program("scheduler", host) as started:
        yield started


@contextmanager
def _dask_program(*arguments: str) -> Iterator[tuple[int, str]]:
    with temporary_folder() as folder, open(f"{folder}/log", "w+", encoding="utf-8") as log:
        # Workers on this machine find the modules of tests, as those of Ray and of pools do.
        path = os.pathsep.join([scripts.SOURCE, str(Path(__file__).parents[2])])
        environment = {"DASK_TEMPORARY_DIRECTORY": folder, "PYTHONPATH": path}
        with subprocess.Popen(
            [sys.executable, DASK, *arguments],
            env=scripts.environment(**environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C is for the reader
        ) as process:
            assert process.stdout
            if line := process.stdout.readline():
                yield process.pid, line.strip()
            process.communicate()  # closes the input, at which it ends
        if not line:
            log.seek(0)
            raise RuntimeError(f"Dask did not start: {log.read()}")


def _warm(cluster: DaskCluster) -> DaskCluster:
    """Have Dask start what it starts once in a process."""
    with cluster.client() as client:
        assert len(client.submit(bytes, OFFLOADED).result(scripts.LONGEST)) == OFFLOADED
    return cluster


# ---------------------------------------------------------------------------- Ray


class RayNodes:
    """Nodes of Ray on this machine, of which `second` can be removed."""

    def __init__(self, cluster: Cluster, second: Any) -> None:
        self.cluster = cluster
        self.second = second


@contextmanager
def ray_local() -> Iterator[str]:
    """Start a local Ray with two processors, to which this process is connected."""
    with _ray(num_cpus=WORKERS):
        warm_ray(WORKERS)
        yield "ray"


@contextmanager
def ray_elsewhere() -> Iterator[Machine]:
    """Start Ray without processors here, and with two on another machine, where tasks then run."""
    with machine() as other, _ray(other.reader, num_cpus=0):
        other.start(
            *("-m", "ray.scripts.scripts", "start", "--block", f"--num-cpus={WORKERS}"),
            *(f"--address={ray.get_runtime_context().gcs_address}", "--disable-usage-stats"),
            *(f"--node-ip-address={other.address}", f"--object-store-memory={STORE}"),
        )
        warm_ray(WORKERS)
        yield other


@contextmanager
def _ray(host: str = LOOPBACK, **options: Any) -> Iterator[None]:
    with temporary_folder() as folder:
        ray.init(
            _node_ip_address=host,
            _temp_dir=folder,
            include_dashboard=False,
            object_store_memory=STORE,
            **_SILENT,
            **options,
        )
        try:
            yield
        finally:
            ray.shutdown()


_SILENT: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}


@contextmanager
def ray_nodes() -> Iterator[RayNodes]:
    """Start two nodes with a processor each, and connect this process to the first."""
    with temporary_folder() as folder:
        node = {"num_cpus": 1, "object_store_memory": STORE, "node_ip_address": LOOPBACK}
        head = {**node, "include_dashboard": False, "temp_dir": folder}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            second = cluster.add_node(**node)
            ray.init(cluster.address, _node_ip_address=LOOPBACK, **_SILENT)
            warm_ray(WORKERS)
            yield RayNodes(cluster, second)
        finally:
            ray.shutdown()
            cluster.shutdown()


def warm_ray(processors: int) -> None:
    """Have Ray connect to all that it talks with, which it does at the first use."""

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


def process_pool() -> ProcessPoolExecutor:
    """Return a pool of the standard library, whose processes are forked by a server."""
    return ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("forkserver"))


def loky_pool() -> Executor:
    """Return a pool of loky, which is nobody else's."""
    pool: Executor = loky.ProcessPoolExecutor(WORKERS, timeout=None)
    return pool


def thread_pool() -> ThreadPoolExecutor:
    """Return a pool of threads."""
    return ThreadPoolExecutor(WORKERS)


POOLS = {"loky": loky_pool, "process": process_pool, "thread": thread_pool}
"""How each executor is made, as users pass factories."""


@contextmanager
def warm(pool: Executor) -> Iterator[Executor]:
    """Have a pool start all of its workers, which it does when they are needed; shut it down."""
    with pool:
        with temporary_folder() as folder:
            started, go = Fifo(Path(folder) / "started"), Fifo(Path(folder) / "go")
            waiting = [pool.submit(_meet, started, go) for _ in range(WORKERS)]
            started.wait(WORKERS)
            go.send(WORKERS)
            for future in waiting:
                future.result(scripts.LONGEST)
            started.close()
            go.close()
        yield pool


def _meet(started: Fifo, go: Fifo) -> None:
    started.send()
    go.wait()


@contextmanager
def temporary_folder() -> Iterator[str]:
    """Yield a folder with a short name: those of sockets in there have 107 bytes at most."""
    folder = tempfile.mkdtemp(prefix=PREFIX, dir="/tmp")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
