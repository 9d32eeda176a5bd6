"""What proves a combinator: a source that keeps a record, and the laws of a lazy sequence.

An engine, which evaluates items ahead, is proved by what `check_engine` checks.

Every function of the library is checked by these, and so can be any subclass of
`LazySequence`. Nothing here needs a test framework: a broken law is an
`AssertionError` that names the law, what was expected and what came instead.
"""

from seqtools.testing.engines import check_engine
from seqtools.testing.laws import check_laws
from seqtools.testing.probe import Probe

__all__ = ["Probe", "check_engine", "check_laws"]
