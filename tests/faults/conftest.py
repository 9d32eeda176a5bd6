"""Signals for the tests of faults."""

import gc
from collections.abc import Iterator

import pytest

from tests.engines.conftest import fifo

__all__ = ["fifo"]


@pytest.fixture(autouse=True)
def no_callbacks_of_the_collector() -> Iterator[None]:
    """Take away what Hypothesis has the collector call: Python swallows interrupts there."""
    others = gc.callbacks[:]
    gc.callbacks.clear()
    yield
    gc.callbacks.extend(others)
