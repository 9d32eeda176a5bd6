"""The fill of the window and the busy workers of a prefetch, for instruments."""

from typing import NamedTuple


class Status(NamedTuple):
    """The state of a prefetch at one moment, which may change at once.

    All values are 0 if no engine runs: before the first read, after `close`, after the idle
    timeout, without workers, and in a process that was forked from the one that reads.
    """

    ready: int = 0
    """Items that are evaluated and not yet read."""
    pending: int = 0
    """Items that were sent to workers and have not arrived."""
    capacity: int = 0
    """Most items of both kinds together, for now."""
    busy: int = 0
    """Workers that evaluate items."""
    nworkers: int = 0
    """All workers."""
