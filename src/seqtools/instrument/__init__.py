"""Inspect, check and profile a pipeline."""

from typing import TYPE_CHECKING, Any

from seqtools.instrument._check import check
from seqtools.instrument._debug import debug
from seqtools.instrument._explain import explain
from seqtools.instrument._graph import graph
from seqtools.instrument._progress import progress
from seqtools.instrument.profiling.session import Profile, profile
from seqtools.instrument.throughput import Throughput, monitor_throughput

__all__ = [
    "Estimate",
    "Finding",
    "Findings",
    "Profile",
    "Read",
    "Replay",
    "Throughput",
    "check",
    "debug",
    "explain",
    "graph",
    "monitor_throughput",
    "profile",
    "progress",
]

if TYPE_CHECKING:
    from seqtools.instrument.checking.findings import Estimate, Finding, Findings
    from seqtools.instrument.replay import Read, Replay
else:  # or else a type checker would believe in every name
    _ON_FIRST_USE = {
        "Estimate": "checking.findings",
        "Finding": "checking.findings",
        "Findings": "checking.findings",
        "Read": "replay",
        "Replay": "replay",
    }
    """Classes of results, by module; `replay` alone takes as long to import as all the rest."""

    def __getattr__(name: str) -> Any:
        """Return a class whose module is imported when it is first used."""
        if name in _ON_FIRST_USE:
            from importlib import import_module

            return getattr(import_module(f"seqtools.instrument.{_ON_FIRST_USE[name]}"), name)
        message = f"module 'seqtools.instrument' has no attribute {name!r}"
        raise AttributeError(message)


def __dir__() -> list[str]:
    """Return the names that users use."""
    return sorted(__all__)
