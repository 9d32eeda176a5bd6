"""The seed of hashes of strings, and so of the order of sets, in worker processes.

Each interpreter draws its own seed, unless the variable `PYTHONHASHSEED` is set. All workers must
have the same seed, because items may depend on it, and a worker can be replaced at any time.
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

    It is the seed of this process, if one was given in the environment when it started. Otherwise
    it is the current value of the variable, or else a seed of our own.
    """
    if not sys.flags.hash_randomization:
        return "0"
    given = "" if sys.flags.ignore_environment else _at_the_start()
    if given not in {"", "random"}:
        return given
    told = os.environ.get(_NAME, "")
    if told.isascii() and told.isdigit() and int(told) <= _MOST:  # or a child would not start
        return told
    # it depends only on the random seed of this process, so a forked child has the same
    return str(hash(_NAME) % _MOST + 1)


def _at_the_start() -> str:
    """Return the variable as it was when this process started, empty if unknown."""
    with suppress(OSError), open("/proc/self/environ", "rb") as file:
        for entry in file.read().split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == _NAME.encode():
                return os.fsdecode(value)
    return ""
