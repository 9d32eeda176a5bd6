"""Looking into a pipeline while it is read."""

from seqtools.instrument.check import check
from seqtools.instrument.debug import debug
from seqtools.instrument.explain import explain
from seqtools.instrument.graph import graph
from seqtools.instrument.profiling.session import Profile, profile
from seqtools.instrument.progress import progress
from seqtools.instrument.throughput import monitor_throughput

__all__ = [
    "Profile",
    "check",
    "debug",
    "explain",
    "graph",
    "monitor_throughput",
    "profile",
    "progress",
]
