"""Signals for the tests of faults."""

from tests.engines.conftest import fifo

__all__ = ["fifo"]
