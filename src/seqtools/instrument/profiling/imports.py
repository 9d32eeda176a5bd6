"""How long worker processes would take to import what this process has imported."""

from seqtools.engines.process.preloading import Installed

_MODULE = 0.0017
"""Seconds to import a module of a package with compiled code, on average. It gives what was
measured for torch: see `torch-start` in docs/benchmarks.md."""


def imports() -> float:
    """Return the seconds to import all packages that a new program would import for its workers."""
    return _MODULE * sum(len(modules) for modules in Installed().compiled().values())
