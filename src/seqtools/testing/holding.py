"""Resources of this process that an engine could leave behind."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator

GRACE = 5.0
"""Seconds in which resources must disappear. Arbitrary."""
_MEMORY = "shared memory "
_FOLDER = "/dev/shm"  # noqa: S108 -- only read


def held() -> Counter[str]:
    """Return threads and, on systems with /proc, processes, descriptors and shared memory."""
    found = Counter(f"thread {thread.name}" for thread in threading.enumerate())
    found.update(f"{_MEMORY}{name}" for name in _listed(_FOLDER))
    for fd in _listed("/proc/self/fd"):
        try:
            found[f"descriptor {os.readlink(f'/proc/self/fd/{fd}')}"] += 1
        except OSError:  # the descriptor of the listing itself
            continue
    found.update(f"process {pid}" for pid in _children("self"))
    return found


def left(before: Counter[str]) -> list[str]:
    """Return the resources that were not held `before` and do not disappear."""
    deadline = time.monotonic() + GRACE
    while more := _without_others(held() - before):
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    return sorted(more)


def _without_others(found: Counter[str]) -> Counter[str]:
    """Return what is found without shared memory that processes of other programs use."""
    if any(name.startswith(_MEMORY) for name in found):
        family = {os.getpid(), *_descendants("self")}
        for pid in _listed("/proc"):
            if pid.isdigit() and int(pid) not in family:
                used = _read(f"/proc/{pid}/maps")
                for name in [each for each in found if each.startswith(_MEMORY)]:
                    if f"{_FOLDER}/{name.removeprefix(_MEMORY)}\n" in used:
                        del found[name]
    return found


def _descendants(pid: int | str) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _descendants(child)


def _children(pid: int | str) -> Iterator[int]:
    for task in _listed(f"/proc/{pid}/task"):
        yield from map(int, _read(f"/proc/{pid}/task/{task}/children").split())


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:  # it has ended, or is of another user
        return ""


def _listed(folder: str) -> Iterator[str]:
    try:
        yield from os.listdir(folder)
    except OSError:  # not on this system
        return
