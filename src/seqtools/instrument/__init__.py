"""Inspect, check and profile a pipeline."""

from seqtools.instrument._check import check
from seqtools.instrument._debug import debug
from seqtools.instrument._explain import explain
from seqtools.instrument._graph import graph
from seqtools.instrument._progress import progress
from seqtools.instrument.profiling.session import Profile, profile
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
