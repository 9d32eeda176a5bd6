"""Interrupts and signal handlers: no item and no worker is lost."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import seqtools
from seqtools import LazySequence, add_cache, batch, smap
from seqtools.prefetching import pump

# An interrupt is nobody's error: the item that was being read is the next one to be read.


@pytest.mark.parametrize(
    "through",
    [lambda s: s, lambda s: s[:], lambda s: batch(s, 1), add_cache],
    ids=["nothing", "slice", "batch", "add_cache"],
)
def test_item_is_read_again(through: Callable[[Any], LazySequence[Any]]) -> None:
    interrupts = {1: 2, 3: 1}

    def read(i: int) -> int:
        if interrupts.get(i):
            interrupts[i] -= 1
            raise KeyboardInterrupt
        return i

    items: Iterator[Any] = iter(through(smap(read, range(5))))
    seen, stops = [], 0
    while len(seen) < 5:
        try:
            seen.append(next(items))
        except KeyboardInterrupt:
            stops += 1
    assert [item[0] if isinstance(item, list) else item for item in seen] == [0, 1, 2, 3, 4]
    assert list(items) == []
    assert stops == 3


def test_loop_that_is_left_by_an_interrupt() -> None:
    items = iter(smap(abs, range(4)))

    def consume() -> None:
        for item in items:
            if item == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert list(items) == [2, 3]


@pytest.mark.parametrize("kind", [GeneratorExit, SystemExit])
def test_what_a_function_raises_that_is_no_exception_is_read_again(
    kind: type[BaseException],
) -> None:
    def fatal(i: int) -> int:
        if i == 1:
            raise kind(i)
        return i

    items = iter(smap(fatal, range(3)))
    assert next(items) == 0
    for _ in range(3):
        with pytest.raises(kind):
            next(items)


# A reader that was interrupted while it waited lost its workers, and others had to start.


@pytest.fixture
def interrupting() -> Iterator[None]:
    """Have SIGUSR1 do in this process what a Ctrl-C does."""
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("interrupting")
@pytest.mark.parametrize("method", ["thread", "process"])
def test_reading_goes_on_with_the_same_workers(method: str) -> None:
    reader = os.getpid()

    def get(i: int) -> int:
        if i == 20:
            os.kill(reader, signal.SIGUSR1)
        return i

    with seqtools.prefetch(seqtools.smap(get, range(40)), 2, method, max_cached=4) as p:
        items, found, told = iter(p), list[int](), 0
        found.append(next(items))
        engine, more = p._state.pump._engine, True
        while more:
            try:
                found.extend(items)  # keeps what it got before it was interrupted
                more = False
            except KeyboardInterrupt:
                told += 1
        assert found == list(range(40))
        assert told == 1
        assert p._state.pump._engine is engine


# A signal handler that took longer than a wait had left made the main thread wait for ever.


@pytest.fixture
def handled() -> Iterator[threading.Event]:
    """Return an event that is to be set by a handler of SIGUSR1, which is restored after."""
    before = signal.getsignal(signal.SIGUSR1)
    yield threading.Event()
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("far", [7, 150, -1])
def test_a_handler_that_takes_long_and_reads_elsewhere(
    far: int, handled: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "_FIRST_LOOK", 1e-3)
    main = threading.main_thread().ident or 0
    found: list[int] = []

    def get(i: int) -> int:
        if i == 3 and not handled.is_set():
            signal.pthread_kill(main, signal.SIGUSR1)  # while the main thread waits for this item
            assert handled.wait(20)
        return i

    def handle(*_: object) -> None:
        found.append(p[far])
        threading.Event().wait(0.05)  # longer than the wait that it interrupts
        found.append(p[far])
        handled.set()

    signal.signal(signal.SIGUSR1, handle)
    with seqtools.prefetch(seqtools.smap(get, range(200)), 2) as p:
        assert [p[i] for i in range(40)] == list(range(40))
        assert found == [range(200)[far]] * 2
