"""What a process and its descendants cost the processor."""

import os
import time
from collections.abc import Callable

from benchmarks.memory import family


def since() -> Callable[[], tuple[float, float]]:
    """Return a function that tells the processor time since now, in seconds.

    It tells that of this process, and the sum of that of this process and its descendants.
    What a descendant used that has ended since does not count.
    """
    before = {pid: of(pid) for pid in family(os.getpid())}

    def used() -> tuple[float, float]:
        own = of(os.getpid()) - before[os.getpid()]
        everything = sum(of(pid) - before.get(pid, 0.0) for pid in family(os.getpid()))
        return own, everything

    return used


def of(pid: int) -> float:
    """Return the seconds of the processor that a process has used, 0 if there is none."""
    # The number that clock_getcpuclockid makes of a process id on Linux. /proc/<pid>/stat has
    # this time too, in steps of 10 ms, which is what hundreds of items cost.
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0  # it has just ended
