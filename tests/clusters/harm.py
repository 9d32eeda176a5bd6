"""What can happen to a cluster, as functions that know no engine of ours.

Each does one harm and returns when it is done, which is not when others have noticed. `HARMS` has
them all by name, so that tests of an engine can go through the list and miss none.
`test_harm.py` shows what plain clients see of each.
"""

import os
import signal
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import distributed
import ray

from tests.clusters import real
from tests.clusters.elsewhere import Machine

# ---------------------------------------------------------------------------- Dask


def worker_pids(client: distributed.Client) -> dict[str, int]:
    """Return the process of each worker of Dask, by its address."""
    return dict(client.run(os.getpid))


def kill_dask_worker(cluster: real.DaskCluster) -> int:
    """Kill one worker process, which its nanny then starts again; return its process."""
    with cluster.client(set_as_default=False) as client:
        pid = min(worker_pids(client).values())
    os.kill(pid, signal.SIGKILL)
    return pid


def kill_dask_workers(cluster: real.DaskCluster) -> None:
    """Kill all workers with their nannies, so that there are none."""
    real.end_family(cluster.nannies)


def kill_dask_scheduler(cluster: real.DaskCluster) -> None:
    """Kill the scheduler."""
    os.kill(cluster.scheduler, signal.SIGKILL)


def restart_dask(client: distributed.Client) -> None:
    """Restart all workers, as a user does: what was asked for is forgotten."""
    client.restart(timeout=real.LONGEST)


def close_dask_client(client: distributed.Client) -> None:
    """Close the client, as a user does."""
    client.close()


# ---------------------------------------------------------------------------- Ray


def kill_ray_actor(actor: Any) -> int:
    """Kill the process of an actor that has a method `pid`; return its process."""
    pid: int = ray.get(actor.pid.remote(), timeout=real.LONGEST)
    os.kill(pid, signal.SIGKILL)
    return pid


def remove_ray_node(node: int) -> None:
    """Kill a node, by its process, and all that runs there."""
    real.end_family(node)


# ---------------------------------------------------------------------------- machines


def kill_machine(machine: Machine) -> None:
    """Kill all processes of a machine: its system says that they are gone, to whoever asks."""
    machine.kill()


def unplug_machine(machine: Machine) -> None:
    """Pull the cable of a machine: nobody says anything."""
    machine.unplug()


# ---------------------------------------------------------------------------- executors


def pool_pids(pool: Any) -> list[int]:
    """Return the processes of a process pool, of the standard library or of loky."""
    return sorted(pool._processes)


def kill_pool_worker(pool: Executor) -> int:
    """Kill a worker of a process pool, which breaks it; return its process."""
    pid = pool_pids(pool)[0]
    os.kill(pid, signal.SIGKILL)
    return pid


def shut_down_pool(pool: Executor) -> None:
    """Shut an executor down, as a user does: it takes no more tasks."""
    pool.shutdown(wait=False)


# ---------------------------------------------------------------------------- items


@dataclass(frozen=True)
class KillsItsWorker:
    """A function from an item to itself, which kills the process that is given `victim`.

    Args:
        victim: The item that kills.
        once: A file that the first victim makes; one that finds it lives. Without it, all kill.
            Others than processes on this machine do not see it.
    """

    victim: int
    once: str | None = None

    def __call__(self, item: int) -> int:
        if item == self.victim and (self.once is None or _is_first(self.once)):
            os.kill(os.getpid(), signal.SIGKILL)
        return item


def _is_first(path: str) -> bool:
    try:
        Path(path).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class Unreadable:
    """What only the process `reader` can unpickle, as where a module is missing."""

    def __init__(self, reader: int) -> None:
        self.reader = reader

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.reader,)


def _unpickled(reader: int) -> Unreadable:
    if os.getpid() != reader:
        raise ModuleNotFoundError("as where a module is missing")
    return Unreadable(reader)


# ---------------------------------------------------------------------------- the list


@dataclass(frozen=True)
class Harm:
    """A row of the list.

    Args:
        to: What the function is given: "dask" (a `DaskCluster`), "client" (of Dask),
            "actor" (of Ray), "node" (a process), "machine" or "pool". "item" and "value" stand for
            what a pipeline has in it.
        do: The function.
        ends: Whether the cluster is of no use afterwards, so that an engine must say so. Otherwise
            it recovers, or what is left of it does the work, and nothing may be lost.
    """

    to: str
    do: Callable[..., Any]
    ends: bool


HARMS = {
    "a worker of Dask is killed": Harm("dask", kill_dask_worker, ends=False),
    "all workers of Dask are killed": Harm("dask", kill_dask_workers, ends=True),
    "the scheduler of Dask is killed": Harm("dask", kill_dask_scheduler, ends=True),
    "Dask is restarted": Harm("client", restart_dask, ends=False),
    "the client of Dask is closed": Harm("client", close_dask_client, ends=True),
    "an actor of Ray is killed": Harm("actor", kill_ray_actor, ends=False),
    "a node of Ray is removed": Harm("node", remove_ray_node, ends=False),
    "a machine is killed": Harm("machine", kill_machine, ends=True),
    "the cable of a machine is pulled": Harm("machine", unplug_machine, ends=True),
    "a worker of a pool is killed": Harm("pool", kill_pool_worker, ends=True),
    "a pool is shut down": Harm("pool", shut_down_pool, ends=True),
    "an item kills its worker once": Harm("item", KillsItsWorker, ends=False),
    "an item kills its worker each time": Harm("item", KillsItsWorker, ends=False),
    "a worker cannot unpickle what it is sent": Harm("value", Unreadable, ends=False),
}
"""All harms by their names."""
