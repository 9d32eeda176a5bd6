"""A signal handler that took longer than a wait had left made the main thread wait for ever."""

import signal
import threading
from collections.abc import Iterator

import pytest

import seqtools
from seqtools.prefetching import pump


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
