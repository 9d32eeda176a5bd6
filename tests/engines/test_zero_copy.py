"""Values of worker processes, where they are delivered: views, kept, changed, and outliving."""

import gc
import os
import signal
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools._core import allocator
from seqtools.engines.process import worker
from seqtools.engines.wire import arena
from seqtools.prefetching import options

N = 60_000


@pytest.fixture(params=["slots", "pipe"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have values travel through slots, or through pipes where there cannot be any."""
    if request.param == "pipe":
        monkeypatch.setattr(arena, "create", lambda _: None)


both_ways = pytest.mark.usefixtures("way")


def prefetch(function: Any, items: Any, **options: Any) -> seqtools.Prefetch[Any]:
    return seqtools.prefetch(seqtools.smap(function, items), 2, "process", **options)


def full(i: int) -> Any:
    return np.full(N, i)


def born_in_place(i: int) -> Any:
    array = np.frombuffer(allocator.empty(8 * N), np.int64, N)
    array[:] = i
    return array


@pytest.mark.parametrize("function", [full, born_in_place])
@both_ways
def test_arrays_that_are_kept_stay_intact(function: Any) -> None:
    with prefetch(function, range(300), max_cached=4) as p:
        kept = {i: array for i, array in enumerate(p) if i % 7 == 0}
    assert all((array == i).all() for i, array in kept.items())


@pytest.mark.parametrize("function", [full, born_in_place])
@both_ways
def test_arrays_outlive_the_workers_and_the_prefetch(function: Any) -> None:
    p = prefetch(function, range(3))
    arrays = list(p)
    p.close()
    del p
    gc.collect()
    assert [array[-1] for array in arrays] == [0, 1, 2]
    for array in arrays:
        np.add(array, 1, out=array)
    assert [array[0] for array in arrays] == [1, 2, 3]


@pytest.mark.parametrize("function", [full, born_in_place])
@both_ways
def test_arrays_are_aligned_and_can_be_written_to(function: Any) -> None:
    with prefetch(function, range(20)) as p:
        for array in p:
            assert array.ctypes.data % 64 == 0
            assert array.flags.writeable


@pytest.mark.parametrize("function", [full, born_in_place])
@both_ways
def test_what_is_read_only_stays_so(function: Any) -> None:
    def fixed(i: int) -> Any:
        array = function(i)
        array.setflags(write=False)
        return array

    with prefetch(fixed, range(5)) as p:
        for i, array in enumerate(p):
            assert not array.flags.writeable
            assert (array == i).all()


@pytest.mark.parametrize("function", [full, born_in_place])
@both_ways
def test_the_consumer_changes_nothing_that_a_worker_keeps(function: Any) -> None:
    cached = seqtools.add_cache(seqtools.smap(function, range(2)), 2)
    repeated = seqtools.gather(cached, [0, 1] * 20)
    with seqtools.prefetch(repeated, 1, "process", max_cached=3) as p:
        for i, array in enumerate(p):
            assert (array == i % 2).all()
            array[:] = -1


@both_ways
def test_an_array_and_a_part_of_it() -> None:
    def parts(i: int) -> Any:
        array = born_in_place(i)
        return array, array[:50_000], array[10_000:], array

    with prefetch(parts, range(20)) as p:
        for i, (whole, head, tail, again) in enumerate(p):
            assert (whole == i).all()
            assert len(head) == len(tail) == 50_000
            assert (head == i).all()
            assert (tail == i).all()
            assert again is whole
            whole[:] = -1
            assert (head == i).all()  # as pickled: a copy of its own


@both_ways
def test_several_values_in_a_message() -> None:
    quick = seqtools.smap(lambda i: np.full(5000, i), range(2000))
    with seqtools.prefetch(quick, 2, "process", max_cached=500) as p:
        last = None
        for i, array in enumerate(p):
            assert (array == i).all()
            assert last is None or last[0] == i - 1
            last = array


@both_ways
def test_a_large_value_that_has_no_buffers() -> None:
    with prefetch(lambda i: [str(i + k) for k in range(50_000)], range(6)) as p:
        for i, strings in enumerate(p):
            assert strings == [str(i + k) for k in range(50_000)]


@pytest.mark.parametrize("nested", [False, True])
def test_collated_batches_are_delivered_from_where_they_are_made(
    nested: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_copy(*_: object) -> Any:
        raise AssertionError

    monkeypatch.setattr(arena.Arena, "put", no_copy)
    arrays = seqtools.smap(lambda i: np.full(5000, i), range(100))
    samples = seqtools.smap(lambda a: {"a": a, "b": (a, 1)}, arrays) if nested else arrays
    batches = seqtools.batch(samples, 10, collate_fn=seqtools.collate_arrays)
    with seqtools.prefetch(batches, 2, "process", start_method="fork") as p:
        for k, batch in enumerate(p):
            for array in (batch["a"], batch["b"][0]) if nested else (batch,):
                assert (array == np.arange(10 * k, 10 * k + 10)[:, None]).all()


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Descriptors of the files of slots that are made."""
    made: list[int] = []
    create = arena.create

    def noted(nworkers: int) -> Any:
        fd, size = create(nworkers) or (-1, 0)
        made.append(os.dup(fd))
        return fd, size

    monkeypatch.setattr(arena, "create", noted)
    yield made
    for fd in made:
        os.close(fd)


def used(files: list[int]) -> int:
    return sum(os.fstat(fd).st_blocks * 512 for fd in files)


def test_memory_is_used_again(files: list[int]) -> None:
    with prefetch(full, range(500), max_cached=4) as p:
        for array in p:
            assert len(array) == N
        assert len(files) == 2
        assert 0 < used(files) < 30 * 8 * N  # of 500 arrays


def test_an_idle_worker_gives_memory_back(
    files: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_IDLE_SECONDS", 0.01)
    with prefetch(full, range(20), max_cached=20, start_method="fork") as p:
        arrays = list(p)
        before = used(files)
        kept = arrays[3]
        arrays.clear()
        while used(files) > before / 4:  # the test's time limit is the limit
            pass
        assert (kept == 3).all()


def test_what_is_kept_beyond_the_budget_is_copied_with_one_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(options, "usable_memory", lambda: 4 * 20 * 8 * N)
    with (
        prefetch(full, range(100), max_cached=10) as p,
        warnings.catch_warnings(record=True) as told,
    ):
        warnings.simplefilter("always")
        kept = list(p)
    assert [w.category for w in told] == [RuntimeWarning]
    assert "are kept" in str(told[0].message)
    assert all((array == i).all() for i, array in enumerate(kept))


def test_a_worker_that_dies_takes_no_value_with_it() -> None:
    def deadly(i: int) -> Any:
        if i == 30:
            os.kill(os.getpid(), signal.SIGKILL)
        return full(i)

    items = iter(prefetch(deadly, range(60)))
    kept = {}
    for i in range(60):
        try:
            kept[i] = next(items)
        except seqtools.EvaluationError:
            assert i == 30
    assert sorted(kept) == [*range(30), *range(31, 60)]
    assert all((array == i).all() for i, array in kept.items())


def test_a_forked_child_has_its_values_for_itself() -> None:
    with prefetch(full, range(100), max_cached=4) as p:
        items = iter(p)
        mine = next(items)
        told, tell = os.pipe()
        go, going = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.read(go, 1)
            os.write(tell, b"+" if (mine == 0).all() else b"-")
            os._exit(0)
        del mine
        for i, array in enumerate(items, 1):
            assert (array == i).all()
        os.write(going, b"x")
        assert os.read(told, 1) == b"+"
        os.waitpid(pid, 0)
        for fd in (told, tell, go, going):
            os.close(fd)
