"""Each harm of the list, while a prefetch is read: nothing is lost, and nothing hangs.

Afterwards there is the whole list in order, without the item that kills, and only it; or an error
in words after a part of the list that is right. If it hangs, pytest-timeout shows where all threads
are.
"""

import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray as the_ray

import seqtools
from seqtools.testing.gate import Gate
from tests.clusters import harm, real
from tests.clusters.harm import HARMS, KillsItsWorker, Unreadable
from tests.clusters.reading import (
    GATED,
    N,
    Outcomes,
    check_dask,
    check_here,
    check_pool,
    check_ray,
    harmed,
    until,
    waiting,
)

# Ray is slow to start workers, or to give processors back, where others use the machine.
pytestmark = pytest.mark.filterwarnings("ignore:. of 2 workers have started in Ray")

WANT = [*range(N)]
VICTIM = 50
MOST_DEATHS = 4
"""Workers that an item may kill until it fails: with others, twice alone, and once more if another
task was taken for the cause, whose result was lost with the worker. That can be so again where
several tasks run in a worker at a time."""

TOLD = {
    "all workers of Dask are killed": "all workers of Dask have ended, and no other has come",
    "the scheduler of Dask is killed": "the scheduler of Dask is gone: its client is",
    "the client of Dask is closed": "(the client of Dask was closed|Dask takes no more work)",
    "a worker of a pool is killed": "Executor is broken",
    "a pool is shut down": "Executor takes no more work",
}
"""A part of what is said of each harm that ends a cluster, at any time at which it may be met."""

TESTED: set[str] = set()


def rows(to: str) -> pytest.MarkDecorator:
    """Run a test for each harm that is done `to` something."""
    names = [name for name, row in HARMS.items() if row.to == to]
    TESTED.update(names)
    return pytest.mark.parametrize("name", names)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    check_here()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def check_harmed(
    name: str, gate: Gate, method: Any, do: Callable[[], object], **options: Any
) -> Outcomes:
    """Read everything while harm is done."""
    source = waiting(gate)
    with seqtools.prefetch(source, method=method, **options) as ready, harmed(gate, do):
        found = Outcomes(ready)
    found.check(WANT, ends=HARMS[name].ends)
    if HARMS[name].ends:
        assert re.search(TOLD[name], str(found.error))
    found.check_it_can_go_on(source, WANT)
    return found


# ---------------------------------------------------------------------------- Dask


@rows("dask")
def test_dask_is_harmed(
    name: str, fresh_dask: real.DaskCluster, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqtools.engines.cluster.dask._MOST_LONELY", 3.0)
    row = HARMS[name]
    with fresh_dask.client(timeout=2) as client:
        check_harmed(name, gate, client, lambda: row.do(fresh_dask))
        if not row.ends:
            check_dask(client)
        elif row.do is harm.kill_dask_scheduler:
            until(lambda: client.status == "closed", "the client does not end")
            real.end_loop(client)


@rows("client")
def test_a_client_of_dask_is_used_otherwise(
    name: str, fresh_dask: real.DaskCluster, gate: Gate
) -> None:
    row = HARMS[name]
    with fresh_dask.client() as client:
        check_harmed(name, gate, client, lambda: row.do(client))
        if not row.ends:
            check_dask(client)
    with fresh_dask.client() as another:
        check_dask(another)


# ---------------------------------------------------------------------------- Ray


@rows("actor")
def test_an_actor_of_ray_is_harmed(name: str, ray: str, gate: Gate) -> None:
    passage = gate.passage

    def number(i: int) -> tuple[int, int]:
        if i == GATED:
            passage.wait(os.getpid())
        return i, os.getpid()

    def do() -> None:
        (pid,) = gate.look()  # of the actor that waits
        found = SimpleNamespace(remote=lambda: the_ray.put(pid))
        HARMS[name].do(SimpleNamespace(pid=found))

    source = seqtools.smap(number, range(N))
    with seqtools.prefetch(source, method=ray) as ready, harmed(gate, do):
        found = Outcomes(ready)
    found.found = [item[0] for item in found.found]
    found.check(WANT, ends=HARMS[name].ends)
    del found, ready
    check_ray()


@rows("node")
def test_a_node_of_ray_is_harmed(name: str, fresh_ray_node: int, gate: Gate) -> None:
    check_harmed(name, gate, "ray", lambda: HARMS[name].do(fresh_ray_node))
    check_ray()


# ---------------------------------------------------------------------------- executors


@rows("pool")
def test_a_pool_is_harmed(name: str, fresh_pool: Executor, gate: Gate) -> None:
    row = HARMS[name]
    # a small window, or it has taken all items when it is shut down
    found = check_harmed(name, gate, fresh_pool, lambda: row.do(fresh_pool), max_cached=10)
    assert type(fresh_pool).__name__.lstrip("_") in str(found.error)


def test_a_pool_of_threads_is_shut_down(gate: Gate) -> None:
    name = "a pool is shut down"
    source = waiting(gate)
    with (
        real.thread_pool() as pool,
        seqtools.prefetch(source, method=pool) as ready,
        harmed(gate, lambda: HARMS[name].do(pool)),
    ):
        found = Outcomes(ready)
    found.check(WANT, ends=None)  # it may have taken everything already
    found.check_it_can_go_on(source, WANT)


@pytest.mark.parametrize("kind", ["loky", "process"])
def test_a_pool_that_was_made_is_made_again(kind: str, gate: Gate) -> None:
    made: list[Any] = []

    def make() -> Executor:
        made.append(real.POOLS[kind]())
        return made[-1]

    def kill_all() -> None:  # if one were left, it might answer before the pool breaks
        for pid in harm.pool_pids(made[0]):
            os.kill(pid, signal.SIGKILL)

    source = waiting(gate)
    with (
        seqtools.prefetch(source, real.WORKERS, make) as ready,
        harmed(gate, kill_all),
    ):
        found = Outcomes(ready)
    found.check(WANT, ends=False)
    assert len(made) == 2


# ---------------------------------------------------------------------------- items

KINDS = ("dask", "dask_threads", "loky", "process_pool", "ray")


@pytest.fixture(params=KINDS)
def mortal(request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a kind of cluster whose workers may die, and the options of a prefetch on it."""
    kind = request.param
    if kind in {"loky", "process_pool"}:  # which break, and are made again
        make = real.POOLS[kind.partition("_")[0]]
        yield kind, {"nworkers": real.WORKERS, "method": make}
        return
    where = request.getfixturevalue(kind)
    yield kind, {"method": where}
    check_left(kind, where)


def check_left(kind: str, where: Any) -> None:
    """Check a cluster that stands after a prefetch."""
    if kind.startswith("dask"):
        check_dask(where)
    elif kind == "ray":
        check_ray()
    else:
        check_pool(where, real.WORKERS)


@rows("item")
def test_an_item_kills_its_worker(
    name: str, mortal: tuple[str, dict[str, Any]], tmp_path: Path, gate: Gate
) -> None:
    kind, options = mortal
    passage = gate.passage
    once = "once" in name
    kills = KillsItsWorker(VICTIM, once=str(tmp_path / "killed") if once else None)

    def number(i: int) -> int:
        if i == VICTIM:
            passage.arrive(os.getpid())
        return kills(i)

    with seqtools.prefetch(seqtools.smap(number, range(N)), **options) as ready:
        found = Outcomes(ready)
        want: list[Any] = [*WANT]
        if not once:
            want[VICTIM] = seqtools.WorkerDied
        found.check(want, ends=False)
        if not once:
            deaths = len(gate.look())
            assert 2 <= deaths <= MOST_DEATHS + (kind == "dask_threads"), (
                f"{deaths} workers have died on {kind}"
            )
            with pytest.raises(seqtools.EvaluationError, match=f"{VICTIM}"):
                ready[VICTIM]
            assert ready[VICTIM + 1] == VICTIM + 1
        else:
            assert len(gate.look()) == 2


@rows("value")
def test_a_pipeline_that_workers_cannot_load(name: str, cluster: Any, request: Any) -> None:
    assert HARMS[name].do is Unreadable
    unreadable = Unreadable(os.getpid())
    source = seqtools.smap(lambda i: (unreadable, i)[1], range(N))
    kind = request.node.callspec.params["cluster"]
    with seqtools.prefetch(source, method=cluster) as ready:
        found = Outcomes(ready)
    if kind == "thread_pool":  # nothing is pickled
        found.check(WANT, ends=False)
        return
    found.check(WANT, ends=True)
    assert not found.found
    assert "as where a module is missing" in str(found.error)
    check_left(kind, cluster)


def test_all_harms_are_tested() -> None:
    assert set(HARMS) - TESTED == {"a machine is killed", "the cable of a machine is pulled"}
