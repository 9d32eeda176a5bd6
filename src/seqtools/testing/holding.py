"""Resources of this process that an engine could leave behind."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator

GRACE = 5.0
"""Seconds in which resources must disappear. Arbitrary."""


def held() -> Counter[str]:
    """Return threads and, on systems with /proc, processes, descriptors and shared memory."""
    found = Counter(f"thread {thread.name}" for thread in threading.enumerate())
    found.update(f"shared memory {name}" for name in _listed("/dev/shm"))  # noqa: S108 -- only read
    for fd in _listed("/proc/self/fd"):
        try:
            found[f"descriptor {os.readlink(f'/proc/self/fd/{fd}')}"] += 1
        except OSError:  # the descriptor of the listing itself
            continue
    for task in _listed("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/children", encoding="ascii") as children:
                found.update(f"process {pid}" for pid in children.read().split())
        except OSError:  # a thread that has ended
            continue
    return found


def left(before: Counter[str]) -> list[str]:
    """Return the resources that were not held `before` and do not disappear."""
    deadline = time.monotonic() + GRACE
    while (more := held() - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    return sorted(more)


def _listed(folder: str) -> Iterator[str]:
    try:
        yield from os.listdir(folder)
    except OSError:  # not on this system
        return
