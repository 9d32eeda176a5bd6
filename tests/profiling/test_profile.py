"""Profiles of real pipelines, inline and under every engine."""

import asyncio
import io
import json
import os
import pickle
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
import seqtools.testing
from seqtools import instrument
from seqtools._core import recording
from tests.engines.engines import OPTIONS

N = 40


def broken(x: int) -> int:
    if x == 7:
        raise ValueError("seven")
    return x


def calls(measured: instrument.Profile) -> dict[str, int]:
    told: Counter[str] = Counter()
    for stage in measured.snapshot()["stages"]:
        told[stage["stage"]] += stage["calls"]
    return dict(told)


@pytest.mark.parametrize("method", [*OPTIONS])
def test_every_read_of_every_stage_is_counted(method: str) -> None:
    source = seqtools.smap(abs, seqtools.smap(broken, range(8, 8 + N)))
    with seqtools.prefetch(source, max_cached=10, **OPTIONS[method]) as p:
        with instrument.profile(p) as measured:
            assert list(p) == list(range(8, 8 + N))
        assert list(p[:3]) == [8, 9, 10]  # not measured any more
    told = calls(measured)
    assert told == {"prefetch": N, "smap(abs)": N, "smap(broken)": N}
    snapshot = measured.snapshot()
    assert snapshot["items"] == N
    assert json.loads(json.dumps(snapshot)) == snapshot
    assert measured.report().splitlines()[0] == repr(measured).partition(": ")[2][:-1]


def test_inline_pipelines_are_measured_too() -> None:
    p = seqtools.batch(seqtools.smap(abs, range(-20, 0)), 4)
    with instrument.profile(p) as measured:
        assert [len(b) for b in p] == [4] * 5
        assert p[1] == [16, 15, 14, 13]
        assert list(p[1:2]) == [[16, 15, 14, 13]]
        assert next(reversed(p)) == [4, 3, 2, 1]
        assert len(p) == 5
    assert calls(measured) == {"batch": 8, "smap(abs)": 32}
    assert measured.snapshot()["items"] == 8


@pytest.mark.parametrize("nworkers", [None, 0, 2])
def test_reads_of_several_items_count_each(nworkers: int | None) -> None:
    p = seqtools.smap(abs, range(-20, 0))
    p = p if nworkers is None else seqtools.prefetch(p, nworkers, method="thread")
    with instrument.profile(p) as measured:
        assert p.__getitems__([1, 2, -1]) == [19, 18, 1]  # as a loader of torch reads
        assert measured.snapshot()["items"] == 3
        assert p.__getitems__([]) == []
        assert list(p[[3, 1, 2, 0]]) == [17, 19, 18, 20]
        assert measured.snapshot()["items"] == 7
        assert list(p[5:][np.array([0, 2])]) == [15, 13]
        assert p[5:].__getitems__(range(6)) == [15, 14, 13, 12, 11, 10]
    assert measured.snapshot()["items"] == 15
    with pytest.raises(TypeError, match="must be integers"):
        p["a"]


def test_a_pipeline_read_only_through_another_stage_says_so() -> None:
    p = seqtools.prefetch(seqtools.smap(abs, range(20)), 1, method="thread")
    later = seqtools.smap(abs, p)
    with instrument.profile(p) as measured:
        assert len(list(later)) == 20
    assert "no item of prefetch was read, or only through other stages" in measured.verdict()
    assert "profile the last stage" in measured.verdict()


@pytest.mark.parametrize("method", [None, "thread", "process"])
def test_errors_are_the_same_as_without(method: str | None) -> None:
    p: Any = seqtools.batch(seqtools.smap(broken, range(20)), 5)
    if method:
        p = seqtools.prefetch(p, 2, method=method)

    def read() -> tuple[list[Any], list[str]]:
        items, got, told = iter(p), [], []
        while True:
            try:
                got.append(next(items))
            except StopIteration:
                return got, told
            except seqtools.EvaluationError as error:
                told.append(str(error))

    expected = read()
    assert len(expected[1]) == 1
    with instrument.profile(p):
        assert read() == expected
    if method:
        p.close()


def test_caches_say_what_they_had() -> None:
    cached = seqtools.add_cache(seqtools.smap(abs, range(10)), 2)
    p = seqtools.unbatch(seqtools.smap(lambda x: [x] * 4, cached), 4)
    with instrument.profile(p) as measured:
        assert len(list(p)) == 40
    (cache,) = (s for s in measured.snapshot()["stages"] if s["stage"] == "add_cache")
    assert (cache["calls"], cache["hits"], cache["misses"]) == (40, 30, 10)
    with instrument.profile(p) as again:
        assert p[39] == 9
    (cache,) = (s for s in again.snapshot()["stages"] if s["stage"] == "add_cache")
    assert (cache["hits"], cache["misses"]) == (1, 0)  # what is kept is shared


def test_a_stage_that_is_read_by_two_is_one() -> None:
    shared = seqtools.smap(abs, range(5))
    p = seqtools.collate([shared, shared])
    with instrument.profile(p) as measured:
        assert p[2] == (2, 2)
    assert calls(measured) == {"collate": 1, "smap(abs)": 2}


def test_a_dataset_of_the_users_has_a_line() -> None:
    class Dataset:
        def __len__(self) -> int:
            return 6

        def __getitem__(self, i: int) -> int:
            return i * i

    p = seqtools.smap(abs, Dataset())
    with instrument.profile(p) as measured:
        assert list(p) == [0, 1, 4, 9, 16, 25]
    assert calls(measured) == {"smap(abs)": 6, "Dataset": 6}


def test_an_endless_pipeline_is_read_as_far_as_one_likes() -> None:
    p = seqtools.prefetch(seqtools.smap(abs, seqtools.repeat(-3)), 1)
    with instrument.profile(p) as measured:
        items = iter(p)
        assert [next(items) for _ in range(5)] == [3] * 5
        del items
    p.close()
    assert measured.snapshot()["items"] == 5


@pytest.mark.parametrize("nworkers", [0, 1])
def test_there_is_a_window_where_something_is_read_ahead(nworkers: int) -> None:
    p = seqtools.prefetch(seqtools.smap(abs, range(N)), nworkers, "thread")
    with p, instrument.profile(p) as measured:
        assert list(p) == list(range(N))
    snapshot = measured.snapshot()
    assert (snapshot["window"] is None) == (nworkers == 0)
    assert ("window: " in measured.report()) == (nworkers > 0)


def test_worker_and_consumer_may_write_more_than_there_is_room_for_at_first() -> None:
    n = recording._CHUNK + 1000
    p = seqtools.prefetch(seqtools.smap(abs, range(n)), 1, "thread")
    with p, instrument.profile(p) as measured:
        assert sum(1 for _ in p) == n
    assert measured.snapshot()["items"] == n
    assert calls(measured) == {"prefetch": n, "smap(abs)": n}


def test_an_iterator_may_go_on_in_another_thread() -> None:
    p = seqtools.smap(abs, range(4))
    with instrument.profile(p) as measured:
        items = iter(p)
        got = [next(items)]
        thread = threading.Thread(target=lambda: got.append(next(items)))
        thread.start()
        thread.join()
        got += items
    assert got == [0, 1, 2, 3]
    assert measured.snapshot()["items"] == 4


@pytest.mark.parametrize("method", [None, "thread"])
def test_tasks_may_read_by_async_for(method: str | None) -> None:
    async def read() -> list[int]:
        assert [x async for x in p[:3]] == [0, 1, 2]
        items = aiter(p)
        assert await anext(items) == 0
        state = items.state_dict()
        await items.aclose()
        items = aiter(p)
        items.load_state_dict(state)
        return [x async for x in items]

    source = seqtools.smap(abs, range(N))
    p = source if method is None else seqtools.prefetch(source, 2, method)
    with instrument.profile(p) as measured:
        assert asyncio.run(read()) == list(range(1, N))
    snapshot = measured.snapshot()
    assert snapshot["items"] == 3 + N
    assert snapshot["waited_seconds"] > 0


def test_a_snapshot_can_be_taken_at_any_time() -> None:
    p = seqtools.smap(abs, range(30))
    with instrument.profile(p) as measured:
        assert measured.snapshot()["items"] == 0
        for i, _ in enumerate(p, 1):
            assert measured.snapshot()["items"] == i


def test_threads_may_read_at_once() -> None:
    p = seqtools.smap(abs, range(50))
    with instrument.profile(p) as measured:
        threads = [threading.Thread(target=lambda: list(p)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert measured.snapshot()["items"] == 200


def test_the_pipeline_is_as_before_afterwards() -> None:
    p = seqtools.smap(abs, range(5))
    before = type(p)
    with instrument.profile(p):
        assert type(p) is not before
        assert isinstance(p, before)
        copy = pickle.loads(pickle.dumps(p))
        assert type(copy) is before
        assert list(copy) == list(range(5))
        assert repr(p) == repr(copy)
        with pytest.raises(RuntimeError, match="is being profiled already"):
            instrument.profile(p).__enter__()
    assert type(p) is before
    with pytest.raises(ZeroDivisionError), instrument.profile(p):
        raise ZeroDivisionError
    assert type(p) is before


def test_items_are_assigned_to_what_they_are_made_of() -> None:
    values = [1, 2, 3]
    p = seqtools.concatenate([values, [4]])
    with instrument.profile(p):
        p[1] = 20
    assert values == [1, 20, 3]


def test_a_profile_is_of_a_pipeline_and_for_once() -> None:
    with pytest.raises(TypeError, match="needs a lazy sequence, got list"):
        instrument.profile([1, 2])  # type: ignore[arg-type]
    measured = instrument.profile(seqtools.smap(abs, [1]))
    with pytest.raises(RuntimeError, match="nothing was measured yet"):
        measured.report()
    assert "not begun" in repr(measured)
    with pytest.raises(RuntimeError, match="this profile is not measuring: use `with"):
        measured.__exit__()
    with measured:
        pass
    with pytest.raises(RuntimeError, match="this profile is not measuring: use `with"):
        measured.__exit__()
    with pytest.raises(TypeError, match=r"cannot pickle or copy a profile: use its snapshot\(\)"):
        pickle.dumps(measured)
    assert "too short to tell" in measured.verdict()
    with pytest.raises(RuntimeError, match="measures once"), measured:
        pass


def test_a_progress_bar_may_be_around_what_is_profiled() -> None:
    p = seqtools.prefetch(seqtools.smap(abs, range(N)), 2)
    shown = io.StringIO()
    bar = instrument.progress(p, file=shown, disable=False, mininterval=0)
    with instrument.profile(p) as measured:
        assert list(bar) == list(range(N))
    assert measured.snapshot()["items"] == N
    assert "/2 busy" in shown.getvalue()
    assert f"{N}/{N}" in shown.getvalue()


def test_nothing_is_written_without_a_profile() -> None:
    with seqtools.prefetch(seqtools.smap(abs, range(5)), 1, method="process") as p:
        assert list(p) == list(range(5))
    assert recording.active == ()


@pytest.mark.parametrize("method", ["thread", "process"])
def test_a_prefetch_in_a_prefetch_is_measured_where_it_is_read(method: str) -> None:
    inner = seqtools.prefetch(seqtools.smap(abs, range(30)), 2, method="thread")
    outer = seqtools.prefetch(seqtools.smap(broken, seqtools.smap(add_eight, inner)), 1, method)
    with instrument.profile(outer) as measured:
        assert list(outer) == list(range(8, 38))
    told = calls(measured)
    assert told == {
        "prefetch": 30 + 30, "smap(broken)": 30, "smap(add_eight)": 30, "smap(abs)": 30,
    }  # fmt: skip
    assert measured.snapshot()["workers"] == 1


def add_eight(x: int) -> int:
    return x + 8


def test_a_worker_that_dies_leaves_what_it_has_written(tmp_path: Path) -> None:
    died = tmp_path / "died"

    def fatal(x: int) -> int:
        if x == 20 and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    p = seqtools.prefetch(seqtools.smap(fatal, range(N)), 1, method="process")
    with instrument.profile(p) as measured:
        assert list(p) == list(range(N))
    assert died.exists()
    snapshot = measured.snapshot()
    assert snapshot["items"] == N
    assert snapshot["stages"][1]["calls"] >= N  # what was lost is evaluated again
