"""What plain clients see of each harm, with no engine of ours: what our engines build on."""

import os
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import distributed
import pytest
import ray as the_ray

from tests.clusters import harm, real
from tests.clusters.elsewhere import Machine
from tests.clusters.harm import KillsItsWorker, Unreadable
from tests.clusters.real import LONGEST
from tests.engines.fifo import Fifo

MakeFifo = Callable[[], Fifo]


def until(condition: Callable[[], Any]) -> None:
    """Wait for what nobody tells."""
    deadline = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def meet(started: Fifo, go: Fifo) -> int:
    started.send()
    go.wait()
    return os.getpid()


def actor() -> Any:
    """Return an actor as our engine has them; its class travels by value."""

    @the_ray.remote(num_cpus=1, max_restarts=0)
    class Actor:
        def pid(self) -> int:
            return os.getpid()

        def apply(self, function: Callable[[Any], Any], item: Any) -> Any:
            return function(item)

    return Actor.remote()


def workers(client: distributed.Client) -> set[str]:
    return set(client.scheduler_info(n_workers=-1)["workers"])


# ---------------------------------------------------------------------------- Dask


def test_a_worker_of_dask_is_killed(fresh_dask: real.DaskCluster, fifo: MakeFifo) -> None:
    started, go = fifo(), fifo()
    with fresh_dask.client() as client:
        futures = [client.submit(meet, started, go, pure=False) for _ in range(2)]
        started.wait(2)
        killed = harm.kill_dask_worker(fresh_dask)
        started.wait()  # again, by another worker
        go.send(3)
        pids = client.gather(futures)
        assert len(pids) == 2
        assert killed not in pids
        until(lambda: len(workers(client)) == 2)


def test_all_workers_of_dask_are_killed(fresh_dask: real.DaskCluster, fifo: MakeFifo) -> None:
    started, go = fifo(), fifo()
    with fresh_dask.client() as client:
        future = client.submit(meet, started, go, pure=False)
        started.wait()
        harm.kill_dask_workers(fresh_dask)
        until(lambda: not workers(client))
        with pytest.raises(TimeoutError):  # Dask waits for other workers
            future.result(0)
        assert future.status == "pending"


def test_the_scheduler_of_dask_is_killed(fresh_dask: real.DaskCluster, fifo: MakeFifo) -> None:
    started, go = fifo(), fifo()
    with fresh_dask.client(timeout=1) as client:
        future = client.submit(meet, started, go, pure=False)
        done = client.submit(int, 3)
        assert done.result(LONGEST) == 3
        started.wait()
        harm.kill_dask_scheduler(fresh_dask)
        go.send()
        with pytest.raises(CancelledError):  # after the `timeout` of the client
            future.result(LONGEST)
        until(lambda: client.status == "closed")
        real.end_loop(client)


def test_dask_is_restarted(fresh_dask: real.DaskCluster, fifo: MakeFifo) -> None:
    started, go = fifo(), fifo()
    with fresh_dask.client() as client:
        before = set(harm.worker_pids(client).values())
        future = client.submit(meet, started, go, pure=False)
        started.wait()
        harm.restart_dask(client)
        with pytest.raises(CancelledError):
            future.result(LONGEST)
        assert client.submit(int, 3).result(LONGEST) == 3
        assert before.isdisjoint(harm.worker_pids(client).values())


def test_the_client_of_dask_is_closed(dask: Any, fifo: MakeFifo) -> None:
    started, go = fifo(), fifo()
    future = dask.submit(meet, started, go, pure=False)
    started.wait()
    harm.close_dask_client(dask)
    go.send()
    assert future.cancelled()
    with pytest.raises(RuntimeError, match="closed"):  # the loop that it ran in
        future.result(LONGEST)
    with pytest.raises(Exception, match="Client is closed"):
        dask.submit(int, 3)


@pytest.mark.parametrize("once", [True, False], ids=["once", "each time"])
def test_an_item_kills_workers_of_dask(
    fresh_dask: real.DaskCluster, tmp_path: Path, once: bool
) -> None:
    kills = KillsItsWorker(1, once=str(tmp_path / "killed") if once else None)
    with fresh_dask.client() as client:
        futures = client.map(kills, range(3), pure=False)
        assert futures[0].result(LONGEST) == 0
        assert futures[2].result(LONGEST) == 2
        if once:
            assert futures[1].result(LONGEST) == 1
        else:
            with pytest.raises(distributed.KilledWorker):
                futures[1].result(LONGEST)


def test_a_task_that_workers_of_dask_cannot_unpickle(fresh_dask: real.DaskCluster) -> None:
    """It ends them all, one after the other, and their nannies with them; nobody is told."""
    with fresh_dask.client() as client:
        future = client.submit(type, Unreadable(fresh_dask.scheduler), pure=False)
        until(lambda: not workers(client))
        assert future.status != "finished"


def test_a_task_that_the_scheduler_of_dask_cannot_unpickle(dask: Any) -> None:
    future = dask.submit(type, Unreadable(0), pure=False)
    with pytest.raises(RuntimeError, match="deserialization"):
        future.result(LONGEST)
    assert len(workers(dask)) == 2


# ---------------------------------------------------------------------------- Ray


def test_an_actor_of_ray_is_killed(ray: Any) -> None:
    one, other = actor(), actor()
    harm.kill_ray_actor(one)
    with pytest.raises(the_ray.exceptions.ActorDiedError):
        the_ray.get(one.apply.remote(int, 3), timeout=LONGEST)
    assert the_ray.get(other.apply.remote(int, 3), timeout=LONGEST) == 3


@pytest.mark.parametrize("once", [True, False], ids=["once", "each time"])
def test_an_item_kills_workers_of_ray(ray: Any, tmp_path: Path, once: bool) -> None:
    kills = KillsItsWorker(1, once=str(tmp_path / "killed") if once else None)
    with pytest.raises(the_ray.exceptions.ActorDiedError):
        the_ray.get(actor().apply.remote(kills, 1), timeout=LONGEST)
    again = actor()
    assert the_ray.get(again.apply.remote(kills, 0), timeout=LONGEST) == 0
    if once:
        assert the_ray.get(again.apply.remote(kills, 1), timeout=LONGEST) == 1
    else:
        with pytest.raises(the_ray.exceptions.ActorDiedError):
            the_ray.get(again.apply.remote(kills, 1), timeout=LONGEST)


def test_a_node_of_ray_is_removed(fresh_ray_node: int) -> None:
    actors = [actor() for _ in range(2)]
    the_ray.get([one.pid.remote() for one in actors], timeout=LONGEST)
    harm.remove_ray_node(fresh_ray_node)
    outcomes = []
    for one in actors:
        try:
            outcomes.append(the_ray.get(one.apply.remote(int, 3), timeout=LONGEST))
        except the_ray.exceptions.RayActorError:
            outcomes.append("lost")
    assert sorted(map(str, outcomes)) == ["3", "lost"]


def test_a_machine_with_ray_is_killed(fresh_ray_machine: Machine) -> None:
    one = actor()
    the_ray.get(one.pid.remote(), timeout=LONGEST)
    harm.kill_machine(fresh_ray_machine)
    with pytest.raises(the_ray.exceptions.RayActorError) as info:
        the_ray.get(one.apply.remote(int, 3), timeout=LONGEST)
    # not ActorDiedError: Ray does not know yet whether it comes back
    assert isinstance(info.value, the_ray.exceptions.ActorUnavailableError)


# ---------------------------------------------------------------------------- machines


def test_a_machine_with_workers_of_dask_is_killed(fresh_dask_machine: real.DaskCluster) -> None:
    assert fresh_dask_machine.machine
    with fresh_dask_machine.client() as client:
        harm.kill_machine(fresh_dask_machine.machine)
        until(lambda: not workers(client))


def test_the_cable_of_a_machine_with_workers_of_dask_is_pulled(
    fresh_dask_machine: real.DaskCluster,
) -> None:
    assert fresh_dask_machine.machine
    with fresh_dask_machine.client() as client:
        harm.unplug_machine(fresh_dask_machine.machine)
        future = client.submit(int, 3, pure=False)
        with pytest.raises(TimeoutError):
            future.result(0.5)
        assert len(workers(client)) == real.WORKERS  # nobody has been told
        fresh_dask_machine.machine.plug()
        assert future.result(LONGEST) == 3


# ---------------------------------------------------------------------------- executors


def test_a_worker_of_a_pool_is_killed(fresh_pool: Executor, fifo: MakeFifo) -> None:
    started, go = fifo(), fifo()
    done, pending = fresh_pool.submit(int, 3), fresh_pool.submit(meet, started, go)
    assert done.result(LONGEST) == 3
    started.wait()
    harm.kill_pool_worker(fresh_pool)
    with pytest.raises(BrokenProcessPool):  # whichever worker was killed
        pending.result(LONGEST)
    with pytest.raises(BrokenProcessPool):
        fresh_pool.submit(int, 3)


def test_a_pool_is_shut_down(fresh_pool: Executor, fifo: MakeFifo) -> None:
    started, go = fifo(), fifo()
    pending = fresh_pool.submit(meet, started, go)
    started.wait()
    harm.shut_down_pool(fresh_pool)
    with pytest.raises(RuntimeError, match="shutdown"):
        fresh_pool.submit(int, 3)
    go.send()
    assert pending.result(LONGEST) in range(1 << 22)


@pytest.mark.parametrize("once", [True, False], ids=["once", "each time"])
def test_an_item_kills_workers_of_a_pool(fresh_pool: Executor, tmp_path: Path, once: bool) -> None:
    kills = KillsItsWorker(1, once=str(tmp_path / "killed") if once else None)
    assert fresh_pool.submit(kills, 0).result(LONGEST) == 0
    with pytest.raises(BrokenProcessPool):
        fresh_pool.submit(kills, 1).result(LONGEST)
    with real.process_pool() as another:
        if once:
            assert another.submit(kills, 1).result(LONGEST) == 1
        else:
            with pytest.raises(BrokenProcessPool):
                another.submit(kills, 1).result(LONGEST)


# ---------------------------------------------------------------------------- the list


def test_no_harm_is_missing_in_the_list() -> None:
    kinds = {"dask", "client", "actor", "node", "machine", "pool", "item", "value"}
    assert {one.to for one in harm.HARMS.values()} == kinds
    functions = {value for name, value in vars(harm).items() if name.split("_")[0] in VERBS}
    assert {one.do for one in harm.HARMS.values()} == functions | {KillsItsWorker, Unreadable}


VERBS = {"close", "kill", "remove", "restart", "shut", "unplug"}
