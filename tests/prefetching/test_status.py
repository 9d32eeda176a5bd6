"""What a prefetch tells of itself to those who look from outside."""

import os
import threading

import pytest

import seqtools
from seqtools.prefetching.status import Status
from tests.children import forked


def test_what_is_ready_and_who_works() -> None:
    begun, gate = threading.Semaphore(0), threading.Event()

    def get(x: int) -> int:
        if x >= 4:
            begun.release()
            assert gate.wait(20)
        return x

    with seqtools.prefetch(seqtools.smap(get, range(100)), 2, max_cached=6) as p:
        assert p._status() == Status()
        items = iter(p)
        assert p._status() == Status()
        assert next(items) == 0
        for _ in range(2):  # items 4 and 5 are begun, so 1 to 3 are done, and 6 waits
            assert begun.acquire(timeout=20)
        assert next(items) == 1  # what was done is received by now
        load = p._status()
        assert load.pending in {3, 4}  # what was read is replaced when the reader comes again
        assert load == Status(ready=2, pending=load.pending, capacity=6, busy=2, nworkers=2)
        gate.set()
        assert list(items) == list(range(2, 100))
        load = p._status()
        assert (load.ready, load.pending, load.capacity, load.nworkers) == (0, 0, 6, 2)
    assert p._status() == Status()


def test_what_a_quick_reader_has_before_it_counts_as_ready() -> None:
    with seqtools.prefetch(range(10_000), 1, max_cached=100) as p:
        items = iter(p)
        next(items)
        (reader,) = p._state.pump.window.readers
        while reader.cursor.ring[0].unread < 2:
            next(items)
        ready, pending, capacity, *_ = p._status()
        assert ready >= reader.cursor.ring[0].unread > 0
        assert ready + pending <= capacity


def test_without_workers_there_is_no_load() -> None:
    p = seqtools.prefetch(range(3), 0)
    assert list(p) == [0, 1, 2]
    assert p._status() == Status()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_has_no_workers() -> None:
    with seqtools.prefetch(range(300), 1) as p:
        items = iter(p)
        assert next(items) == 0
        assert forked(lambda: p._status() == Status())
        assert p._status().nworkers == 1
