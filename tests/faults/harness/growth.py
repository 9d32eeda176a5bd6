"""What this process and those that it has started hold, and whether it grows."""

import os
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from mmap import mmap
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytest

from seqtools.engines.wire import arena_reader
from tests.leaks import descendants


class Holding(NamedTuple):
    """What is held at a time."""

    time: float
    memory: float
    """MB: what is no file, and the pages of slots."""
    slots: float
    """MB of it in slots."""
    descriptors: int
    """Of this process."""
    threads: int
    processes: int


SLACK = {"memory": 40.0, "slots": 30.0, "descriptors": 12, "threads": 8, "processes": 6}
"""Growth that is none, from the first third to the last: what is held goes up and down with
the engines that there are. Measured on runs of 60 to 600 s, and doubled."""


class Pages:
    """Knows the anonymous files that values are delivered in, as long as they are mapped."""

    def __init__(self) -> None:
        self._fds: set[int] = set()

    @contextmanager
    def known(self) -> Iterator[None]:
        """Have the files of all engines that are made meanwhile known."""
        made = self

        class Known(arena_reader.ArenaReader):
            def __init__(self, fd: int, size: int, budget: Any) -> None:
                super().__init__(fd, size, budget)
                made.add(self._memory, os.dup(fd))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(arena_reader, "ArenaReader", Known)
            yield

    def add(self, memory: mmap, fd: int) -> None:
        """Know the file `fd` until `memory`, which maps it, is gone."""
        self._fds.add(fd)
        weakref.finalize(memory, self._forget, fd).atexit = False

    def _forget(self, fd: int) -> None:
        self._fds.discard(fd)
        os.close(fd)

    @property
    def count(self) -> int:
        """The number of files."""
        return len(self._fds)

    @property
    def megabytes(self) -> float:
        """What they take."""
        total = 0
        for fd in list(self._fds):
            with suppress(OSError):  # closed meanwhile
                total += os.fstat(fd).st_blocks * 512
        return total / 1e6


def look(pages: Pages) -> Holding:
    """Return what is held now."""
    pids = [os.getpid(), *descendants("self")]
    found = [each for pid in pids if (each := _process(pid))]
    memory = sum(each[0] for each in found) / 1e3
    threads = sum(each[1] for each in found)
    mapped = pages.megabytes
    fds = len(os.listdir("/proc/self/fd")) - pages.count
    return Holding(time.monotonic(), memory + mapped, mapped, fds, threads, len(found))


def _process(pid: int) -> tuple[int, int] | None:
    """Return the memory in kB and the threads of a process, `None` if it has ended.

    Of pages that processes share since they were forked, each has its part: else one worker
    more or less would seem to be 20 MB.
    """
    with suppress(OSError, KeyError):
        memory = _entries(f"/proc/{pid}/smaps_rollup")["Pss_Anon"]
        return int(memory.split()[0]), int(_entries(f"/proc/{pid}/status")["Threads"])
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
