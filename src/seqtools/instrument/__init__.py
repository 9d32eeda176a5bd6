"""Looking into a pipeline while it is read."""

from seqtools.instrument.debug import debug
from seqtools.instrument.progress import progress
from seqtools.instrument.throughput import monitor_throughput

__all__ = ["debug", "monitor_throughput", "progress"]
