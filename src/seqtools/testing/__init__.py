"""Tests for your own stages and engines.

`check_laws` checks a subclass of `LazySequence`, and `check_engine` an engine, as all stages and
engines of the library are checked. `Probe` is a source that records its reads. No test framework is
needed: a broken law is an `AssertionError` that names the law, and what was expected and observed.
"""

from seqtools.testing.engines import check_engine
from seqtools.testing.laws import check_laws
from seqtools.testing.probe import Probe

__all__ = ["Probe", "check_engine", "check_laws"]
