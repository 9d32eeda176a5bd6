"""Sequences that change or lie, and prefetches that are read in unusual ways, by every engine."""

import copy
import gc
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import EvaluationError, smap
from tests.children import WAYS, forked
from tests.engines.engines import OPTIONS
from tests.threads import LONG, elsewhere, together

Prefetched = Callable[..., seqtools.Prefetch[Any]]


@pytest.fixture(params=OPTIONS)
def prefetched(request: pytest.FixtureRequest) -> Prefetched:
    return lambda source, **more: seqtools.prefetch(source, **OPTIONS[request.param], **more)


@pytest.fixture(params=["inline", "thread", "process"])
def few(request: pytest.FixtureRequest) -> Prefetched:
    """Return how to make a prefetch where the ways to start a process are all the same."""
    return lambda source, **more: seqtools.prefetch(source, **OPTIONS[request.param], **more)


class Source:
    """Says that it has `size` items, has `there` of them, and says something else if told to."""

    def __init__(self, size: Any, there: int) -> None:
        self.size, self.there = size, there

    def __len__(self) -> int:
        if isinstance(self.size, Exception):
            raise self.size
        return self.size  # type: ignore[no-any-return]

    def __getitem__(self, i: int) -> int:
        if i >= self.there:
            raise IndexError(i)
        return i


def outcomes(items: Any, n: int) -> list[Any]:
    """Return the next `n` items, the cause of its error in the place of one that failed."""
    found: list[Any] = []
    while len(found) < n:
        try:
            found.append(next(items))
        except EvaluationError as error:
            found.append(error.__cause__)
    return found


# Indices


class Index:
    def __index__(self) -> int:
        return 1


def test_every_kind_of_index(prefetched: Prefetched) -> None:
    p, items = prefetched(smap(abs, range(20)), max_cached=4), range(20)
    for key in (1, True, np.int8(1), np.uint64(1), np.array(1), Index()):
        assert p[key] == 1  # type: ignore[index]
    for key in (1.0, "1", None, (1,), np.float64(1), slice("a")):
        with pytest.raises(TypeError, match="indices must be integers"):
            p[key]
    for key in (20, -21, 1 << 70, -1 << 70, np.int64(20)):
        with pytest.raises(IndexError, match="out of range"):
            p[key]
    some = [None, Index(), np.int16(7), -(10**30), 10**30, 3, -2]
    for start in some:
        for stop in some:
            for step in (None, -3):
                key = slice(start, stop, step)
                assert list(p[key]) == list(items[key])  # type: ignore[misc]
    assert list(p[2:][::-1][3:9][1::2]) == list(items[2:][::-1][3:9][1::2])
    with pytest.raises(ValueError, match="step cannot be zero"):
        p[::0]


# Lengths


def test_a_source_with_more_items_than_it_says(few: Prefetched) -> None:
    p = few(Source(10, 10**6))
    assert list(p) == list(range(10))
    with pytest.raises(IndexError):
        p[10]


def test_a_source_with_fewer_items_than_it_says(few: Prefetched) -> None:
    p = few(Source(10, 7))
    items = iter(p)
    found = outcomes(items, 10)
    assert next(items, "end") == "end"
    assert found[:7] == list(range(7))
    assert [(type(e), e.args) for e in found[7:]] == [(IndexError, (i,)) for i in (7, 8, 9)]
    with pytest.raises(EvaluationError):
        p[-1]


def test_a_source_that_grows_and_shrinks_while_it_is_read(few: Prefetched) -> None:
    source = list(range(300))
    p = few(source, max_cached=4)
    items = iter(p)
    assert next(items) == 0
    source.extend(range(300, 310))
    assert (len(p), p[-1]) == (300, 299)
    del source[200:]
    found = outcomes(items, 299)
    assert found[:150] == list(range(1, 151))
    lost = [x for x in found if isinstance(x, IndexError)]
    # in other processes it is a copy, as it was when the workers started
    assert len(lost) == (100 if p._options.method == "thread" else 0)
    assert next(items, "end") == "end"
    p.refresh()
    assert list(p) == list(range(200))
    assert list(items) == []


@pytest.mark.parametrize(
    ("size", "error"),
    [(OSError("gone"), OSError), (-1, ValueError), ("ten", TypeError), (1 << 70, ValueError)],
    ids=["an error", "negative", "no number", "too large"],
)
def test_a_length_that_is_none_is_told_at_once(size: Any, error: type[Exception]) -> None:
    for options in OPTIONS.values():
        with pytest.raises(error):
            len(seqtools.prefetch(Source(size, 5), **options))


def test_a_length_that_fails_later(few: Prefetched) -> None:
    source = Source(10, 10)
    p = few(source)
    assert list(p) == list(range(10))
    source.size = OSError("gone")
    assert list(p) == list(range(10))  # it was asked for once
    p.refresh()
    for act in (lambda: list(p), lambda: p[3], lambda: len(p)):
        with pytest.raises(OSError, match="gone"):
            act()
    source.size = 4
    assert list(p) == list(range(4))


# Many readers


def test_eight_threads_read_items_slices_and_all_of_it(prefetched: Prefetched) -> None:
    p, n = prefetched(smap(lambda x: x * x, range(120)), max_cached=8), 120
    squares = [x * x for x in range(n)]
    reads: list[Callable[[], list[int]]] = [
        lambda: list(p),
        lambda: list(reversed(p))[::-1],
        lambda: [p[i] for i in range(n)],
        lambda: [p[i - n] for i in range(n)],
        lambda: [*p[:40], *p[40:41], *p[41:]],
        lambda: [x for pair in zip(p[::2], p[1::2], strict=True) for x in pair],
        lambda: [x for row in seqtools.batch(p, 7) for x in row],
        lambda: list(seqtools.gather(p, range(n))),
    ]
    assert together(*reads) == [squares] * 8


def test_an_iterator_that_two_threads_share_gives_each_item_once() -> None:
    inside, go_on = threading.Event(), threading.Event()

    def get(i: int) -> int:
        if i == 1:
            inside.set()
            go_on.wait(LONG)
        return i

    items = iter(seqtools.prefetch(smap(get, range(20)), 2))
    assert next(items) == 0
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(next(items)))
    thread.start()
    assert inside.wait(LONG)
    while not seen:  # as with any generator of Python
        with pytest.raises(ValueError, match="already executing"):
            next(items)
        go_on.set()
        thread.join(LONG)
    assert [*seen, *items] == list(range(1, 20))


# Copied, pickled and forked while it is read


def test_copied_and_pickled_while_it_is_read(few: Prefetched) -> None:
    source = list(range(60))
    p = few(smap(abs, source), max_cached=5)
    items = iter(p)
    assert [next(items), p[7]] == [0, 7]
    copies = [copy.copy(p), copy.deepcopy(p), pickle.loads(pickle.dumps(p))]
    for k, other in enumerate(copies, 1):
        assert repr(other) == repr(p)
        with other:
            assert list(other) == source
        assert next(items) == k
    source.clear()  # of the copies, one shares it
    for other in copies:
        other.refresh()
    assert [len(other) for other in copies] == [0, 60, 60]


@pytest.mark.filterwarnings("ignore:Pickle, copy, and deepcopy support:DeprecationWarning")
def test_an_iterator_cannot_be_pickled_and_goes_on(few: Prefetched) -> None:
    items = iter(few(smap(abs, range(20))))
    assert next(items) == 0
    for again in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot pickle"):
            again(items)
    assert list(items) == list(range(1, 20))


@pytest.mark.parametrize("way", WAYS)
def test_forked_while_it_is_read(prefetched: Prefetched, way: str) -> None:
    p, squares = (
        prefetched(smap(lambda x: x * x, range(60)), max_cached=7),
        [x * x for x in range(60)],
    )
    items, others = iter(p), iter(p[10:])
    assert [next(items), next(items), next(others), p[30]] == [0, 1, 100, 900]

    def child() -> bool:
        return [*items] == squares[2:] and [*others] == squares[11:] and list(p) == squares

    assert WAYS[way](child)
    assert [next(items), next(others), p[31]] == [4, 121, 961]
    assert WAYS[way](lambda: list(p) == squares)
    assert [*items] == squares[3:]
    assert [*others] == squares[12:]


def test_forked_by_one_thread_while_another_reads(prefetched: Prefetched) -> None:
    p = prefetched(smap(lambda x: x * x, range(2000)), max_cached=50)
    begun, results = threading.Event(), []

    def read() -> None:
        for value in p:
            results.append(value)
            begun.set()

    thread = threading.Thread(target=read)
    thread.start()
    assert begun.wait(LONG)
    assert forked(lambda: list(p[:30]) == [x * x for x in range(30)])
    thread.join(LONG)
    assert results == [x * x for x in range(2000)]


# User code that reads its own pipeline


def test_an_item_that_needs_itself(prefetched: Prefetched) -> None:
    p = prefetched(smap(lambda i: p[i] if i == 2 else i, range(4)))
    found = outcomes(iter(p), 4)
    assert found[:2] + found[3:] == [0, 1, 3]
    assert isinstance(found[2], RecursionError)
    p.close()


def test_items_that_need_more_of_the_stack_than_there_is(prefetched: Prefetched) -> None:
    gc.collect()  # what earlier tests have left needs some of the stack to end
    p = prefetched(smap(lambda i: p[i - 1] if i else 0, range(3000)))
    assert p[30] == 0
    with pytest.raises(EvaluationError) as caught:
        p[2999]
    assert isinstance(caught.value.__cause__, RecursionError)
    assert p[31] == 0
    p.close()


def test_a_function_that_iterates_over_the_prefetch_it_is_in(prefetched: Prefetched) -> None:
    def total(i: int) -> int:
        return i if i < 5 else sum(p[:5]) + sum(x for _, x in zip(range(5), p, strict=False))

    p = prefetched(smap(total, range(8)))
    assert list(p) == [0, 1, 2, 3, 4, 20, 20, 20]
    p.close()


@pytest.mark.parametrize(("outer", "inner"), [("process", "process"), ("thread", "process")])
def test_a_function_that_reads_the_prefetch_behind_its_own(outer: str, inner: str) -> None:
    first = seqtools.prefetch(smap(lambda i: p[i + 1] if i < 7 else i, range(9)), **OPTIONS[inner])
    p = seqtools.prefetch(smap(abs, first), **OPTIONS[outer])
    assert list(p) == [7] * 8 + [8]
    p.close()
    first.close()


def test_a_worker_waits_for_nobody_at_the_prefetch_it_works_for() -> None:
    p = seqtools.prefetch(smap(lambda i: p[(i + 1) % 3] if i < 3 else i, range(4)), 1)
    for i in range(3):
        with pytest.raises(EvaluationError, match=f"RecursionError: item {(i + 1) % 3} is needed"):
            elsewhere(lambda i=i: p[i])  # type: ignore[misc]
    assert p[3] == 3
    p.close()
