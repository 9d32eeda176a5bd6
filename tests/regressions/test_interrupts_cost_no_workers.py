"""A reader that was interrupted while it waited lost its workers, and others had to start."""

import os
import signal
from collections.abc import Iterator

import pytest

import seqtools


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
