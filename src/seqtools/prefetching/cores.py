"""How many cores this process may use."""

import math
import os
from collections.abc import Mapping

_LOCAL_RANKS = (
    "LOCAL_WORLD_SIZE",  # torchrun
    "OMPI_COMM_WORLD_LOCAL_SIZE",  # Open MPI
    "MPI_LOCALNRANKS",  # MPICH, Intel MPI
    "SLURM_NTASKS_PER_NODE",
)


def usable_cores(environ: Mapping[str, str] = os.environ, cgroup: str = "/sys/fs/cgroup") -> int:
    """Return the number of cores to use, at least 1.

    These are the cores that this process may run on, no more than the quota of its
    cgroup, divided among the ranks that a distributed run has on this machine.
    """
    cores = _affinity()
    quota = _quota(cgroup)
    if quota is not None:
        cores = min(cores, max(1, math.ceil(quota)))
    return max(1, cores // local_ranks(environ))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(cgroup: str) -> float | None:
    """Return the cores that the cgroup allows, `None` if it does not say."""
    try:
        limit, period = read_text(f"{cgroup}/cpu.max").split()[:2]
    except (OSError, ValueError):
        try:  # version 1
            limit = read_text(f"{cgroup}/cpu/cpu.cfs_quota_us").strip()
            period = read_text(f"{cgroup}/cpu/cpu.cfs_period_us").strip()
        except OSError:
            return None
    try:
        share = int(limit) / int(period)
    except (ValueError, ZeroDivisionError):  # "max"
        return None
    return share if share > 0 else None


def read_text(path: str) -> str:
    """Return the content of a file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def local_ranks(environ: Mapping[str, str]) -> int:
    """Return the number of ranks that a distributed run has on this machine, 1 if none."""
    for name in _LOCAL_RANKS:
        ranks = environ.get(name, "")
        if ranks.isdecimal() and int(ranks):
            return int(ranks)
    return 1
