"""What tests of caches see of threads that wait for each other."""

import threading
from collections.abc import Iterator

import pytest

from seqtools._core import single_flight


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Semaphore]:
    """Count those who have come to wait for what another thread evaluates."""
    arrived = threading.Semaphore(0)
    wait = single_flight._wait

    def counted(other: single_flight._Flight) -> bool:
        arrived.release()
        return wait(other)

    monkeypatch.setattr(single_flight, "_wait", counted)
    yield arrived
    assert single_flight._waits.flights == {}
