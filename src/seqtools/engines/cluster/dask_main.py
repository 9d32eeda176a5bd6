"""The process of a local cluster of Dask: its scheduler, and what starts workers that have died.

It prints the address of the scheduler, and ends when its standard input does, or its parent.
"""

import logging
import os
import select
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

POSIX = os.name == "posix"
_LOOK = 1.0
"""Seconds between two looks whether the parent has ended, which its children may hide."""
_LONGEST_CLOSE = 1.0
"""Seconds for Dask to close. Arbitrary."""
_SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,  # the engine evaluates items again, one by one
    "distributed.scheduler.work-stealing": False,  # the engine decides who evaluates what
    "distributed.worker.multiprocessing-method": "forkserver" if POSIX else "spawn",
    "distributed.worker.profile.enabled": False,
}


def main(
    nworkers: int,
    resources: Mapping[str, float],
    parent: int,
    folder: str,
    arguments: Sequence[str],
) -> None:
    """Be the cluster of a program.

    Args:
        nworkers: The number of workers.
        resources: What each of them has.
        parent: The process of the program.
        folder: For the files of workers.
        arguments: What the program was given, for functions that look at them.
    """
    sys.argv[:] = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it
    out, errors = os.dup(1), 2
    os.dup2(errors, 1)  # for what is printed by workers outside of items
    warnings.simplefilter("ignore")  # about ports
    import dask

    tempfile.tempdir = folder  # of this process; workers have the usual one
    dask.config.set({**_SETTINGS, "temporary-directory": folder})
    from distributed import LocalCluster

    cluster = LocalCluster(
        n_workers=nworkers,
        threads_per_worker=1,
        resources=resources,
        host="127.0.0.1",
        dashboard_address=None,
        scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        memory_limit=0,  # as with other processes: the system decides
        local_directory=folder,
        silence_logs=logging.CRITICAL,
    )
    with suppress(OSError):  # the parent has ended
        os.write(out, f"{cluster.scheduler_address}\n".encode())
    os.close(out)
    _wait(parent)
    _end(cluster)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _wait(parent: int) -> None:
    """Wait for the end of the standard input, or of the parent."""
    while os.getppid() == parent:
        if (not POSIX or select.select([0], [], [], _LOOK)[0]) and not os.read(0, 1):
            return


def _end(cluster: Any) -> None:
    """End the workers at once, even inside user code, because nobody reads their results."""
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        with suppress(Exception):
            os.kill(nanny.pid, signal.SIGKILL if POSIX else signal.SIGTERM)
    with suppress(Exception):
        cluster.close(timeout=_LONGEST_CLOSE)
    if POSIX:  # what items have started
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
