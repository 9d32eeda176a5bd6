"""Looking into a pipeline while it is read."""

from seqtools.instrument.debug import debug
from seqtools.instrument.profiling.session import Profile, profile
from seqtools.instrument.throughput import monitor_throughput

__all__ = ["Profile", "debug", "monitor_throughput", "profile"]
