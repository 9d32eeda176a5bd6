"""How much memory this process may use."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

from seqtools.prefetching.cores import local_ranks, read_text

_UNKNOWN = 1 << 32
"""Bytes to assume where nothing says. Arbitrary: few machines have less."""
_LIMITS = ("memory.max", "memory.high", "memory.limit_in_bytes")


def usable_memory(
    environ: Mapping[str, str] = os.environ,
    cgroups: str = "/sys/fs/cgroup",
    own: str = "/proc/self/cgroup",
) -> int:
    """Return the number of bytes to use.

    These are what the machine has, no more than the limits of the cgroup of this
    process and those around it, divided among the ranks that a distributed run has on
    this machine.
    """
    limits = [_machine()]
    for folder in _folders(cgroups, own):
        for name in _LIMITS:
            with suppress(OSError, ValueError):  # not there, or "max"
                limits.append(int(read_text(f"{folder}/{name}")))
    return min(limits) // local_ranks(environ)


def _machine() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN


def _folders(cgroups: str, own: str) -> Iterator[str]:
    """Yield the folders of the cgroup of this process, and of those around it."""
    lines: list[str] = []
    with suppress(OSError):
        lines = read_text(own).splitlines()
    yield cgroups  # in a container it is all there is, whatever the path says
    yield f"{cgroups}/memory"  # version 1
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in {"", "memory"}:
            root = f"{cgroups}/{controllers}".rstrip("/")
            while path.strip("/"):
                yield root + path.rstrip("/")
                path = os.path.dirname(path.rstrip("/"))
