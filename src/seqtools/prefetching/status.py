"""How far ahead a prefetch is, and who works for it: for those who look from outside."""

from typing import NamedTuple


class Status(NamedTuple):
    """What a prefetch has at one moment; nothing of it is exact for long.

    All is 0 where no engine runs: before the first read, after `close`, where workers were
    idle for long, without workers, and in a process that was forked from the one that reads.
    """

    ready: int = 0
    """Items that are evaluated and not yet read."""
    pending: int = 0
    """Items that workers were asked for and have not answered."""
    capacity: int = 0
    """Most items of both kinds together, for now."""
    busy: int = 0
    """Workers that evaluate something."""
    nworkers: int = 0
    """Workers that there are."""
