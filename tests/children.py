"""Children of a test, forked in the middle of something."""

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable

LONGEST = 20
"""Seconds after which a child that hangs is ended."""


def forked(act: Callable[[], object]) -> bool:
    """Return whether `act` returns something true in a child made by `os.fork`."""
    with warnings.catch_warnings():
        # Python 3.12 warns of threads, and with threads is how it is tried
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(LONGEST)
            code = 0 if act() else 2
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1] == 0


def forked_by_multiprocessing(act: Callable[[], object]) -> bool:
    """Return the same for a process of `multiprocessing`, which ends in its own way."""

    def run() -> None:
        signal.alarm(LONGEST)
        assert act()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        process = multiprocessing.get_context("fork").Process(target=run)
        process.start()
    process.join()
    return process.exitcode == 0


WAYS: dict[str, Callable[[Callable[[], object]], bool]] = {
    "os.fork": forked,
    "multiprocessing": forked_by_multiprocessing,
}
