"""Every cluster keeps the promises of an engine: a cluster is added by a row.

What a user gives is used where no worker dies. A pool breaks if one does, so there it is made by a
function, as users do who want to go on.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from seqtools.engines.base import Engine
from seqtools.engines.cluster.dask import DaskTransport
from seqtools.engines.cluster.engine import ClusterEngine
from seqtools.engines.cluster.executor import ExecutorTransport
from seqtools.engines.cluster.ray import RayTransport
from seqtools.engines.cluster.transport import Transport
from seqtools.testing import check_engine
from seqtools.testing.engines import promised
from tests.clusters import real


def given(executor: Any, n: int) -> Transport:
    return ExecutorTransport(executor, n)


def made(make: Callable[[int], Any], n: int) -> Transport:
    return ExecutorTransport(None, n, lambda: make(n))


def on_ray(_: Any, n: int) -> Transport:
    # some promises have three workers, and these two processors
    return RayTransport(n, options={"num_cpus": 0})


def closing_connections(make: Callable[..., Engine], client: Any) -> Callable[..., Engine]:
    """Return how to make an engine that has a client close its connections too."""

    async def collect() -> None:
        client.rpc.collect()

    def made(*arguments: Any, **options: Any) -> Engine:
        engine = make(*arguments, **options)
        close = engine.close

        def close_all(*, wait: bool = True) -> None:
            close(wait=wait)
            client.sync(collect)

        engine.close = close_all  # type: ignore[method-assign]
        return engine

    return made


class Row(NamedTuple):
    """How a cluster is bound.

    Args:
        fixture: What starts it; a function that makes a pool is its own.
        transport: Makes a transport of what the fixture yields, for a number of workers.
        flags: What it can do, as for `check_engine`.
        chooses: Whether it decides how many workers there are.
    """

    fixture: str | Callable[[int], Any]
    transport: Callable[[Any, int], Transport]
    flags: frozenset[str] = frozenset()
    chooses: bool = False


DEATHS = frozenset({"deaths"})
ROWS = {
    "thread_pool": Row("thread_pool", given),
    "process_pool": Row("process_pool", given),
    "loky": Row("loky", given),
    "process_pool, made": Row(real.process_pool, made, DEATHS),
    "loky, made": Row(real.loky_pool, made, DEATHS),
    "dask": Row("dask", DaskTransport, DEATHS, chooses=True),
    "dask_threads": Row("dask_threads", DaskTransport, DEATHS, chooses=True),
    "ray": Row("ray", on_ray, frozenset({"deaths", "hooks", "timeouts"})),
}
CASES = [
    pytest.param(name, promise, id=f"{name}-{promise}")
    for name, row in ROWS.items()
    for promise in promised(**dict.fromkeys(row.flags, True))
]


@pytest.mark.parametrize(("name", "promise"), CASES)
def test_promises(name: str, promise: str, request: pytest.FixtureRequest) -> None:
    row = ROWS[name]
    fixture = row.fixture
    where = request.getfixturevalue(fixture) if isinstance(fixture, str) else fixture

    def make(get: Callable[[int], Any], nworkers: int = 2, **options: Any) -> Engine:
        return ClusterEngine(row.transport(where, nworkers), None, get, get, **options)

    if row.transport is DaskTransport:
        # A client keeps its connections to workers, as many as there were results at a time.
        make = closing_connections(make, where)
    flags = dict.fromkeys(row.flags, True)
    check_engine(make, **flags, resizes=row.chooses, only=[promise])
