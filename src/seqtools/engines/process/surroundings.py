"""The properties that a process inherits from its parent, which may change later."""

import os
from contextlib import suppress
from typing import Any

from seqtools.engines.process.launcher import command, environment
from seqtools.engines.process.nesting import Nesting

_FILES = ("limits", "cgroup", "oom_score_adj")
_LINES = (b"Umask", b"Uid", b"Gid", b"Groups", b"Sig", b"Cap", b"NoNewPrivs", b"Seccomp", b"Cpus")
"""Beginnings of relevant lines of /proc/*/status."""
_NOT = (b"SigQ", b"SigPnd", b"SigCgt")
"""Exceptions among these: pending and handled signals, which are not inherited."""


def surroundings() -> tuple[Any, ...]:
    """Return all of them, for comparison.

    They are the command with `sys.path` and flags, environment, working directory, limits, user,
    signals, cores and priority.

    Raises:
        WorkerStartError: If this process is no interpreter.
    """
    status = [line for line in _read("status").splitlines() if line.startswith(_LINES)]
    return (
        command("", Nesting()),
        environment(),
        _folder(),
        [line for line in status if not line.startswith(_NOT)],
        [_read(name) for name in _FILES],
        os.getpriority(os.PRIO_PROCESS, 0),
        os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else 0,
    )


def _folder() -> str | None:
    with suppress(FileNotFoundError):  # it was deleted
        return os.getcwd()
    return None


def _read(name: str) -> bytes:
    with suppress(OSError), open(f"/proc/thread-self/{name}", "rb", buffering=0) as file:
        return file.read()
    return b""
