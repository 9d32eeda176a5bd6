"""What a check finds in pipelines that a cluster evaluates."""

import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

import seqtools
from seqtools.engines.cluster.costs import BlockCost, block_of, cost_of, efficiency
from seqtools.engines.cluster.kinds import DASK, EXECUTOR, RAY, THREADS
from seqtools.instrument import check
from seqtools.instrument.checking import checker
from seqtools.instrument.paying import Use, unpaid

COSTLY = BlockCost("Dask", 0.004, 0.016)
QUICK = BlockCost("the ProcessPoolExecutor", 0.00006, 0.0003, 0.05, is_here=True)


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ProcessPoolExecutor(2) as executor:  # which starts no process unless it is used
        yield executor
        assert not executor._processes


def checked(function: Any, executor: Executor, n: int = 9, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # the tests' own filter would be a finding
        return _checked(function, executor, n, **options)


def _checked(function: Any, executor: Executor, n: int = 9, **options: Any) -> Any:
    return check(seqtools.prefetch(seqtools.smap(function, range(n)), method=executor, **options))


def test_what_cannot_be_sent_to_workers(pool: Executor) -> None:
    lock = threading.Lock()

    class Odd:
        def __reduce__(self) -> Any:
            raise TypeError("it is odd")

    odd = Odd()
    [found] = checked(lambda x: lock and x, pool)
    assert "cannot be sent to worker processes" in found.what
    [found] = checked(lambda x: odd and x, pool)
    assert "it is odd" in found.what
    assert "method='thread'" in found.advice
    assert "start_method" not in found.advice


def test_items_are_evaluated_in_a_process(pool: Executor) -> None:
    found = checked(lambda i: time.sleep(0.01) or 1 // (i - 4), pool)
    assert ["ZeroDivisionError" in each.what for each in found] == [True]


def test_threads_of_an_executor_share_what_functions_use(tmp_path: Any) -> None:
    (tmp_path / "text").write_text("a\n" * 9)
    with ThreadPoolExecutor(2) as threads, open(tmp_path / "text") as file:
        [found] = checked(lambda _: file.readline(), threads)
    assert "used by several threads" in found.what


def test_a_cluster_that_cannot_pay(pool: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "cost_of", lambda *_: COSTLY)
    [found] = checked(abs, pool, max_cached=10)
    assert found.what.startswith("an item takes ")
    assert "costs Dask about 4 ms: 2 workers there do as much as " in found.what
    assert "method='process'" in found.advice
    assert checked(lambda x: time.sleep(0.2) or x, pool, n=2, max_cached=10) == []


def test_an_executor_of_this_machine_costs_little(pool: Executor) -> None:
    assert checked(lambda x: time.sleep(0.002) or x, pool) == []


# What was measured with two workers, and what follows from it; in seconds


@pytest.mark.parametrize(
    ("block", "measured"), [(0.02, 0.47), (0.05, 0.81), (0.1, 0.90), (0.2, 0.94)]
)
def test_the_efficiency_is_near_what_was_measured(block: float, measured: float) -> None:
    assert abs(efficiency(block, 2, COSTLY) - measured) < 0.1


def test_one_reader_has_no_time_for_many_workers() -> None:
    ray = BlockCost("Ray", 0.00033, 0.0013)
    assert efficiency(0.1, 1000, ray) < 0.35
    assert efficiency(0.5, 1000, ray) > 0.95


def test_blocks_are_no_longer_than_the_window_allows() -> None:
    assert block_of(0.002, 2, 64, COSTLY) == 16
    assert block_of(0.002, 2, 4096, COSTLY) == 100
    assert block_of(0.00001, 2, 64, COSTLY) == 32  # which takes no time
    assert block_of(1.0, 2, 64, COSTLY) == 1
    assert block_of(0.01, 100, 4096, COSTLY) == 20


@pytest.mark.parametrize("workers", [1, 2, 8, 64, 1000])
@pytest.mark.parametrize("computing", [0.0, 1.0])
@pytest.mark.parametrize("cost", [COSTLY, QUICK], ids=["dask", "pool"])
def test_expensive_items_pay(workers: int, computing: float, cost: BlockCost) -> None:
    for item in (0.05, 0.2, 1.0, 60.0):
        if item >= 0.2 or workers < 64:
            assert not unpaid(Use(item, 1, workers, computing), 2, cost)


def test_small_items_pay_only_on_more_machines() -> None:
    small = Use(0.002, 16, 2, 1.0)
    assert "a block of 16 of them 32 ms" in unpaid(small, 2, COSTLY)
    assert not unpaid(small._replace(block=12, workers=32), 2, COSTLY)
    assert unpaid(small._replace(block=12, workers=32), 16, COSTLY)
    waiting = small._replace(block=12, workers=32, computing=0.0)
    assert unpaid(waiting, 2, COSTLY)  # as many threads here wait as well


def test_every_kind_has_its_cost() -> None:
    class Own(Executor):
        pass

    assert cost_of("process", None) is None
    assert cost_of(THREADS, None) is None
    kinds = [(DASK, None), (RAY, None), (EXECUTOR, Own()), (EXECUTOR, partial(Own))]
    costs = [cost_of(*kind) for kind in kinds]
    assert [cost.title for cost in costs if cost] == ["Dask", "Ray", "the Own", "the executor"]
