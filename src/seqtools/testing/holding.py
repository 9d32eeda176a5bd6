"""What this process holds that an engine could leave behind."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator

GRACE = 5.0
"""Seconds that what is on its way out may take. Arbitrary; spent only by a failure."""


def held() -> Counter[str]:
    """Return threads, and where there is a /proc, processes, descriptors and shared memory."""
    found = Counter(f"thread {thread.name}" for thread in threading.enumerate())
    found.update(_listed("/dev/shm", "shared memory"))  # noqa: S108 -- looked at, never written
    for fd in _listed("/proc/self/fd", ""):
        try:
            found[f"descriptor {os.readlink(f'/proc/self/fd/{fd}')}"] += 1
        except OSError:  # the one of the listing itself
            continue
    for task in _listed("/proc/self/task", ""):
        try:
            with open(f"/proc/self/task/{task}/children", encoding="ascii") as children:
                found.update(f"process {pid}" for pid in children.read().split())
        except OSError:  # a thread that has ended
            continue
    return found


def left(before: Counter[str]) -> list[str]:
    """Return what is held now and was not `before`, if it does not go by itself."""
    deadline = time.monotonic() + GRACE
    while (more := held() - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    return sorted(more)


def _listed(folder: str, kind: str) -> Iterator[str]:
    try:
        names = os.listdir(folder)
    except OSError:  # not on this system
        return
    for name in names:
        yield f"{kind} {name}".strip()
