"""Fixtures of real clusters, started at the first use: nothing is mocked, what is missing fails.

A cluster serves all tests that do it no harm; one that is harmed is made for the test, by the
functions of `real.py`. A fixture that is named after a kind of cluster yields what a user passes
as `method=`; `cluster` is each of them in turn.
"""

import glob
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from multiprocessing import active_children, forkserver
from typing import Any

import pytest
from loky.backend import resource_tracker as loky_tracker

from tests import leaks
from tests.clusters import real
from tests.clusters.elsewhere import Machine, machine
from tests.engines.conftest import fifo

__all__ = ["fifo"]

LONGEST = 120
"""Seconds for a test here, which may be the one that starts Ray, on a busy machine."""

CLUSTERS = ("dask", "dask_threads", "loky", "process_pool", "ray", "thread_pool")
"""The fixtures whose clusters are on this machine."""

ELSEWHERE = ("dask_elsewhere", "ray_elsewhere")
"""The fixtures whose workers are on a second machine."""


_KIND = re.compile(r"(?<![a-z])(dask|ray)")
_RAYS = "ray_machine", "ray_elsewhere", "fresh_ray_node", "fresh_ray_machine"
"""Fixtures that are used last, one after the other: each starts another Ray."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests here the time that clusters take to start, and each cluster one process."""
    for item in items:
        if "clusters" not in item.path.parts:
            continue
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LONGEST))
        fixtures = getattr(item, "fixturenames", ())
        if kind := _KIND.search(f"{item.nodeid} {' '.join(fixtures)}"):
            item.add_marker(pytest.mark.xdist_group(kind[1]))
    items.sort(key=_ray_of)


def _ray_of(item: pytest.Item) -> int:
    """Return the number of the fixture that starts the Ray of a test; -1 is that of most."""
    callspec = getattr(item, "callspec", None)
    named = [
        *getattr(item, "fixturenames", ()),
        *map(str, callspec.params.values() if callspec else ()),
    ]
    return max([_RAYS.index(name) for name in named if name in _RAYS], default=-1)


@contextmanager
def stands(
    start: Callable[[], AbstractContextManager[Any]], *, talks: bool = False
) -> Iterator[Any]:
    """Start a cluster for many tests: what it holds is no leak of any of them."""
    before = leaks.held()
    with start() as cluster:
        leaks.stand(before, talks=talks)
        yield cluster
    leaks.settle()


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Fail, after the last test, if a cluster has left something."""
    forkserver.ensure_running()  # until this process ends, by design; as is the next
    loky_tracker.ensure_running()
    real.warm_dask()
    before = leaks.held()
    yield
    leaks.standing.clear()
    lines = leaks.leaked(before, leaks.GRACE)
    left = [line for line in lines if not line.startswith("file descriptor")]  # Ray keeps its log
    real.remove_empty_folders()
    left += glob.glob(f"/tmp/{real.PREFIX}*")
    assert not left, "clusters have left behind: " + "; ".join(left)


@pytest.fixture(params=CLUSTERS)
def cluster(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


# ---------------------------------------------------------------------------- Dask


@pytest.fixture(scope="session")
def dask_processes() -> Iterator[real.DaskCluster]:
    """Yield a cluster of two worker processes, whose scheduler has a process of its own."""
    with stands(real.dask_cluster) as started:
        yield started


@pytest.fixture(scope="session")
def dask_of_threads() -> Iterator[real.DaskCluster]:
    """Yield a cluster of one worker process with four threads."""
    with stands(lambda: real.dask_cluster(processes=1, threads=4)) as started:
        yield started


@pytest.fixture
def fresh_dask() -> Iterator[real.DaskCluster]:
    """Yield a cluster for one test, which may harm it."""
    with real.dask_cluster() as started:
        yield started


@pytest.fixture
def dask(dask_processes: real.DaskCluster) -> Iterator[Any]:
    with dask_processes.client() as client:
        yield client


@pytest.fixture
def dask_threads(dask_of_threads: real.DaskCluster) -> Iterator[Any]:
    with dask_of_threads.client() as client:
        yield client


@pytest.fixture(scope="session")
def dask_machine() -> Iterator[real.DaskCluster]:
    """Yield a cluster whose scheduler is here, and whose workers are on a second machine."""
    with stands(real.dask_elsewhere) as started:
        yield started


@pytest.fixture
def fresh_dask_machine() -> Iterator[real.DaskCluster]:
    """Yield a cluster whose workers are on a second machine, for one test, which may harm it."""
    with real.dask_elsewhere() as started:
        yield started


@pytest.fixture
def dask_elsewhere(dask_machine: real.DaskCluster) -> Iterator[Any]:
    with dask_machine.client() as client:
        yield client


# ---------------------------------------------------------------------------- Ray


class OneRay:
    """The Ray that this process is connected to: there can be one at a time."""

    def __init__(self) -> None:
        self._kind: Callable[[], Any] | None = None
        self._stack = ExitStack()
        self._entered: Any = None
        self._before: Counter[leaks.Holding] = Counter()

    def get(self, kind: Callable[[], AbstractContextManager[Any]]) -> Any:
        """Return what `kind` yields, which is started unless it is the one that runs."""
        if kind is not self._kind:
            self.close()
            self._before = leaks.held()
            self._entered = self._stack.enter_context(stands(kind, talks=True))
            self._kind = kind
        return self._entered

    def close(self) -> None:
        """Stop what runs, as a test must that has harmed it.

        Ray leaves connections, to a machine that is gone for long.
        """
        if self._kind is None:
            return
        self._kind = self._entered = None
        self._stack.close()
        left = leaks.held() - self._before
        sockets = {each: n for each, n in left.items() if "socket:" in str(each[1])}
        leaks.standing.update(sockets)


@pytest.fixture(scope="session")
def one_ray() -> Iterator[OneRay]:
    one = OneRay()
    yield one
    one.close()


@pytest.fixture
def ray(one_ray: OneRay) -> Any:
    """Return `"ray"`, while a local one with two processors runs."""
    return one_ray.get(real.ray_local)


@pytest.fixture
def fresh_ray_node(one_ray: OneRay) -> Iterator[int]:
    """Yield one of two nodes of Ray, by its process, which a test may remove."""
    one_ray.close()
    yield one_ray.get(real.ray_nodes)
    one_ray.close()


@pytest.fixture
def ray_machine(one_ray: OneRay) -> Any:
    """Return the second machine, which has all processors of Ray."""
    return one_ray.get(real.ray_elsewhere)


@pytest.fixture
def ray_elsewhere(ray_machine: Machine) -> Any:
    return "ray"


@pytest.fixture
def fresh_ray_machine(one_ray: OneRay) -> Iterator[Machine]:
    """Yield the second machine of a Ray for one test, which may harm it."""
    one_ray.close()
    yield one_ray.get(real.ray_elsewhere)
    one_ray.close()


# ---------------------------------------------------------------------------- executors


@pytest.fixture(scope="session")
def thread_pool() -> Iterator[Executor]:
    with stands(lambda: real.warm(real.thread_pool())) as pool:
        yield pool


@pytest.fixture(scope="session")
def process_pool() -> Iterator[Executor]:
    with stands(lambda: real.warm(real.process_pool())) as pool:
        yield pool


@pytest.fixture(scope="session")
def loky() -> Iterator[Executor]:
    with stands(lambda: real.warm(real.loky_pool())) as pool:
        yield pool


@pytest.fixture(params=["loky", "process"])
def fresh_pool(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Yield a process pool for one test, which may break it."""
    with real.warm(real.POOLS[request.param]()) as pool:
        manager = pool._executor_manager_thread
        yield pool
    manager.join()  # for which the pool does not wait where it was told not to before
    active_children()  # which forgets those that were killed


@pytest.fixture
def other_machine() -> Iterator[Machine]:
    """Yield a second machine for one test."""
    with machine() as made:
        yield made
