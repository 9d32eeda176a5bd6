"""Has worker processes of a pool believe that they are on another machine.

It imports nothing of seqtools, which binds the functions that are replaced here at its import.
"""

import socket
import sys
import time

AHEAD = 5000.0
"""Seconds that the clock of the other machine is ahead."""
HOST = "host7"

_seconds, _nanoseconds = time.perf_counter, time.perf_counter_ns


def move() -> None:
    """Move this process to another machine, which has no file and no number in common."""
    assert "seqtools" not in sys.modules
    time.perf_counter = lambda: _seconds() + AHEAD  # type: ignore[assignment]
    time.perf_counter_ns = lambda: _nanoseconds() + round(AHEAD * 1e9)  # type: ignore[assignment]
    socket.gethostname = lambda: HOST  # type: ignore[assignment]
    from seqtools.engines.cluster import shipment

    shipment.machine.__code__ = (lambda: "another machine").__code__


def folders() -> tuple[int, int]:
    """Return the number of this process, and how many folders of profiles it uses."""
    import os

    from seqtools._core import recording

    return os.getpid(), len(recording.active)
