"""A check names what will not work in workers, and says what a few items say of all."""

import functools
import io
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import prefetch, smap
from seqtools.instrument import check
from seqtools.instrument.checking import checker, worker_main
from seqtools.instrument.quantities import volume
from seqtools.prefetching import memory

LOCK = threading.Lock()


def guarded(x: int) -> int:
    """Use a lock of its module, which workers import with it."""
    with LOCK:
        return x


def wrong(function: Any, method: str = "process", **options: Any) -> list[str]:
    """Return what is found in a pipeline of `function`."""
    ready = prefetch(smap(function, range(9)), 1, method, **options)
    return [finding.what for finding in check(ready, items=0)]


# ---------------------------------------------------------------------------- nothing found


def test_nothing_found_is_said_in_a_line() -> None:
    ready = prefetch(smap(lambda _: bytes(1000), range(9)), 1, "process", max_cached=20)
    found = check(ready)
    assert found == []
    assert str(found).startswith("nothing found: items of 1.03 kB, 20.7 kB for the window of 20; ")
    assert "\n" not in str(found)
    assert repr(found) == str(found)


def test_no_prefetch_is_said_in_a_line() -> None:
    told = "nothing to check: there is no prefetch with workers in this pipeline"
    assert str(check(smap(abs, [1]))) == told
    assert str(check(prefetch(smap(abs, [1]), 0))) == told


@pytest.mark.parametrize(
    "function",
    [
        guarded,
        functools.partial(guarded),
        np.sqrt,
        lambda x: x,
        "abc".__getitem__,
        np.zeros(3).take,
    ],
)
def test_what_can_be_sent(function: Any) -> None:
    assert wrong(function) == []


def test_sources_that_can_be_sent(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((5, 3)))
    for source in (
        [1, 2],
        "ab",
        np.zeros(3),
        np.load(tmp_path / "a.npy", mmap_mode="r"),
        [Path("a"), io.BytesIO(b"a"), io.StringIO("a")],
    ):
        assert check(prefetch(smap(type, source), 1, "process")) == []
        assert check(prefetch(source, 1, "process")) == []


def test_threads_may_have_anything() -> None:
    lock = threading.Lock()
    assert wrong(lambda x: (x, lock), "thread") == []


# ---------------------------------------------------------------------------- items


def test_a_few_items_say_how_large_all_are() -> None:
    read: list[int] = []

    def load(i: int) -> Any:
        read.append(i)
        return np.zeros(1000 * i)

    ready = prefetch(smap(load, range(1, 101)), 2, max_cached=10)
    [estimate] = check(ready).estimates
    assert read == [1, 1, 50, 50, 100, 100]
    assert estimate.items == 3
    assert estimate.window == 10
    assert estimate.size == pytest.approx(8000 * (1 + 50 + 100) / 3, rel=0.01)
    read.clear()
    [estimate] = check(ready, items=0).estimates
    assert read == []
    assert (estimate.size, estimate.seconds, estimate.computing) == (None, None, None)
    assert str(estimate) == "no items evaluated, 10 items ready ahead"
    check(ready, items=1)
    check(prefetch(smap(load, seqtools.cycle([3, 2])), 2), items=2)
    assert read == [1, 1, 3, 3, 2, 2]


def test_nothing_is_kept_or_started_by_a_check() -> None:
    calls: list[int] = []
    kept = seqtools.add_cache(smap(lambda x: calls.append(x) or x, range(9)), 9)
    before = set(threading.enumerate())
    check(prefetch(seqtools.batch(prefetch(kept, 2), 3), 2))
    assert set(threading.enumerate()) <= before
    calls.clear()
    assert kept[0] == 0
    assert calls == [0]


def test_what_can_be_read_once_is_left_alone() -> None:
    squares = smap(lambda x: x * x, seqtools.uniter(x for x in range(5)))
    found = check(prefetch(squares, 1))
    assert found == []
    assert "no items evaluated" in str(found)
    assert list(squares) == [0, 1, 4, 9, 16]


def test_items_of_unknown_size() -> None:
    [estimate] = check(prefetch(smap(lambda _: object(), range(9)), 1)).estimates
    assert estimate.size is None
    assert str(estimate).startswith("items of unknown size; ")


def test_an_item_that_fails() -> None:
    found = check(prefetch(smap(lambda x: 1 / x, range(10)), 1))
    assert [finding.what for finding in found] == [
        "item 0 fails: ZeroDivisionError: division by zero"
    ]
    assert "explain(…, 0)" in found[0].advice
    assert found.estimates[0].items == 2
    found = check(prefetch(smap(lambda x: x / 0, range(10)), 1))
    assert [finding.what for finding in found] == [
        "items 0, 4 and 9 fail: ZeroDivisionError: division by zero"
    ]
    assert found.estimates[0].seconds is None


def test_every_prefetch_is_checked() -> None:
    lock = threading.Lock()
    inner = prefetch(smap(lambda x: (x, lock), range(9)), 1, "process", max_cached=5)
    found = check(prefetch(seqtools.batch(inner, 3), 1, "process", max_cached=7))
    assert [estimate.window for estimate in found.estimates] == [5, 7]
    assert len(found) == 1  # the same for both


# ---------------------------------------------------------------------------- windows and cores


def test_a_window_that_is_smaller_than_the_workers() -> None:
    found = check(prefetch(range(100), 4, max_cached=3))
    [finding] = [f for f in found if "window" in f.what]
    assert finding.what == "a window of 3 items keeps only 3 of 4 workers busy"
    assert finding.advice == "max_cached=8, or nworkers=3"


def test_bytes_that_are_too_few_for_the_workers() -> None:
    large = smap(lambda _: bytes(10**6), range(9))
    [finding] = [f for f in check(prefetch(large, 4, max_bytes=2 * 10**6)) if "max_bytes" in f.what]
    assert finding.what.startswith("items of 1 MB: max_bytes has room for 1 of them, and keeps")
    assert finding.advice.startswith("max_bytes=8400000, ")
    limit = memory.usable_memory() // 10
    assert check(prefetch(large, 1)).estimates[0].window == min(10, limit // 10**6)


@pytest.mark.parametrize(("share", "cores", "found"), [(0.9, 2, 1), (0.7, 2, 0), (0.9, 3, 0)])
def test_more_workers_than_cores_for_items_that_compute(
    share: float, cores: int, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checker, "usable_cores", lambda: cores)
    monkeypatch.setattr(worker_main, "perf_counter", count().__next__)
    monkeypatch.setattr(worker_main, "process_time", count(0, share).__next__)
    told = check(prefetch(smap(abs, range(9)), 3))
    assert told.estimates[0].computing == pytest.approx(share, rel=0.01)
    assert len(told) == found
    for finding in told:
        assert finding.what.startswith("3 workers for 2 usable cores, and items compute 90% ")
        assert finding.advice.startswith("nworkers=2, or None")


# ---------------------------------------------------------------------------- the rest


def test_bad_arguments() -> None:
    with pytest.raises(TypeError, match=r"check\(\) needs a lazy sequence, got list"):
        check([1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="items must be at least 0, got -1"):
        check(smap(abs, [1]), items=-1)
    for timeout in (0, -1, None, True):
        with pytest.raises(ValueError, match="timeout must be a number of seconds, more than 0"):
            check(smap(abs, [1]), timeout=timeout)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "told"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (999_600, "1 MB"), (1.234e10, "12.3 GB")],
)
def test_volumes(size: float, told: str) -> None:
    assert volume(size) == told


def test_what_a_check_says_is_what_happens() -> None:
    code = """
import threading, seqtools
lock = threading.Lock()
ready = seqtools.prefetch(seqtools.smap(lambda x: (x, lock), range(9)), 1, "process")
[found] = seqtools.instrument.check(ready)
assert found.what.startswith("a lock (global lock of <lambda>) cannot be sent to worker processes")
try:
    ready[0]
except Exception as error:
    assert "cannot be sent to worker processes: TypeError: cannot pickle" in str(error)
else:
    raise AssertionError
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
