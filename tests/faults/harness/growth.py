"""What this process and those that it has started hold, and whether it grows."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.leaks import descendants


class Holding(NamedTuple):
    """What is held at a time."""

    time: float
    memory: float
    """MB: what is no file on a disk, with the pages of slots that are in use."""
    slots: float
    """MB of it in slots."""
    mappings: int
    """Files of slots that this process has mapped."""
    descriptors: int
    """Of this process."""
    threads: int
    processes: int


SLACK = {
    "memory": 40.0,
    "slots": 30.0,
    "mappings": 10,
    "descriptors": 12,
    "threads": 8,
    "processes": 6,
}
"""Growth that is none, from the first third to the last: what is held goes up and down with
the engines that there are. Measured on runs of 60 to 600 s, and doubled."""


def mappings() -> int:
    """Return the number of files of slots that this process has mapped."""
    return Path("/proc/self/maps").read_text().count("/memfd:seqtools")


def look() -> Holding:
    """Return what is held now."""
    pids = [os.getpid(), *descendants("self")]
    found = [each for pid in pids if (each := _process(pid))]
    anonymous, shared, threads = (sum(column) for column in zip(*found, strict=True))
    fds = len(os.listdir("/proc/self/fd"))
    memory, slots = (anonymous + shared) / 1e3, shared / 1e3
    return Holding(time.monotonic(), memory, slots, mappings(), fds, threads, len(found))


def _process(pid: int) -> tuple[int, int, int] | None:
    """Return memory in kB, shared memory, and threads of a process, `None` if it has ended.

    Of pages that processes share, each has its part: else one worker more or less, which was
    forked, would seem to be 20 MB.
    """
    with suppress(OSError, KeyError):
        pages = _entries(f"/proc/{pid}/smaps_rollup")
        memory = [int(pages[name].split()[0]) for name in ("Pss_Anon", "Pss_Shmem")]
        return memory[0], memory[1], int(_entries(f"/proc/{pid}/status")["Threads"])
    return None


def _entries(path: str) -> dict[str, str]:
    lines = Path(path).read_text().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def growth(held: Sequence[Holding]) -> dict[str, float]:
    """Return by how much each is more in the last third than in the first."""
    third = max(1, len(held) // 3)
    first, last = held[:third], held[-third:]
    return {
        name: median(getattr(h, name) for h in last) - median(getattr(h, name) for h in first)
        for name in SLACK
    }
