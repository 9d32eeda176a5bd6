"""What is known of the packages that a program has imported."""

import sys

from seqtools.engines.process.preloading import Installed

_MODULE = 0.0017
"""Seconds to import a module of a package with compiled code, on average. It gives what was
measured for torch: see `torch-start` in docs/benchmarks.md."""
_ONE_AT_A_TIME = ("h5py", "netCDF4", "tables")
"""Packages that release the lock of the interpreter, but hold one of their own while they read."""


def imports() -> float:
    """Return the seconds to import all packages that a new program would import for its workers."""
    return _MODULE * sum(len(modules) for modules in Installed().compiled().values())


def one_at_a_time() -> bool:
    """Return whether a package is imported in which only one thread at a time reads."""
    return any(name in sys.modules for name in _ONE_AT_A_TIME)
