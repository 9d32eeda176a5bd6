"""Real clusters, each until its context ends; `conftest.py` keeps one of each for all tests.

All of them run in processes of their own, except threads, and end with this one whatever becomes
of it. Clients and Ray are silent: what they would say of a cluster that a test harms is true, and
is nothing for the output of tests.
"""

import asyncio
import glob
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# Read by Ray when it is imported, and by all of its processes.
os.environ |= {
    "RAY_AUTH_MODE": "disabled",  # no tokens, which would be files of the user
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}

import distributed
import loky
import ray
from distributed.utils import offload

from tests import scripts
from tests.clusters.elsewhere import LOOPBACK, Machine, machine
from tests.engines.fifo import Fifo
from tests.leaks import descendants

WORKERS = 2
LONGEST = scripts.LONGEST
PREFIX = f"sqt-{os.getpid()}-"
"""How folders of clusters begin in `/tmp`."""
DASK = str(Path(__file__).parent / "dask_main.py")
STORE = 200 << 20
"""Bytes of Ray's object store; arbitrary, enough for what tests send."""

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
        return distributed.Client(self.address, **{"timeout": LONGEST, **options})


@contextmanager
def dask_cluster(processes: int = WORKERS, threads: int = 1) -> Iterator[DaskCluster]:
    """Start a scheduler in a process of its own, and workers in others."""
    with (
        dask_scheduler() as (scheduler, address),
        dask_workers(address, processes, threads) as nannies,
    ):
        yield DaskCluster(address, scheduler, nannies)


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
            client.wait_for_workers(WORKERS, timeout=LONGEST)
        yield cluster


@contextmanager
def dask_scheduler(host: str = LOOPBACK) -> Iterator[tuple[int, str]]:
    """Yield the process id of a scheduler, and its address."""
    with _dask_program("scheduler", host) as started:
        yield started


@contextmanager
def dask_workers(
    address: str, processes: int = WORKERS, threads: int = 1, **changes: str
) -> Iterator[int]:
    """Yield the process of nannies, whose environment has `changes`."""
    arguments = ("workers", address, LOOPBACK, str(processes), str(threads))
    with _dask_program(*arguments, **changes) as (nannies, _):
        yield nannies


@contextmanager
def _dask_program(*arguments: str, **changes: str) -> Iterator[tuple[int, str]]:
    with temporary_folder() as folder, open(f"{folder}/log", "w+", encoding="utf-8") as log:
        # Workers on this machine find the modules of tests, as those of Ray and of pools do.
        path = os.pathsep.join([scripts.SOURCE, str(Path(__file__).parents[2])])
        environment = {
            "DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD": "forkserver",  # 10 times as fast
            "DASK_TEMPORARY_DIRECTORY": folder,
            "PYTHONPATH": path,
            **changes,
        }
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


def end_loop(client: distributed.Client) -> None:
    """End the thread of a client that has closed itself because its scheduler is gone."""
    client._loop_runner.stop()


def warm_dask() -> None:
    """Start the thread in which Dask decodes large messages: it is there for good."""

    async def once() -> None:
        await offload(int)

    asyncio.run(once())


# ---------------------------------------------------------------------------- Ray


@contextmanager
def ray_local() -> Iterator[str]:
    """Start a local Ray with two processors, to which this process is connected."""
    with _ray(num_cpus=WORKERS):
        warm_ray(WORKERS)
        yield "ray"


_HEALTH = {"health_check_period_ms": 1000, "health_check_timeout_ms": 4000}
"""How often Ray asks whether a machine lives, so that it is known sooner, in 20 seconds, not 60."""


@contextmanager
def ray_elsewhere() -> Iterator[Machine]:
    """Start Ray without processors here, and with two on another machine, for all tasks."""
    with machine() as other, _ray(other.reader, num_cpus=0, _system_config=_HEALTH):
        other.start(*_ray_node(other.address, WORKERS))
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
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            **options,
        )
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def ray_nodes() -> Iterator[int]:
    """Start two nodes with a processor each; yield the process of one, which can be removed."""
    with _ray(num_cpus=1), temporary_folder() as folder, open(f"{folder}/log", "wb") as log:
        # The ports that each takes by default would be in the way of the other.
        command = [*_ray_node(LOOPBACK, 1), "--min-worker-port=0", "--max-worker-port=0"]
        with subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        ) as node:
            try:
                warm_ray(2)
                yield node.pid
            finally:
                end_family(node.pid)


def _ray_node(host: str, processors: int) -> list[str]:
    """Return the command that adds a node to the Ray that this process has started."""
    address = ray.get_runtime_context().gcs_address
    command = ["-m", "ray.scripts.scripts", "start", "--block", f"--address={address}"]
    command += [f"--node-ip-address={host}", f"--num-cpus={processors}", "--disable-usage-stats"]
    return [*command, f"--object-store-memory={STORE}"]


def end_family(pid: int) -> None:
    """Kill a process and all below it."""
    for each in [pid, *descendants(pid)]:
        with suppress(ProcessLookupError):  # it went with its parent
            os.kill(each, signal.SIGKILL)


def warm_ray(processors: int) -> None:
    """Have Ray connect to all that it talks with, which it does at the first use."""

    @ray.remote(num_cpus=1)
    class Actor:
        def echo(self, value: Any) -> Any:
            return value

    for _ in range(2):
        actors = [Actor.remote() for _ in range(processors)]
        ray.get([actor.echo.remote(1) for actor in actors], timeout=LONGEST)
        for actor in actors:
            ray.kill(actor)


# ---------------------------------------------------------------------------- executors


def process_pool(workers: int = WORKERS) -> ProcessPoolExecutor:
    """Return a pool of the standard library, whose processes are forked by a server."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("forkserver"))


def loky_pool(workers: int = WORKERS) -> Executor:
    """Return a pool of loky, which is nobody else's."""
    pool: Executor = loky.ProcessPoolExecutor(workers, timeout=None)
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
                future.result(LONGEST)
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


def remove_empty_folders() -> None:
    """Remove the folders of `temporary_folder` that Ray has made again, which then are empty."""
    tops = glob.glob(f"/tmp/{PREFIX}*")
    for folder, _, _ in [each for top in tops for each in os.walk(top, topdown=False)]:
        with suppress(OSError):
            os.rmdir(folder)
