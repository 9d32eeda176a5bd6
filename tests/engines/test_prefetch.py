"""Prefetch behaves as its source does, whatever the engine."""

import gc
import pickle
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from tests.engines.engines import OPTIONS
from tests.engines.fifo import Fifo

MakeFifo = Callable[[], Fifo]

Prefetched = Callable[..., seqtools.Prefetch[Any]]


@pytest.fixture(params=OPTIONS)
def prefetched(request: pytest.FixtureRequest) -> Prefetched:
    return lambda source, **more: seqtools.prefetch(source, **OPTIONS[request.param], **more)


@pytest.fixture(params=[name for name in OPTIONS if name != "inline"])
def ahead(request: pytest.FixtureRequest) -> Prefetched:
    return lambda source, **more: seqtools.prefetch(source, **OPTIONS[request.param], **more)


def squares(n: int) -> seqtools.LazySequence[int]:
    return seqtools.smap(lambda x: x * x, range(n))


def test_it_is_a_list(prefetched: Prefetched) -> None:
    p, expected = prefetched(squares(40)), [x * x for x in range(40)]
    assert list(p) == expected
    assert list(p) == expected
    assert len(p) == 40
    assert [p[i] for i in range(-40, 40)] == [expected[i] for i in range(-40, 40)]
    for key in (slice(2, 5), slice(None, None, -1), slice(30, 5, -3), slice(5, 5), slice(-3, None)):
        assert list(p[key]) == expected[key]
    assert list(reversed(p)) == expected[::-1]
    assert 81 in p
    assert p.index(81) == 9
    assert p.count(81) == 1
    for i in (40, -41):
        with pytest.raises(IndexError, match=f"{i} is out of range"):
            p[i]


def test_the_empty_sequence(prefetched: Prefetched) -> None:
    p = prefetched([])
    assert list(p) == []
    assert len(p) == 0
    with pytest.raises(IndexError):
        p[0]


@pytest.mark.parametrize("max_cached", [1, 2, 7, 1000])
def test_any_window(prefetched: Prefetched, max_cached: int) -> None:
    assert list(prefetched(squares(50), max_cached=max_cached)) == [x * x for x in range(50)]


def test_random_order(prefetched: Prefetched) -> None:
    order = np.random.default_rng(0).permutation(60)
    p = prefetched(squares(60))
    assert [p[i] for i in order] == [int(i) ** 2 for i in order]
    assert list(seqtools.gather(p, order)) == [int(i) ** 2 for i in order]
    assert list(seqtools.gather(p, [3, 3, 3, 0, 3])) == [9, 9, 9, 0, 9]


def test_strides_and_backwards(prefetched: Prefetched) -> None:
    p = prefetched(squares(100))
    for order in (range(0, 100, 7), range(99, -1, -1), range(99, -1, -5), [5] * 4, [0, 50] * 5):
        assert [p[i] for i in order] == [i * i for i in order]


def test_readers_do_not_disturb_each_other(prefetched: Prefetched) -> None:
    p = prefetched(squares(40), max_cached=4)
    expected = [x * x for x in range(40)]
    assert list(zip(p[:20], p[20:], strict=True)) == list(
        zip(expected[:20], expected[20:], strict=True)
    )
    for i, value in enumerate(p):
        assert value == expected[i]
        assert p[0] == 0
    first, second = iter(p), iter(p)
    assert [next(first), next(first), next(second), next(first)] == [0, 1, 0, 4]
    assert list(seqtools.smap(lambda x, y: (x, y), p, p)) == [(x, x) for x in expected]


def test_stages_behind_it(prefetched: Prefetched) -> None:
    p = prefetched(squares(20))
    assert list(seqtools.batch(p, 6)) == [
        [x * x for x in range(20)][i : i + 6] for i in (0, 6, 12, 18)
    ]
    assert next(iter(seqtools.concatenate([p[10:], p[:10]]))) == 100
    cached = seqtools.add_cache(p, 20)
    assert list(cached) == list(cached) == [x * x for x in range(20)]


def test_one_read_by_many_threads(prefetched: Prefetched) -> None:
    p = prefetched(squares(200), max_cached=8)
    start = threading.Barrier(8)
    results: list[list[int]] = [[] for _ in range(8)]

    def read(k: int) -> None:
        start.wait()
        results[k] = list(p) if k % 2 else [p[i] for i in range(k, 200, 8)]

    threads = [threading.Thread(target=read, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(8):
        assert results[k] == [i * i for i in (range(200) if k % 2 else range(k, 200, 8))]


def test_a_slice_evaluates_nothing_beyond_it(prefetched: Prefetched, tmp_path: Path) -> None:
    def touch(i: int) -> int:
        (tmp_path / str(i)).touch()
        return i

    p = prefetched(seqtools.smap(touch, range(100)), max_cached=50)
    assert list(p[2:9]) == list(range(2, 9))
    p.close()
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == list(range(2, 9))
    assert list(seqtools.batch(p, 5)[4:6]) == [[*range(20, 25)], [*range(25, 30)]]
    p.close()
    assert max(int(path.name) for path in tmp_path.iterdir()) == 29


def test_nothing_is_evaluated_past_the_end(prefetched: Prefetched) -> None:
    def get(x: int) -> int:
        assert x < 5
        return x

    p = prefetched(seqtools.smap(get, range(5)), max_cached=50)
    assert list(p) == list(range(5))
    assert p[-1] == 4


def test_the_whole_window_becomes_ready_while_the_reader_is_away(
    ahead: Prefetched, fifo: MakeFifo
) -> None:
    done = fifo()

    def get(x: int) -> int:
        done.send()
        return x

    p = ahead(seqtools.smap(get, range(100)), max_cached=40)
    items = iter(p)
    assert next(items) == 0
    done.wait(41)  # the first, and 40 behind it
    assert list(items) == list(range(1, 100))


@pytest.mark.parametrize("max_cached", [5, 32])
def test_no_more_than_the_window_is_evaluated(
    ahead: Prefetched, tmp_path: Path, max_cached: int
) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()

    def get(x: int) -> int:
        (begun / str(x)).touch()
        return x

    p = ahead(seqtools.smap(get, range(100)), max_cached=max_cached)
    last = -1
    for i, value in enumerate(p):
        assert value == i
        if i > last:  # looking takes long: between that, the reader is quick
            last = max(int(path.name) for path in begun.iterdir())
        assert last <= i + max_cached


def test_large_items_are_fewer_ahead(ahead: Prefetched, tmp_path: Path) -> None:
    def get(x: int) -> np.ndarray[Any, Any]:
        (tmp_path / str(x)).touch()
        return np.full(100_000, x, np.uint8)

    p = ahead(seqtools.smap(get, range(60)), max_cached=50, max_bytes=400_500)
    for i, value in enumerate(p):
        assert value[-1] == i
        # at first, before the size of any is known, it is 10
        assert max(int(path.name) for path in tmp_path.iterdir()) <= max(10, i + 5)


def test_a_quick_reader_gets_every_item_in_order(prefetched: Prefetched) -> None:
    p, n = prefetched(squares(5000), max_cached=200), 5000
    assert list(p) == [x * x for x in range(n)]
    assert list(reversed(p)) == [x * x for x in reversed(range(n))]
    assert list(p[1::2]) == [x * x for x in range(1, n, 2)]
    assert list(seqtools.batch(p, 50)[::-1])[7][3] == (n - 8 * 50 + 3) ** 2
    items = iter(p)
    assert [next(items) for _ in range(1500)] == [x * x for x in range(1500)]
    p.refresh()
    assert list(items) == [x * x for x in range(1500, n)]


def test_errors_among_items_that_a_quick_reader_gets(prefetched: Prefetched) -> None:
    def get(x: int) -> int:
        if x % 100 == 99:
            raise ValueError(x)
        return x

    items, seen, failed = iter(prefetched(seqtools.smap(get, range(2000)), max_cached=100)), [], []
    while True:
        try:
            seen.extend(items)
        except seqtools.EvaluationError as error:
            failed.append((error.index, len(seen)))
        else:
            break
    assert failed == [(i, i - i // 100) for i in range(99, 2000, 100)]
    assert seen == [x for x in range(2000) if x % 100 != 99]


def test_refresh_while_another_thread_reads(prefetched: Prefetched) -> None:
    p, n = prefetched(squares(3000), max_cached=100), 3000
    items, seen, begun = iter(p), [], threading.Event()

    def read() -> None:
        for value in items:
            seen.append(value)
            begun.set()

    thread = threading.Thread(target=read)
    thread.start()
    begun.wait()
    for _ in range(5):
        p.refresh()
    thread.join()
    assert seen == [x * x for x in range(n)]


@pytest.mark.parametrize("ordered", [True, False])
def test_no_interrupt_loses_or_repeats_an_item(*, ordered: bool) -> None:
    source = seqtools.smap(abs, range(60))
    cleaning = {"_discard", "reset", "leave", "__del__"}  # one interrupt at a time
    measuring = sys.gettrace()  # coverage, which is to go on after this
    for after in range(0, 120, 5):
        calls = stops = 0

        def trace(frame: Any, event: str, _: Any, after: int = after) -> None:
            # Python looks for signals where functions, and generators, go in or on
            nonlocal calls, stops
            if "prefetching" not in frame.f_code.co_filename:
                return
            if cleaning.isdisjoint(f.f_code.co_name for f, _ in traceback.walk_stack(frame)):
                assert event == "call"
                calls += 1
                if calls > after and stops < 4:
                    calls, stops = 0, stops + 1
                    raise KeyboardInterrupt

        items, more = iter(seqtools.prefetch(source, 2, max_cached=16, ordered=ordered)), True
        seen: list[int] = []
        while more:
            sys.settrace(trace)
            try:
                seen.extend(items)  # keeps what it got before it was interrupted
                more = False
            except KeyboardInterrupt:
                pass
            finally:
                sys.settrace(measuring)
        assert stops
        assert (seen if ordered else sorted(seen)) == list(range(60))


def test_a_short_jump_keeps_what_both_windows_have(
    ahead: Prefetched, tmp_path: Path, fifo: MakeFifo
) -> None:
    done = fifo()
    log = tmp_path / "log"

    def get(x: int) -> int:
        with log.open("a") as file:
            file.write(f"{x} ")
        done.send()
        return x

    p = ahead(seqtools.smap(get, range(100)), max_cached=10)
    assert p[0] == 0
    done.wait(11)
    assert p[5] == 5
    done.wait(5)
    assert p[3] == 3
    p.close()
    read = [int(x) for x in log.read_text().split()]
    assert [read.count(x) for x in range(6, 10)] == [1] * 4, read


def test_errors_tell_the_same_path_and_reading_goes_on(prefetched: Prefetched) -> None:
    def inverse(x: int) -> float:
        return 1 / x

    def pipeline() -> seqtools.LazySequence[Any]:
        return seqtools.batch(seqtools.smap(inverse, range(-5, 5)), 3)

    source = pipeline()
    with pytest.raises(seqtools.EvaluationError) as inline:
        source[1]
    items = iter(prefetched(source))
    assert next(items) == [-1 / 5, -1 / 4, -1 / 3]
    with pytest.raises(seqtools.EvaluationError) as caught:
        next(items)
    assert [*items] == [[1.0, 1 / 2, 1 / 3], [1 / 4]]
    error = caught.value
    assert error.index == 1
    assert error.stage == "smap(inverse)"
    assert [step.stage for step in error.path] == ["prefetch", "batch", "smap(inverse)"][
        -len(error.path) :
    ]
    assert error.path[-2:] == inline.value.path
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert __file__ in str(error)


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration, IndexError, KeyError])
def test_no_error_of_user_code_ends_iteration(
    prefetched: Prefetched, error: type[Exception]
) -> None:
    def get(x: int) -> int:
        if x == 2:
            raise error("mine")
        return x

    items = iter(prefetched(seqtools.smap(get, range(4))))
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(seqtools.EvaluationError) as caught:
        next(items)
    assert type(caught.value.__cause__) is error
    assert [*items] == [3]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_is_no_exception_is_raised_as_it_is(
    prefetched: Prefetched, error: type[BaseException]
) -> None:
    def get(x: int) -> int:
        if x == 1:
            raise error(7)
        return x

    p = prefetched(seqtools.smap(get, range(3)))
    with pytest.raises(error):
        p[1]
    assert p[2] == 2
    items = iter(p)
    assert next(items) == 0
    for _ in range(2):  # for all we know it was an interrupt: nothing may be skipped
        with pytest.raises(error):
            next(items)


def test_passthrough(prefetched: Prefetched) -> None:
    def get(x: int) -> int:
        raise LookupError(x)

    before = seqtools.seterr("passthrough")
    try:
        with pytest.raises(LookupError):
            prefetched(seqtools.smap(get, range(3)))[1]
        with pytest.raises(LookupError):
            next(iter(prefetched(seqtools.smap(get, range(3)))))
    finally:
        seqtools.seterr(before)


def test_assignment_names_the_source(prefetched: Prefetched) -> None:
    source = [1, 2, 3]
    p = prefetched(seqtools.add_cache(source))
    with pytest.raises(TypeError, match="of its source add_cache, then call refresh"):
        p[0] = 5
    assert list(p) == [1, 2, 3]
    source[0] = 5
    p.refresh()
    assert list(p) == [5, 2, 3]
    source.append(6)
    p.refresh()
    assert list(p) == [5, 2, 3, 6]


def test_close_and_read_again(prefetched: Prefetched) -> None:
    with prefetched(squares(20)) as p:
        items = iter(p)
        assert [next(items), next(items)] == [0, 1]
    assert next(items) == 4
    p.close()
    p.close()
    assert list(items) == [x * x for x in range(3, 20)]


@pytest.mark.parametrize("after", range(6))
def test_a_break_leaves_nothing(prefetched: Prefetched, after: int) -> None:
    for i, value in enumerate(prefetched(squares(5), max_cached=3)):
        assert value == i * i
        if i == after:
            break


def test_del_leaves_nothing(ahead: Prefetched) -> None:
    p = ahead(squares(100))
    items = iter(p)
    assert next(items) == 0
    del p
    assert next(items) == 1
    del items
    gc.collect()


def test_endless_and_unknown_length(prefetched: Prefetched) -> None:
    p = prefetched(seqtools.cycle(squares(3)))
    assert [x for x, _ in zip(p, range(7), strict=False)] == [0, 1, 4, 0, 1, 4, 0]
    assert list(p[4:8]) == [1, 4, 0, 1]
    with pytest.raises(TypeError, match="no length"):
        len(p)

    class Ten:
        def __iter__(self) -> Any:
            return iter(range(10))

    unknown = prefetched(seqtools.smap(lambda x: -x, seqtools.uniter(Ten())))
    assert list(unknown) == [-x for x in range(10)]
    assert unknown[9] == -9
    with pytest.raises(IndexError):
        unknown[10]
    assert list(seqtools.batch(unknown, 4)) == [[0, -1, -2, -3], [-4, -5, -6, -7], [-8, -9]]


@pytest.mark.parametrize("inner", OPTIONS)
def test_prefetch_in_prefetch(prefetched: Prefetched, inner: str) -> None:
    first = seqtools.prefetch(squares(30), **OPTIONS[inner])
    p = prefetched(seqtools.smap(lambda x: x + 1, first))
    assert list(p) == [x * x + 1 for x in range(30)]
    assert p[7] == 50


def test_pickled_it_starts_anew(prefetched: Prefetched) -> None:
    p = prefetched(seqtools.smap(abs, [-1, -2]))
    assert list(p) == [1, 2]
    copy = pickle.loads(pickle.dumps(p))
    assert list(copy) == [1, 2]
    assert repr(copy) == repr(p)


def test_user_code_that_reads_its_own_prefetch(prefetched: Prefetched) -> None:
    def fibonacci(i: int) -> int:
        return i if i < 2 else p[i - 1] + p[i - 2]  # type: ignore[no-any-return]

    p = prefetched(seqtools.smap(fibonacci, range(10)))
    assert list(p) == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]
    p.close()  # its workers hold the function, which holds it


def test_unordered_iteration_gives_each_item_once(prefetched: Prefetched) -> None:
    p = prefetched(squares(300), ordered=False)
    expected = [x * x for x in range(300)]
    assert sorted(p) == expected
    assert sorted([*reversed(p)]) == expected
    assert sorted(p[50:80]) == expected[50:80]
    assert sorted(p[50:80][::-2]) == sorted(expected[50:80][::-2])
    assert list(p[5:5]) == []
    # by index it is as ever, and so are stages behind it
    assert [p[7], p[-1], p[10:20][3]] == [49, 299 * 299, 169]
    assert list(seqtools.smap(lambda x: x, p)) == expected
    assert p.index(2500) == 50
    assert 2500 in p
    assert sorted(x for pair in zip(p, p[:], strict=True) for x in pair) == sorted(expected * 2)
    assert list(prefetched([], ordered=False)) == []


def test_a_slow_item_holds_up_no_other(ahead: Prefetched, fifo: MakeFifo) -> None:
    gate = fifo()

    def get(x: int) -> int:
        if x == 3:
            gate.wait()
        return x

    items = iter(ahead(seqtools.smap(get, range(60)), ordered=False))
    seen = [next(items) for _ in range(50)]  # the last few may be queued behind it
    assert 3 not in seen
    gate.send()
    assert sorted([*seen, *items]) == list(range(60))


def test_errors_come_as_they_come(prefetched: Prefetched) -> None:
    def get(x: int) -> float:
        return 1 / (x % 10)

    items, seen, failed = iter(prefetched(seqtools.smap(get, range(50)), ordered=False)), [], []
    while True:
        try:
            seen.extend(items)
        except seqtools.EvaluationError as error:
            failed.append(error.index)
        else:
            break
    assert sorted(failed) == list(range(0, 50, 10))
    assert sorted(seen) == sorted(1 / (x % 10) for x in range(50) if x % 10)


def test_unordered_up_to_an_end_that_was_not_known(prefetched: Prefetched) -> None:
    class Ten:
        def __iter__(self) -> Any:
            return iter(range(10))

    p = prefetched(seqtools.smap(lambda x: -x, seqtools.uniter(Ten())), ordered=False)
    assert sorted(p) == [-x for x in range(9, -1, -1)]
    assert sorted(p[4:]) == [-x for x in range(9, 3, -1)]


def test_values_are_let_go(ahead: Prefetched) -> None:
    import weakref

    p = ahead(seqtools.smap(lambda i: np.full(10, i), range(20)))
    kept = []
    for array in p:
        kept.append(weakref.ref(array))
        del array
    gc.collect()
    assert [ref() for ref in kept] == [None] * 20
