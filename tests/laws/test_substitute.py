"""The next good item in place of one that fails."""

import gc
import os
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import EvaluationError, add_cache, batch, prefetch, shard, shuffle, smap, substitute
from seqtools._core import failed_items
from seqtools.testing import Probe

BAD = {3, 4, 20, 39}


def load(x: int) -> int:
    if x in BAD:
        message = f"{x} is bad"
        raise ValueError(message)
    return x


def first_good(n: int = 40) -> list[int]:
    return [next(j % n for j in range(i, 3 * n) if j % n not in BAD) for i in range(n)]


def odd_fails(x: int) -> int:
    return 1 // (1 - x % 2) * x


def dies(x: int) -> int:
    if x in BAD:
        os.abort()
    return x


def hangs(x: int) -> int:
    if x in {3, 20}:
        threading.Event().wait()
    return x


def processes() -> Executor:
    return ProcessPoolExecutor(2, mp_context=get_context("spawn"))


def threads() -> Executor:
    return ThreadPoolExecutor(2)


ENGINES: list[tuple[Any, int]] = [
    ("thread", 0), ("thread", 2), ("process", 2), (processes, 2), (threads, 2),
]  # fmt: skip


@pytest.fixture(params=ENGINES, ids=["inline", "thread", "process", "processes", "threads"])
def engine(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    method, nworkers = request.param
    return lambda sequence: prefetch(sequence, nworkers, method)


class TestItems:
    def test_first_good_one_cyclically(self) -> None:
        items = substitute(smap(load, range(40)))
        assert list(items) == first_good()
        assert [items[i] for i in range(40)] == first_good()
        assert list(items[::-3]) == first_good()[::-3]

    def test_in_workers(self, engine: Callable[[Any], Any]) -> None:
        items = substitute(smap(load, range(40)))
        with engine(batch(items, 4)) as ready:
            assert [*chain.from_iterable(ready)] == first_good()
        assert items.failures.indices == sorted(BAD)
        assert [str(each.error) for each in items.failures] == [f"{i} is bad" for i in sorted(BAD)]
        for each in items.failures:
            (step,) = each.path
            assert (step.stage, step.index, step.called_with) == (
                "smap(load)", each.index, str(each.index),
            )  # fmt: skip

    def test_after_workers(self, engine: Callable[[Any], Any]) -> None:
        with engine(smap(load, range(40))) as ready:
            items = substitute(ready)
            assert list(items) == first_good()
            assert [items[i] for i in range(40)] == first_good()
            assert [*chain.from_iterable(batch(items, 7))] == first_good()
        assert items.failures.indices == sorted(BAD)

    def test_order_and_ranks_stay(self) -> None:
        order = list(shuffle(range(40), 5))
        expected = [first_good()[j] for j in order]
        items = shuffle(substitute(smap(load, range(40))), 5)
        assert list(items) == expected
        assert [list(shard(items, rank, 2)) for rank in range(2)] == [expected[::2], expected[1::2]]

    def test_banned_items_are_never_read(self) -> None:
        source = Probe(range(6))
        items = substitute(source, [-1, 1, 2, 2])
        assert list(items) == [0, 3, 3, 3, 4, 0]
        assert list(batch(items, 6)) == [[0, 3, 3, 3, 4, 0]]
        assert not {1, 2, 5} & set(source.reads)

    def test_banned_and_bad(self) -> None:
        items = substitute(smap(load, range(40)), np.array([5, 38, 0]))
        assert (items[3], items[38], items[39], items[0]) == (6, 1, 1, 1)

    def test_endless(self) -> None:
        items = substitute(smap(load, Probe(lambda i: i)))
        assert list(items[:6]) == [0, 1, 2, 5, 5, 5]

    def test_assigning(self) -> None:
        values = list(range(5))
        items = substitute(values, [1])
        items[1] = 20
        assert values == [0, 1, 20, 3, 4]

    def test_random_numbers_are_those_without_it(self) -> None:
        def draw(x: int, rng: Any) -> float:
            return x + float(rng.random())

        assert list(smap(draw, substitute(range(6)), rng=7)) == list(smap(draw, range(6), rng=7))

    def test_state_goes_on_after_it_was_added(self) -> None:
        iterator = iter(smap(load, range(40)))
        assert [next(iterator) for _ in range(3)] == [0, 1, 2]
        repaired = iter(substitute(smap(load, range(40))))
        repaired.load_state_dict(iterator.state_dict())
        assert list(repaired) == first_good()[3:]

    def test_refresh(self) -> None:
        values = list(range(4))
        with prefetch(values, 0) as ready:
            items = substitute(ready, [3])
            assert list(items) == [0, 1, 2, 0]
            values.append(4)
            ready.refresh()
            assert list(items) == [0, 1, 2, 4, 4]

    @pytest.mark.parametrize("after", [False, True])
    def test_a_cache_keeps_no_error(self, after: bool) -> None:
        broken, calls = {1}, []

        def read(x: int) -> int:
            calls.append(x)
            if x in broken:
                raise OSError
            return x

        source = smap(read, range(4))
        items: Any = substitute(add_cache(source, 4)) if after else substitute(source)
        assert list(items) == [0, 2, 2, 3]
        broken.clear()
        assert list(items) == [0, 1, 2, 3]
        assert calls.count(1) == 2


class TestWorkersThatDie:
    def test_deaths_are_replaced(self) -> None:
        with prefetch(smap(dies, range(40)), 2, "process") as ready:
            items = substitute(ready)
            assert list(items) == first_good()
        kinds = {type(each.error) for each in items.failures}
        assert (items.failures.indices, kinds) == (sorted(BAD), {seqtools.WorkerDied})
        assert items.failures[0].path[-1].stage == "smap(dies)"

    def test_timeouts_are_replaced(self) -> None:
        with prefetch(smap(hangs, range(24)), 2, "process", timeout=0.5) as ready:
            items = substitute(ready, on=seqtools.ItemTimeout)
            assert list(items) == [i + 1 if i in {3, 20} else i for i in range(24)]
        assert items.failures.indices == [3, 20]


class TestTooMany:
    def test_more_than_ten(self) -> None:
        items = substitute(smap(odd_fails, range(200)))
        assert [items[i] for i in range(20)] == [i + i % 2 for i in range(20)]
        with pytest.raises(EvaluationError, match="11 have failed") as caught:
            items[21]
        error = caught.value.__cause__
        assert isinstance(error, seqtools.TooManyBadItems)
        assert isinstance(error.__cause__, ZeroDivisionError)
        assert "11 items failed: 11 ZeroDivisionError" in str(error)
        assert (caught.value.path[-1].stage, caught.value.index) == ("substitute", 21)

    def test_items_count_once(self) -> None:
        items = substitute(smap(odd_fails, range(20)))
        for _ in range(5):
            assert list(items)[:3] == [0, 2, 2]
        assert len(items.failures) == 10

    def test_part_of_those_delivered(self) -> None:
        def some_fail(x: int) -> int:
            return 1 // min(x % 10, 1) * x

        items = substitute(smap(some_fail, range(1, 1000)), most=0.2)
        assert len(list(items)) == 999
        for _ in range(20):  # the same items again are no others
            items_of_few = substitute(smap(some_fail, range(1, 1000)), most=0.01)
            list(items_of_few[:9])
        with pytest.raises(EvaluationError, match="11 have failed"):
            list(items_of_few)

    def test_reading_an_item_again_does_not_count(self) -> None:
        items = substitute(smap(odd_fails, range(2000)))
        for _ in range(3000):
            items[0]
        with pytest.raises(EvaluationError, match="the 11 different items"):
            list(items)

    def test_ten_in_a_row(self) -> None:
        source = Probe(range(40), errors={i: OSError(str(i)) for i in range(5, 15)})
        items = substitute(source, most=1)
        assert items[6] == 15
        with pytest.raises(EvaluationError, match="10 items in a row that fail, from item 5 on"):
            items[5]

    def test_none_left(self) -> None:
        source = Probe(range(4), errors={i: OSError(str(i)) for i in range(1, 4)})
        items = substitute(source, [0])
        with pytest.raises(EvaluationError, match="no good item: all 3 that are not banned fail"):
            items[1]

    def test_in_a_worker(self) -> None:
        items = substitute(smap(odd_fails, range(200)))
        with prefetch(items, 1, "process") as ready, pytest.raises(EvaluationError) as caught:
            list(ready)
        assert isinstance(caught.value.__cause__, seqtools.TooManyBadItems)

    def test_another_one_does_not_replace_it(self) -> None:
        items = substitute(substitute(smap(odd_fails, range(200))))
        with pytest.raises(EvaluationError, match="11 have failed"):
            list(items)

    def test_other_errors(self) -> None:
        items = substitute(smap(load, range(40)), on=(OSError, KeyError))
        with pytest.raises(EvaluationError, match="3 is bad"):
            list(items)
        assert items.failures == []


class TestFailures:
    def test_are_those_of_all_copies(self) -> None:
        items = substitute(smap(load, range(40)))
        copy = pickle.loads(pickle.dumps(items))
        rebuilt = items._rebuild(smap(load, range(40)))
        assert (copy[3], rebuilt[20]) == (5, 21)
        assert items.failures.indices == [3, 4, 20]

    def test_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(failed_items, "MOST", 3)
        items = substitute(smap(odd_fails, range(20)))
        assert len(list(items)) == 20
        assert items.failures.indices == [1, 3, 5]

    def test_keep_no_variables(self) -> None:
        class Large:
            pass

        kept: list[weakref.ref[Large]] = []

        def read(x: int) -> int:
            large = Large()
            kept.append(weakref.ref(large))
            try:
                return load(x)
            except ValueError as error:
                raise OSError from error

        items = substitute(smap(read, range(40)))
        assert items[3] == 5
        gc.collect()
        assert [ref() for ref in kept] == [None] * 3
        assert isinstance(items.failures[0].error.__cause__, ValueError)

    def test_a_worker_tells_before_its_item_arrives(self) -> None:
        items = substitute(smap(load, range(40)))
        with prefetch(items, 1, "process") as ready:
            reading: Iterator[int] = iter(ready)
            for _ in range(4):
                next(reading)
            assert {3, 4} <= set(items.failures.indices)

    def test_errors_that_cannot_be_pickled(self) -> None:
        def read(x: int) -> int:
            if x == 3:
                raise ValueError(threading.Lock())
            return x

        items = substitute(smap(read, range(8)))
        with prefetch(items, 1, "process") as ready:
            assert list(ready)[3] == 4
        (failed,) = items.failures
        assert type(failed.error) is ValueError
        assert "unlocked _thread.lock" in str(failed.error)

    def test_a_stage_that_is_gone(self) -> None:
        items = substitute(smap(load, range(40)))
        mark = items._state.log.mark
        error = failed_items.FailedItem(1, OSError(), ())
        failed_items.arrived(error, mark)
        assert items.failures == [error]
        del items
        gc.collect()
        failed_items.arrived(error, mark)
        assert failed_items._logs.get(mark) is None

    def test_two_stages(self) -> None:
        one = substitute(smap(load, range(40)))
        other = substitute(smap(odd_fails, range(8)))
        with prefetch(seqtools.concatenate(one, other), 2, "process") as ready:
            assert list(ready) == [*first_good(), 0, 2, 2, 4, 4, 6, 6, 0]
        assert (one.failures.indices, other.failures.indices) == (sorted(BAD), [1, 3, 5, 7])

    def test_workers_of_workers(self) -> None:
        items = substitute(smap(load, range(40)))
        inner = prefetch(items, 1, "process")
        with prefetch(smap(abs, inner), 1, "process") as ready:
            assert list(ready) == first_good()
        assert items.failures.indices == sorted(BAD)
        inner.close()

    def test_repr(self) -> None:
        items = substitute(smap(load, range(40)), [7], on=(ValueError, KeyError), most=0.5)
        call = "substitute([7], on=(ValueError, KeyError), most=0.5) "
        assert repr(items).startswith(call)
        list(items)
        assert "4 items failed" in repr(items).splitlines()[0]
        assert repr(items.failures).splitlines() == [
            "4 items failed: 4 ValueError",
            *[f"  item {i} ({i}): ValueError: {i} is bad" for i in sorted(BAD)],
        ]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"indices": [5]}, IndexError, "5"),
        ({"indices": [0.5]}, TypeError, "integers"),
        ({"indices": 5}, TypeError, "indices"),
        ({"indices": range(5)}, ValueError, "no item left: all 5 are banned"),
        ({"most": 2}, ValueError, "most must be from 0 to 1, got 2"),
        ({"most": "all"}, TypeError, "most must be a number"),
        ({"most": np.bool_(1)}, TypeError, "most must be a number"),
        ({"on": "all"}, TypeError, "on must be a class"),
        ({"indices": np.array([True] * 5)}, TypeError, "got a mask: use numpy.flatnonzero"),
        ({"indices": [True] * 5}, TypeError, "got a mask: use numpy.flatnonzero"),
    ],
    ids=map(str, range(10)),
)
def test_arguments(arguments: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        substitute(range(5), **arguments)


def test_most_may_be_a_number_of_numpy() -> None:
    assert "most=0.5" in repr(substitute(range(5), most=np.float32(0.5)))  # type: ignore[arg-type]


def test_unknown_length() -> None:
    with pytest.raises(ValueError, match="substitute\\(\\) needs to know where"):
        substitute(seqtools.uniter(iter("abc")))


def test_files(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.txt" for i in range(4)]
    for i in (0, 1, 3):
        files[i].write_text(str(i))
    items = substitute(smap(Path.read_text, files))
    assert list(items) == ["0", "1", "3", "3"]
    assert "2.txt" in items.failures[0].path[-1].called_with


def test_what_is_read_ahead_is_kept_when_an_item_is_replaced() -> None:
    """The item that replaces one may be expected later: those before it must not be given up."""
    calls: list[int] = []

    def count(x: int) -> int:
        calls.append(x)
        return load(x)

    with prefetch(smap(count, range(40)), 2, "thread", max_cached=40) as ready:
        order = list(shuffle(range(40), 7))
        assert list(shuffle(substitute(ready), 7)) == [first_good()[i] for i in order]
    again = {next(j % 40 for j in range(i, 80) if j % 40 not in BAD) for i in BAD} | {4}
    assert set(calls) == set(range(40))
    assert {x for x in calls if calls.count(x) > 1} <= again


def test_an_iterator_that_is_past_an_item_is_no_bad_item() -> None:
    numbers = substitute(smap(load, seqtools.uniter(iter(range(20)), size=20)))
    iterator = iter(numbers)
    assert [next(iterator) for _ in range(3)] == [0, 1, 2]
    assert next(iterator) == 5  # in place of 3, for which 4 and 5 were taken from the iterator
    with pytest.raises(EvaluationError, match="past item 4 and cannot start again"):
        next(iterator)
    assert numbers.failures.indices == [3, 4]
    assert list(substitute(smap(load, seqtools.uniter(range(20), size=20)))) == first_good(20)


def test_a_generator_that_failed_fails_for_all_items() -> None:
    def numbers() -> Iterator[int]:
        yield 0
        raise OSError

    recovered = seqtools.recover(seqtools.uniter(numbers(), size=9), default=-1)
    assert recovered[0] == 0
    assert recovered[1] == -1
    with pytest.raises(EvaluationError, match="failed at item 1 and cannot start again"):
        recovered[2]


def test_origins_follow_what_is_known_of_failures() -> None:
    def name(p: Any, i: int) -> list[str]:
        found = seqtools.origins(p, i)
        assert not any(origin.certain for origin in found)
        return [origin.name for origin in found if origin.index is not None]

    numbers = smap(int, ["0", "one", "2", "three"])
    good = substitute(numbers, [2])
    assert [name(good, i) for i in range(4)] == [["0"], ["one"], ["three"], ["three"]]
    assert good[1] == 0
    assert [name(good, i) for i in range(4)] == [["0"], ["0"], ["0"], ["0"]]


class Shade:
    """An object whose `repr` tells nothing."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def shade(name: str) -> Shade:
    if name == "b.png":
        raise OSError(name)
    return Shade(name)


def dark(found: Shade) -> Shade:
    if found.name == "c.png":
        message = "too dark"
        raise ValueError(message)
    return found


@pytest.mark.parametrize("nworkers", [0, 2])
def test_errors_name_what_was_read_instead(nworkers: int) -> None:
    files = ["a.png", "b.png", "c.png", "d.png"]
    p = smap(dark, substitute(smap(shade, files)))
    with (
        prefetch(p, nworkers, "process") as ready,
        pytest.raises(EvaluationError, match=r"made from perhaps 'c.png'$"),
    ):
        ready[1]


class Ends(SystemExit):
    """It cannot be sent from a worker."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


def test_what_ends_the_program_is_not_caught_if_it_cannot_be_sent() -> None:
    def end(x: int) -> int:
        if x == 1:
            raise Ends
        return x

    with (
        prefetch(smap(end, range(3)), 1, "process") as ready,
        pytest.raises(EvaluationError, match="Ends"),
    ):
        list(seqtools.recover(ready, default=-1, on=BaseException))
