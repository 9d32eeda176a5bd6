"""How much memory a process and its descendants use while something runs."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Peak:
    """The largest sum that was seen, in bytes."""

    bytes = 0.0


@contextmanager
def watched(interval: float = 0.1) -> Iterator[Peak]:
    """Look at the memory of this process and its descendants until the block ends.

    A page that several processes share counts once in all (it is the sum of the
    proportional set sizes that Linux tells).

    Args:
        interval: Seconds between two looks.
    """
    peak, end = Peak(), threading.Event()

    def watch() -> None:
        last = False
        while not last:
            last = end.wait(interval)
            peak.bytes = max(peak.bytes, sum(map(_share, family(os.getpid()))))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        end.set()
        thread.join()


def family(pid: int) -> list[int]:
    """Return the ids of a process and its descendants."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue  # it has just ended
            children.setdefault(parent, []).append(int(name))
    family = [pid]
    for member in family:
        family += children.get(member, [])
    return family


def _share(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            lines = [line.split() for line in file]
    except OSError:
        return 0  # it has just ended
    return 1024 * sum(int(line[1]) for line in lines if line[0] == "Pss:")
