"""The same list on Dask: on a cluster of the user, which is left as it was."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import distributed
import numpy as np
import pytest

import seqtools
from seqtools.engines.base import Job
from seqtools.engines.cluster import remote
from seqtools.engines.cluster.dask import DaskTransport
from seqtools.engines.cluster.engine import ClusterEngine
from tests import scripts
from tests.clusters import real
from tests.engines.fifo import Fifo

MakeFifo = Callable[[], Fifo]


@pytest.fixture(params=["dask", "dask_threads"])
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Yield a client of each kind, of which nothing may be left afterwards."""
    client = request.getfixturevalue(request.param)
    yield client
    check_nothing_is_left(client)


def check_nothing_is_left(client: distributed.Client) -> None:
    assert client.submit(int, 3, pure=False).result(real.LONGEST) == 3  # it is still open
    assert not [key for key in client.futures if str(key).startswith("seqtools")]
    assert not any(client.run(remote.kept).values())
    assert not client.run_on_scheduler(keys)
    names = {thread.name for thread in threading.enumerate()}
    assert "seqtools-dispatcher" not in names


def keys(dask_scheduler: Any) -> list[str]:
    return [str(key) for key in dask_scheduler.tasks if str(key).startswith("seqtools")]


@pytest.mark.parametrize("size", [1_000, 20_001, 300_000])
def test_arrays_can_be_written_to_and_are_as_they_were(client: Any, size: int) -> None:
    buffer = np.zeros(size)

    def fill(i: int) -> Any:
        own = buffer.copy()  # there may be several threads
        own[:] = i
        return own, own[:3].astype("i1"), i

    with seqtools.prefetch(seqtools.smap(fill, range(20)), method=client) as ready:
        items = list(ready)
    assert [int(item[0][-1]) for item in items] == list(range(20))
    for large, small, _ in items:
        assert large.flags.writeable
        assert large.flags.aligned
        assert small.flags.writeable
    items[3][0][:] = -1
    assert items[4][0][0] == 4


def test_memory_that_a_function_uses_again_is_copied(dask: Any) -> None:
    buffer = np.zeros(20_000)

    def fill(i: int) -> Any:
        buffer[:] = i
        return buffer

    with seqtools.prefetch(seqtools.smap(fill, range(40)), method=dask) as ready:
        assert [item[0] for item in ready] == list(range(40))


def test_seeds_and_generators(client: Any) -> None:
    def draw(x: int) -> float:
        return x + float(np.random.random())

    def made(x: int, rng: np.random.Generator) -> float:
        return x + float(rng.random())

    for method in (client, client.get_executor(), "dask"):  # threads of Dask draw too
        with pytest.raises(ValueError, match=r"seeds the random generators .* smap\(…, rng=\)"):
            seqtools.prefetch(seqtools.smap(draw, range(30)), method=method, seed=3)
    own = seqtools.smap(made, range(30), rng=3)
    with seqtools.prefetch(own, method=client) as ready:
        assert list(ready) == list(own)


def test_what_items_print_is_shown(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def tell(x: int) -> int:
        print("item", x)  # noqa: T201
        return x

    with seqtools.prefetch(seqtools.smap(tell, range(4)), 1, client) as ready:
        assert list(ready) == [0, 1, 2, 3]
    assert sorted(capsys.readouterr().out.splitlines()) == [f"item {x}" for x in range(4)]
    print("plain")  # noqa: T201
    assert capsys.readouterr().out == "plain\n"


def test_a_prefetch_within_a_prefetch(client: Any) -> None:
    inner = seqtools.prefetch(seqtools.smap(lambda x: x + 1, range(20)), 2, "thread")
    outer = seqtools.smap(lambda i: inner[i] * 2, range(20))
    with seqtools.prefetch(outer, method=client) as ready:
        assert list(ready) == [2 * (x + 1) for x in range(20)]


def test_two_prefetches_on_one_client(client: Any) -> None:
    first = seqtools.prefetch(seqtools.smap(lambda x: x + 1, range(300)), method=client)
    second = seqtools.prefetch(seqtools.smap(lambda x: -x, range(300)), method=client)
    with first, second:
        pairs = list(zip(first, second, strict=True))
    assert pairs == [(x + 1, -x) for x in range(300)]


def test_a_loop_is_left_in_the_middle(client: Any) -> None:
    ready = seqtools.prefetch(seqtools.smap(lambda x: x + 1, range(3000)), method=client)
    for x in ready:
        if x == 7:
            break
    del ready
    with seqtools.prefetch(seqtools.smap(abs, range(3000)), method=client) as again:
        assert again[2000] == 2000
        assert next(iter(again)) == 0


def test_an_item_that_is_being_evaluated_is_dropped(dask: Any, fifo: MakeFifo) -> None:
    started, go, after = fifo(), fifo(), fifo()

    def wait(i: int) -> int:
        started.send()
        go.wait()
        after.send()
        return i

    delivered: list[Any] = []
    made = ClusterEngine(DaskTransport(dask, 1), None, wait, wait, deliver=delivered.append)
    made.submit([Job(1, range(50)), Job(2, range(50, 100))])
    started.wait()
    made.close()
    go.send(100)
    after.wait()
    check_nothing_is_left(dask)
    assert after.drain() == 0  # none of the others was begun
    assert not delivered


def test_caches_are_where_the_workers_are(client: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"

    def load(k: int) -> list[int]:
        with open(log, "a", encoding="ascii") as file:
            file.write(f"{os.getpid()} {k}\n")
        return list(range(100 * k, 100 * k + 100))

    items = seqtools.unbatch(seqtools.add_cache(seqtools.smap(load, range(4)), 4), 100)
    order = [100 * (i % 4) + i // 4 for i in range(400)]
    with seqtools.prefetch(seqtools.gather(items, order), method=client) as ready:
        for _ in range(3):
            assert list(ready) == order
    loaded = log.read_text(encoding="ascii").splitlines()
    assert {line.split()[1] for line in loaded} == {"0", "1", "2", "3"}
    assert len(loaded) == len(set(loaded))  # each process has loaded each file once at most
    assert str(os.getpid()) not in log.read_text(encoding="ascii")


def test_a_large_pipeline_is_sent_to_workers_that_cannot_map_it(
    dask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # its workers are on this machine, but they are not told so
    monkeypatch.setattr("seqtools.engines.cluster.shipment.machine", lambda: "elsewhere")
    added = np.arange(3_000_000.0)  # 24 MB: more than Dask lets a task have without a warning
    sums = seqtools.smap(lambda i: float(added[i]) + i, range(200))
    with seqtools.prefetch(sums, method=dask) as ready:
        assert list(ready) == list(sums)
        assert any(dask.run(remote.kept).values())
    check_nothing_is_left(dask)


def test_on_another_machine(dask_elsewhere: Any) -> None:
    added = np.arange(3_000_000.0)
    sums = seqtools.smap(lambda i: (float(added[i]) + i, os.uname().nodename), range(200))
    with seqtools.prefetch(sums, method=dask_elsewhere) as ready:
        items = list(ready)
    assert [item[0] for item in items] == [2.0 * i for i in range(200)]
    assert os.uname().nodename not in {item[1] for item in items}
    check_nothing_is_left(dask_elsewhere)


def test_the_number_of_workers(dask: Any, dask_threads: Any) -> None:
    for client, given, n in (dask, None, 2), (dask_threads, None, 4), (dask_threads, 3, 3):
        made = DaskTransport(client, given or 9, every_worker=given is None)
        started = ClusterEngine(made, None, abs, abs, deliver=lambda _: None)
        assert started.nworkers == n
        assert made.turns == (client is dask)
        started.close()


@pytest.mark.parametrize("nworkers", [1, 2, 4])
def test_no_more_items_at_a_time_than_workers_were_asked_for(
    dask_threads: Any, nworkers: int
) -> None:
    def busy(_: int) -> int:
        import builtins
        import time
        from collections import Counter

        found = builtins.__dict__.setdefault("_busy_with", Counter())
        found["now"] += 1
        found["most"] = max(found["most"], found["now"])
        time.sleep(0.01)
        found["now"] -= 1
        return int(found["most"])

    def forget() -> None:
        import builtins

        builtins.__dict__.pop("_busy_with", None)

    with seqtools.prefetch(seqtools.smap(busy, range(40)), nworkers, dask_threads) as ready:
        assert max(ready) == nworkers
    dask_threads.run(forget)


def test_a_client_that_a_function_makes_is_refused(dask: Any) -> None:
    with (
        seqtools.prefetch(range(9), 2, lambda: dask) as ready,
        pytest.raises(seqtools.WorkerStartError, match="made a Dask client: give the client"),
    ):
        ready[0]
    assert dask.status == "running"


def test_a_cluster_without_workers_is_waited_for() -> None:
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None, processes=False) as cluster,
        distributed.Client(cluster) as client,
    ):
        with pytest.raises(TypeError, match=r"got a cluster, .*: give Client\(cluster\)"):
            seqtools.prefetch(range(9), method=cluster)
        with seqtools.prefetch(seqtools.smap(abs, range(9)), method=client) as ready:
            cluster.scale(1)
            assert list(ready) == list(range(9))


def test_as_an_executor(dask: Any) -> None:
    with seqtools.prefetch(
        seqtools.smap(lambda x: x + 1, range(300)), method=dask.get_executor()
    ) as ready:
        assert list(ready) == list(range(1, 301))
    check_nothing_is_left(dask)


WORKERS_HERE = f"""
import sys
sys.path.insert(0, {scripts.SOURCE!r})
import threading
import warnings
import distributed
import seqtools
from seqtools.engines.base import Job
from seqtools.engines.cluster import remote
from seqtools._core import single_flight

def draw(x):
    import random
    return x + random.random()

warnings.filterwarnings("ignore", "(?s)Port 8787 is already in use")  # by somebody else
client = distributed.Client(
    processes=False, n_workers=2, threads_per_worker=int(sys.argv[1]), dashboard_address=None
)
def tell(x):
    print("item", x)
    return x

cached = seqtools.add_cache(seqtools.smap(tell, range(4)), 4)
with seqtools.prefetch(cached, method=client) as ready:
    print("reader")
    assert list(ready) == [0, 1, 2, 3]
assert client.submit(int, 3).result() == 3
assert not remote.kept()
assert not single_flight.in_turns
client.close()
print("well")
"""


@pytest.mark.parametrize("threads", [1, 4])
def test_workers_that_are_threads_of_this_process(threads: int) -> None:
    done = scripts.run("-c", WORKERS_HERE, str(threads))
    assert (done.returncode, done.stderr) == (0, "")
    *printed, last = done.stdout.splitlines()
    assert sorted(printed) == [*[f"item {i}" for i in range(4)], "reader"]
    assert last == "well"


def test_in_another_thread_and_beside_a_running_loop(dask: Any) -> None:
    def read() -> list[int]:
        with seqtools.prefetch(seqtools.smap(abs, range(100)), method=dask) as ready:
            return list(ready)

    async def cell() -> list[int]:  # as in a notebook, whose loop runs in the main thread
        return read()

    assert asyncio.run(cell()) == list(range(100))
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(read()))
    thread.start()
    thread.join()
    assert found == [list(range(100))]


# ---------------------------------------------------------------------------- refused


def test_an_asynchronous_client_is_refused(dask_processes: real.DaskCluster) -> None:
    async def main() -> None:
        async with dask_processes.client(asynchronous=True) as client:
            with pytest.raises(TypeError, match="the Dask client is asynchronous"):
                seqtools.prefetch([1], method=client)

    asyncio.run(main())


def test_a_closed_client_is_refused(dask_processes: real.DaskCluster) -> None:
    with dask_processes.client() as client:
        pass
    with pytest.raises(ValueError, match="the Dask client is closed"):
        seqtools.prefetch([1], method=client)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"nworkers": "auto"}, ValueError, "needs method='thread' or 'process'"),
        ({"timeout": 3}, ValueError, "cannot end an item"),
        ({"start_method": "spawn"}, ValueError, "has started its workers itself"),
        ({"start_hook": lambda number: number}, TypeError, "it must take no argument"),
        ({"engine_options": {"num_cpus": 1}}, ValueError, "'resources', got 'num_cpus'"),
        ({"engine_options": {"resources": 3}}, TypeError, "a dict such as {'GPU': 1}, got 3"),
        ({"nworkers": "2"}, TypeError, "nworkers must be an integer or None, got '2'"),
        ({"method": distributed.Client}, TypeError, "must be a Dask client, got its class"),
    ],
)
def test_refused(dask: Any, options: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        seqtools.prefetch([1, 2], **{"method": dask, **options})
