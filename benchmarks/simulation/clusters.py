"""Small clusters of this machine, for real runs: a process pool, Dask, Ray."""

import contextlib
import multiprocessing
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

from benchmarks.simulation.crowd import Crowd

_LONGEST_END = 10.0
"""Seconds that a program of Dask may take to end. Arbitrary."""


class Running(NamedTuple):
    """A cluster that runs.

    Args:
        method: What `prefetch` takes as `method`.
        scheduler: The process through which all blocks pass, 0 if there is none.
    """

    method: Any
    scheduler: int = 0

    @property
    def sleeps(self) -> bool:
        """Whether items must really take the time that they say."""
        return not isinstance(self.method, Crowd)


@contextlib.contextmanager
def pool(workers: int) -> Iterator[Running]:
    """Run a pool of processes."""
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(workers, mp_context=context) as executor:
        yield Running(executor)


@contextlib.contextmanager
def crowd(workers: int) -> Iterator[Running]:
    """Run one process that plays all workers, and through which all blocks pass."""
    with Crowd(workers) as executor:
        yield Running(executor, executor.pid)


@contextlib.contextmanager
def dask(workers: int) -> Iterator[Running]:
    """Run Dask with its scheduler in a process of its own, as on a cluster."""
    from distributed import Client

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    scheduler = _program("scheduler", "--host", "127.0.0.1", "--port", str(port))
    # without a nanny each is one process, which can be ended
    options = ("--nthreads", "1", "--no-nanny", "--death-timeout", "60", "--memory-limit", "0")
    started = [scheduler, *[_program("worker", address, *options) for _ in range(workers)]]
    try:
        with Client(address, timeout=60) as client:
            client.wait_for_workers(workers, timeout=60)
            yield Running(client, scheduler.pid)
    finally:
        for process in started[::-1]:  # a worker that loses its scheduler as it ends may hang
            process.terminate()
        for process in started:
            try:
                process.wait(_LONGEST_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _program(name: str, *arguments: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", f"distributed.cli.dask_{name}", *arguments, "--no-dashboard"]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603 -- ours


@contextlib.contextmanager
def ray(workers: int) -> Iterator[Running]:
    """Run Ray on this machine."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    ray.init(
        address="local",  # not one that runs on this machine
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        logging_level="ERROR",
        object_store_memory=1 << 30,
        _node_ip_address="127.0.0.1",
    )
    try:
        yield Running("ray")
    finally:
        ray.shutdown()


CLUSTERS: dict[str, Callable[[int], contextlib.AbstractContextManager[Running]]] = {
    "pool": pool,
    "crowd": crowd,
    "dask": dask,
    "ray": ray,
}
"""What makes a cluster of so many workers, for each name."""
