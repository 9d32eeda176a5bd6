"""Caches in a child that is forked while threads of its parent are at them."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import seqtools
from seqtools import EvaluationError, LazySequence, add_cache, smap
from seqtools._core import single_flight
from seqtools._core.readahead import Wanted
from seqtools.combinators.cache import AddCache
from seqtools.prefetching.hints import hints
from tests.children import WAYS, forked
from tests.threads import LONG

if not hasattr(os, "fork"):
    pytest.skip("this system has no fork", allow_module_level=True)

Held = Callable[[Callable[[], Any]], threading.Event]


@pytest.fixture
def held() -> Iterator[Held]:
    """Run functions in threads that wait for `go_on`, and return that when they have come there."""
    go_on, threads = threading.Event(), []

    def hold(act: Callable[[Callable[[], None]], Any]) -> None:
        arrived = threading.Event()

        def stay() -> None:
            arrived.set()
            go_on.wait(LONG)

        threads.append(threading.Thread(target=act, args=(stay,)))
        threads[-1].start()
        assert arrived.wait(LONG)

    yield hold  # type: ignore[misc]
    go_on.set()
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()


@pytest.mark.parametrize("way", WAYS)
def test_while_a_thread_evaluates_an_item(held: Any, way: str) -> None:
    parent = os.getpid()
    seen: list[Any] = []

    def evaluate(stay: Callable[[], None]) -> None:
        stays.append(stay)
        seen.append(cached[1])

    def load(i: int) -> tuple[int, bool]:
        if os.getpid() == parent:
            stays.pop()()
        return i, os.getpid() == parent

    stays: list[Callable[[], None]] = []
    cached: LazySequence[Any] = add_cache(smap(load, range(3)), 3)
    held(evaluate)
    assert WAYS[way](lambda: cached[1] == cached[1] == (1, False))
    assert 1 in cached._state[1]  # type: ignore[attr-defined]


def test_while_threads_wait_for_each_other(held: Any) -> None:
    cached = add_cache(smap(lambda i: i if forked_off else stays.pop()(), range(3)), 3)
    forked_off, stays = False, []

    def evaluate(stay: Callable[[], None]) -> None:
        stays.append(stay)
        assert cached[1] is None

    def wait(stay: Callable[[], None]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(single_flight._Flight, "wait", lambda _: stay())
            assert cached[1] is None

    held(evaluate)
    held(wait)
    assert len(single_flight._waits.flights) == 1

    def child() -> bool:
        nonlocal forked_off
        forked_off = True
        return not single_flight._waits.flights and list(cached) == [0, 1, 2]

    assert forked(child)
    assert len(single_flight._waits.flights) == 1


@pytest.mark.parametrize("given", [False, True])
def test_while_a_thread_holds_the_locks(held: Any, given: bool) -> None:
    cached: Any = add_cache(range(5), 2, {} if given else None)
    assert list(cached) == list(range(5))
    store = cached._state[0]
    locks = [single_flight._waits.lock, cached._state[2].lock]
    if not given:
        store.ahead._wanted["somebody"] = Wanted(range(5))  # so that every read looks at it
        locks.append(store.ahead._lock)

    def hold(stay: Callable[[], None]) -> None:
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            stay()

    held(hold)
    assert forked(lambda: list(cached) == list(range(5)))


def test_by_the_thread_that_evaluates_the_item() -> None:
    children: list[bool] = []

    def child() -> bool:
        with pytest.raises(EvaluationError, match="item 1 is needed to make item 1"):
            cached[1]
        return cached[2] == 2

    def load(i: int) -> int:
        if i == 1 and not children:
            children.append(True)
            children[0] = forked(child)
        return i

    cached: LazySequence[int] = add_cache(smap(load, range(3)), 3)
    assert list(cached) == [0, 1, 2]
    assert children == [True]


def test_what_is_read_ahead_is_read_ahead_in_the_child_too() -> None:
    names: list[tuple[int, str]] = []

    def load(i: int) -> int:
        names.append((os.getpid(), threading.current_thread().name))
        return i

    cached: Any = add_cache(smap(load, range(20)), 4)
    tell = hints(cached)
    assert tell is not None
    tell(range(3))
    reader = next(t for t in threading.enumerate() if t.name == "seqtools-reader")
    while len(names) < 3:
        threading.Event().wait(0.001)

    def child() -> bool:
        assert not cached._state[0].ahead
        tell(range(10, 13))
        while not all(i in cached._state[0]._kept for i in (10, 11, 12)):
            threading.Event().wait(0.001)
        return names[3:] == [(os.getpid(), "seqtools-reader")] * 3

    assert forked(child)
    tell.end()
    reader.join(LONG)


def test_worker_processes_forked_while_a_thread_evaluates_an_item(held: Any) -> None:
    parent, stays = os.getpid(), []

    def evaluate(stay: Callable[[], None]) -> None:
        stays.append(stay)
        assert cached[3] == 3

    def load(i: int) -> int:
        if os.getpid() == parent:
            stays.pop()()
        return i

    cached: AddCache[int] = add_cache(smap(load, range(9)), 9)  # type: ignore[assignment]
    held(evaluate)
    with seqtools.prefetch(cached, 2, "process", start_method="fork") as p:
        assert list(p) == list(range(9))
