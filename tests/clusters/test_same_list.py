"""The same list on every cluster: equal to what is evaluated here, whatever is read.

Tests of one kind of cluster only are beside these, in `test_dask.py` and `test_ray.py`.
"""

import os
import sys
import types
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from tests import scripts
from tests.clusters import real
from tests.clusters.conftest import CLUSTERS
from tests.clusters.reading import N, check_dask, check_here, check_pool, check_ray

# Ray is slow to start workers, or to give processors back, where others use the machine.
pytestmark = pytest.mark.filterwarnings("ignore:. of 2 workers have started in Ray")

SHARED = "thread_pool"
"""The kind whose workers are threads of this process."""


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """Return the name of the fixture that `cluster` is."""
    name: str = request.node.callspec.params["cluster"]
    return name


@pytest.fixture(params=CLUSTERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Yield each kind in turn, in which nothing of ours may be left afterwards."""
    where = request.getfixturevalue(request.param)
    yield where
    check_left(request.param, where)
    check_here()


def check_left(kind: str, where: Any) -> None:
    """Check that a cluster works, and that nothing of ours is there."""
    if kind.startswith("dask"):
        check_dask(where)
    elif kind == "ray":
        check_ray()
    else:
        check_pool(where, real.WORKERS)


def test_indices_and_slices(cluster: Any) -> None:
    source = seqtools.smap(lambda x: x * x, range(N))
    want = [x * x for x in range(N)]
    with seqtools.prefetch(source, method=cluster) as ready:
        assert list(ready) == want
        assert len(ready) == N
        assert [ready[i] for i in (0, 17, N - 1, -1, -N)] == [0, 289, want[-1], want[-1], 0]
        for part in (slice(5, 9), slice(-5, None), slice(None, None, 7), slice(20, 3, -2)):
            assert list(ready[part]) == want[part]
        assert list(reversed(ready)) == want[::-1]
        for i in (N, -N - 1):
            with pytest.raises(IndexError):
                ready[i]


def test_errors_have_their_path_and_the_host(cluster: Any, kind: str) -> None:
    def invert(x: int) -> float:
        return 1 / x

    with seqtools.prefetch(seqtools.smap(invert, [1, 0, 2]), method=cluster) as ready:
        iterator = iter(ready)
        assert next(iterator) == 1
        with pytest.raises(seqtools.EvaluationError) as caught:
            next(iterator)
        assert [(step.stage, step.index) for step in caught.value.path] == [
            ("prefetch", 1),
            ("smap(invert)", 1),
        ]
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert next(iterator) == 0.5
        if kind != SHARED:
            notes = "".join(caught.value.__cause__.__notes__)
            assert f" on {os.uname().nodename}:" in notes
            assert "return 1 / x" in notes
    del caught


def test_a_state_is_resumed_on_every_other_kind(cluster: Any, thread_pool: Any) -> None:
    source = seqtools.shuffle(seqtools.smap(lambda x: x + 1, range(N)), seed=3)
    want = list(source)
    places = [cluster, thread_pool, None, cluster]
    found: list[int] = []
    state = None
    for k, where in enumerate(places):
        with seqtools.prefetch(source, 0 if where is None else 2, where) as ready:
            items = iter(ready)
            if state is not None:
                items.load_state_dict(state)
            n = N if k == len(places) - 1 else 25
            found += islice(items, n)
            state = items.state_dict()
    assert found == want


def test_arrays_are_writable_and_independent(cluster: Any, kind: str) -> None:
    buffer = np.zeros(20_000)

    def fill(i: int) -> Any:
        own = buffer.copy() if "threads" in str(kind) or kind == SHARED else buffer
        own[:] = i
        return own, own[:3], i

    with seqtools.prefetch(seqtools.smap(fill, range(40)), method=cluster) as ready:
        items = list(ready)
    assert [(large[-1], small[0], i) for large, small, i in items] == [(i,) * 3 for i in range(40)]
    for large, small, _ in items:
        assert large.flags.writeable
        assert small.flags.writeable
    items[3][0][:] = -1
    assert items[4][0][0] == 4


def test_random_numbers_are_the_same(cluster: Any, kind: str) -> None:
    def draw(x: int) -> float:
        return x + float(np.random.random())

    def made(x: int, rng: np.random.Generator) -> float:
        return x + float(rng.random())

    own = seqtools.smap(made, range(30), rng=3)
    with seqtools.prefetch(own, method=cluster) as ready:
        assert list(ready) == list(own)
    drawn = seqtools.smap(draw, range(30))
    if kind == SHARED or "dask" in kind:
        with pytest.raises(ValueError, match="seeds the random generators of a process"):
            seqtools.prefetch(drawn, method=cluster, seed=3)
        return
    with seqtools.prefetch(drawn, method=cluster, seed=3) as ready:
        assert list(ready) == list(seqtools.prefetch(drawn, 0, seed=3))


def test_what_is_printed(cluster: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def tell(x: int) -> int:
        print("item", x, end="" if x == 2 else "\n")  # noqa: T201
        return x

    with seqtools.prefetch(seqtools.smap(tell, range(4)), 1, cluster) as ready:
        assert list(ready) == [0, 1, 2, 3]
    printed = capsys.readouterr().out.replace("item 2item 3", "item 2\nitem 3")  # of threads
    assert sorted(printed.split("\n")[:4]) == [f"item {x}" for x in range(4)]


def test_files_are_loaded_about_once(cluster: Any, kind: str, tmp_path: Path) -> None:
    log = tmp_path / "log"

    def load(k: int) -> list[int]:
        with open(log, "a", encoding="ascii") as file:
            file.write(f"{k}\n")
        return list(range(50 * k, 50 * k + 50))

    kept = 3 if kind != "dask_threads" else 6  # which has one cache for four threads
    files = seqtools.add_cache(seqtools.smap(load, range(8)), kept)
    items = seqtools.unbatch(files, 50)
    # workers of a smaller window cannot know which file is next
    with seqtools.prefetch(items, method=cluster, max_buffered=200) as ready:
        assert list(ready) == list(range(400))
    loaded = log.read_text(encoding="ascii").splitlines()
    assert set(loaded) == {str(k) for k in range(8)}
    # an executor deals items without regard to caches: each worker may load each file
    most = 14 if kind in {"dask", "ray", "dask_threads", SHARED} else 8 * real.WORKERS
    assert len(loaded) <= most, loaded


def test_nested_pipelines(cluster: Any) -> None:
    numbers = seqtools.smap(lambda x: 2 * x, range(60))
    mixed = seqtools.mix([seqtools.shuffle(numbers, seed=1), range(60)], [2, 1])
    batches = seqtools.batch(mixed, 7, drop_last=True)
    part = seqtools.shard(seqtools.unbatch(batches, 7), 1, 2, uneven="drop")
    want = list(part)
    assert len(want) > 30
    with seqtools.prefetch(part, method=cluster) as ready:
        assert list(ready) == want
    with seqtools.prefetch(batches, method=cluster) as ready:
        flat = seqtools.unbatch(ready, 7)
        assert list(flat) == list(seqtools.unbatch(batches, 7))


def test_a_source_without_length(cluster: Any) -> None:
    source = seqtools.smap(lambda x: x + 1, seqtools.cycle(range(7)))
    with seqtools.prefetch(source, method=cluster) as ready:
        items = iter(ready)
        assert [next(items) for _ in range(100)] == [i % 7 + 1 for i in range(100)]


def test_unordered(cluster: Any) -> None:
    source = seqtools.smap(lambda x: x * x, range(N))
    with seqtools.prefetch(source, method=cluster, ordered=False) as ready:
        assert sorted(ready) == [x * x for x in range(N)]


def test_a_function_of_a_notebook(cluster: Any) -> None:
    """Its module is nowhere in a file, and its globals change after it was made."""
    cells = types.ModuleType("__main__")
    code = "class Point:\n  def __init__(self, x): self.x = x\n"
    code += "def make(x): return Point(x + offset)\noffset = 1"
    before = sys.modules["__main__"]
    sys.modules["__main__"] = cells
    try:
        exec(code, cells.__dict__)  # noqa: S102 -- as a notebook does
        points = seqtools.smap(cells.make, range(N))
        with seqtools.prefetch(points, method=cluster) as ready:
            found = list(ready)
            assert [point.x for point in found] == list(range(1, N + 1))
            assert all(type(point) is cells.Point for point in found)
            cells.offset = 2
            ready.refresh()
            assert ready[0].x == 2
    finally:
        sys.modules["__main__"] = before


PROGRAM = """
    import distributed, os
    from concurrent.futures import ThreadPoolExecutor
    kind, where = sys.argv[1:]
    if kind == "dask":
        client = distributed.Client(where)
        read(method=client)
        client.close()
    elif kind == "ray":
        read(method="ray")
    else:
        import loky
        with loky.ProcessPoolExecutor(2) as pool:
            read(method=pool)
"""


@pytest.mark.parametrize("kind", ["dask", "loky"])
def test_a_script(kind: str, dask_processes: real.DaskCluster) -> None:
    """A program that has defined its class and its function itself."""
    done = scripts.run("-c", scripts.program(PROGRAM), kind, dask_processes.address)
    assert scripts.is_well(done)


def test_a_large_pipeline_is_shared_on_this_machine(cluster: Any) -> None:
    """It has half as many bytes as the store of Ray, and is not sent."""
    large = np.arange(12_500_000.0)  # 100 MB
    source = seqtools.smap(lambda i: float(large[i * 100_000]), range(N))
    with seqtools.prefetch(source, method=cluster) as ready:
        assert list(ready) == [i * 100_000.0 for i in range(N)]


def test_two_prefetches_at_a_time(cluster: Any) -> None:
    first = seqtools.prefetch(seqtools.smap(lambda x: x + 1, range(N)), method=cluster)
    options = {"engine_options": {"num_cpus": 0}} if cluster == "ray" else {}
    second = seqtools.prefetch(seqtools.smap(lambda x: -x, range(N)), method=cluster, **options)
    with first, second:
        assert list(zip(first, second, strict=True)) == [(x + 1, -x) for x in range(N)]


def test_a_loop_that_is_left(cluster: Any) -> None:
    ready = seqtools.prefetch(seqtools.smap(lambda x: x + 1, range(3000)), method=cluster)
    for x in ready:
        if x == 7:
            break
    assert ready[2999] == 3000
    assert next(iter(ready)) == 1
    del ready, x


def test_all_kinds_are_here() -> None:
    fixtures: set[str] = set(CLUSTERS)
    assert {"dask", "dask_threads", "loky", "process_pool", "ray", SHARED} == fixtures
