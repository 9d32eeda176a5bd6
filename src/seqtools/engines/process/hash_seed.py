"""The hashes of strings, and with them the order of sets, in worker processes.

Each interpreter draws its own seed for them, unless the variable `PYTHONHASHSEED` says which.
Processes of one parent must agree: what a function returns may depend on them, and a worker can
be replaced by another at any time, after `refresh()`, when it was idle, or because it died.
"""

import os
import sys
from contextlib import suppress
from functools import cache

_NAME = "PYTHONHASHSEED"
_MOST = (1 << 32) - 1


@cache
def hash_seed() -> str:
    """Return the `PYTHONHASHSEED` of all processes that this one starts, always the same.

    It is the seed of this process where one was given. The environment that it was started with
    counts for that, because what a program changes later has no effect on the program itself.
    Otherwise it is what the program has set for its children, and else one of our own.
    """
    if not sys.flags.hash_randomization:
        return "0"
    given = "" if sys.flags.ignore_environment else _at_the_start()
    if given not in {"", "random"}:
        return given
    told = os.environ.get(_NAME, "")
    if told.isascii() and told.isdigit() and int(told) <= _MOST:  # else a child would not start
        return told
    # One number for each secret of a process: a child that was forked from it has the same one,
    # whether that was before or after this call.
    return str(hash(_NAME) % _MOST + 1)


def _at_the_start() -> str:
    """Return the variable as it was when this process started, empty if that is not known."""
    with suppress(OSError), open("/proc/self/environ", "rb") as file:
        for entry in file.read().split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == _NAME.encode():
                return os.fsdecode(value)
    return ""
