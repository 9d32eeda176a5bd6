"""Closing while others read: nothing is lost, and nothing is left."""

import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

import seqtools
from tests.engines.engines import OPTIONS
from tests.threads import together

N = 200
SOURCE = seqtools.smap(abs, range(N))
AHEAD = [name for name in OPTIONS if name != "inline"]
METHODS = pytest.mark.parametrize("method", AHEAD)


def made(method: str, **options: Any) -> seqtools.Prefetch[Any]:
    return seqtools.prefetch(SOURCE, max_cached=20, **OPTIONS[method], **options)


class Turns:
    """Has two threads do something in turn, a few times: processes take long to start."""

    def __init__(self, method: str) -> None:
        self.often = 10 if method == "thread" else 70
        self.one, self.other = threading.Semaphore(1), threading.Semaphore(0)
        self.over = False

    def read(self, items: Any) -> list[Any]:
        """Return all items; now and then, the other thread has its turn."""
        seen = []
        for x in items:
            if len(seen) % self.often == 5:
                self.other.release()
                self.one.acquire()
            seen.append(x)
        self.over = True
        self.other.release()
        return seen

    def disturb(self, act: Callable[[], object]) -> None:
        """Call `act` at each turn, which ends when it has begun."""
        while True:
            self.other.acquire()
            self.one.release()
            if self.over:
                return
            act()


CLOSING = [
    ("thread", how, ordered) for how in ("close", "refresh", "close_all") for ordered in (1, 0)
]
CLOSING += [("process", "close", 1), ("process", "refresh", 0), ("spawn", "close_all", 1)]
CLOSING += [("fork", "refresh", 1)]


@pytest.mark.parametrize(("method", "how", "ordered"), CLOSING)
def test_closing_in_one_thread_while_another_reads(method: str, how: str, ordered: int) -> None:
    p, turns = made(method, ordered=bool(ordered)), Turns(method)
    act = seqtools.close_all if how == "close_all" else getattr(p, how)
    seen, raised = together(lambda: turns.read(p), lambda: turns.disturb(act))
    assert raised is None
    assert isinstance(seen, list)
    assert (seen if ordered else sorted(seen)) == list(range(N))
    p.close()


@pytest.mark.parametrize("method", ["thread", "process"])
def test_closing_in_one_thread_while_another_reads_by_index(method: str) -> None:
    p, turns = made(method), Turns(method)
    order = [i * 7 % N for i in range(N)]
    seen, raised = together(lambda: turns.read(p[i] for i in order), lambda: turns.disturb(p.close))
    assert (seen, raised) == (order, None)
    p.close()


@METHODS
def test_closing_by_many_threads_at_once(method: str) -> None:
    p = made(method)
    for _ in range(2):
        assert p[5] == 5
        assert together(*[p.close] * 6) == [None] * 6
    assert p[6] == 6
    p.close()


@METHODS
def test_workers_that_are_idle_at_once(method: str) -> None:
    p = made(method, idle_timeout=1e-6)
    # each item is waited for, so that workers end and start again in between
    assert [p[i] for i in (0, 100, 50)] == [0, 100, 50]
    assert [*p] == list(range(N))
    p.close()


@METHODS
def test_a_break_after_any_number_of_items(method: str) -> None:
    p = made(method)
    for n in (1, 2, 3, 5, 19, 20, 21, 50, N - 1, N):
        seen = []
        for x in p:
            seen.append(x)
            if len(seen) == n:
                break
        assert seen == list(range(n))
    p.close()


@pytest.mark.parametrize("method", ["thread", "process"])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_iterators_dropped_in_any_order(method: str, order: tuple[int, ...]) -> None:
    p = made(method)
    kept = {k: iter(p[k * 10 :]) for k in order}
    for k in sorted(order):
        assert next(kept[k]) == 10 * k
    for k in order[:-1]:
        del kept[k]
        assert [next(items) for items in kept.values()]
    (k, last), *_ = kept.items()
    assert list(last) == list(range(10 * k + 4, N))
    p.close()


@METHODS
def test_a_prefetch_dropped_in_another_thread(method: str) -> None:
    held = [made(method)]
    assert held[0][3] == 3
    cycle: list[Any] = [iter(held.pop())]
    cycle.append(cycle)
    assert next(cycle[0]) == 0
    del cycle
    assert together(gc.collect, gc.collect)
