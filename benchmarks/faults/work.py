"""What is evaluated: `f(i)` is `i`, or an array of `i`, unless the fault of the case strikes.

All of it is found by name in any process. What must be known outside of the workers is noted
in the folder of the run, which is empty at the start.
"""

import ctypes
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

FOLDER = "FAULTS_FOLDER"  # in the environment of the reader and of all that it starts
SECONDS = 0.005  # that an item takes
HIT = 25  # the item at which the fault strikes
STUCK = 10  # the first of the items that never end, in the cases that have such

LARGE = 16_000_000  # numbers of 8 bytes: sending them takes long enough to be killed meanwhile
WAITING = 1_000_000  # the same, to fill what lies between the processes
_noted: set[int] = set()


def path(name: str) -> str:
    """Return the path of a file of the run."""
    return os.path.join(os.environ[FOLDER], name)


def note(name: str) -> bool:
    """Make a file with the time, and return whether it is new."""
    try:
        fd = os.open(path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    os.write(fd, str(time.monotonic()).encode())
    os.close(fd)
    return True


def noted(prefix: str) -> dict[int, float]:
    """Return the times of the files `<prefix>-<number>`, by their numbers."""
    times = {}
    for name in os.listdir(os.environ[FOLDER]):
        kind, _, number = name.rpartition("-")
        if kind == prefix:
            with open(path(name)) as file:
                times[int(number)] = float(file.read() or 0)
    return times


def item(i: Any) -> int:
    """Return `i`, after a while; all that others here return is made from this."""
    pid = os.getpid()
    if pid not in _noted:  # a forked process has this of its parent
        _noted.add(pid)
        note(f"worker-{pid}")
    time.sleep(SECONDS)
    return int(i)


def hit(i: int) -> bool:
    """Return whether the fault is to strike, and note when it first does."""
    if i != HIT:
        return False
    note("fault-0")
    return True


def hit_once(i: int) -> bool:
    """Return whether the fault is to strike, only once in a run."""
    return i == HIT and note("fault-0")


# ---------------------------------------------------------------- the ends of a worker


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def killed_once(i: Any) -> int:
    if hit_once(item(i)):
        die()
    return int(i)


def killed_always(i: Any) -> int:
    if hit(item(i)):
        die()
    return int(i)


def segfault_once(i: Any) -> int:
    if hit_once(item(i)):
        ctypes.string_at(0)
    return int(i)


def exit_once(i: Any) -> int:
    if hit_once(item(i)):
        os._exit(0)
    return int(i)


def stopped_once(i: Any) -> int:
    if hit_once(item(i)):
        os.kill(os.getpid(), signal.SIGSTOP)
    return int(i)


def endless(i: Any) -> int:
    if hit(item(i)):
        time.sleep(1000)
    return int(i)


class KillsWhilePickled:
    """A value whose process is killed while it is pickled."""

    def __reduce__(self) -> NoReturn:
        die()


def killed_pickling(i: Any) -> Any:
    i = item(i)
    if hit_once(i):
        return np.full(WAITING, i), KillsWhilePickled()
    return np.full(1, i), i


def killed_sending(i: Any) -> Any:
    i = item(i)
    if not hit_once(i):
        return np.full(1, i)
    array = np.full(LARGE, i)
    threading.Thread(target=_die_writing, args=(_written(), time.monotonic()), daemon=True).start()
    return array


def _die_writing(before: int, begin: float) -> None:
    # A megabyte through a pipe is in the midst of it; libraries that send by shared memory
    # write no such thing, and are killed after a time in which they are likely to copy.
    while _written() < before + 1_000_000 and time.monotonic() < begin + 0.05:
        time.sleep(0.001)
    die()


def _written() -> int:
    with open("/proc/self/io") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("wchar"))


# ---------------------------------------------------------------- errors


class UnloadableError(Exception):
    """Is pickled, but has other arguments than those with which it is made again."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")


def unpicklable_error() -> Exception:
    error = ValueError("an error that holds a lock")
    error.lock = threading.Lock()  # type: ignore[attr-defined]
    return error


def raises(make: Callable[[], BaseException], i: Any) -> int:
    if hit(item(i)):
        raise make()
    return int(i)


def raising(make: Callable[[], BaseException]) -> Callable[[Any], int]:
    """Return a function that raises what `make` makes, for the item that is hit."""
    return functools.partial(raises, make)


def plain_error() -> Exception:
    return ValueError("an error of the user")


def unloadable_error() -> Exception:
    return UnloadableError("name", "reason")


# ---------------------------------------------------------------- values


def unpicklable_value(i: Any) -> Any:
    return threading.Lock() if hit(item(i)) else int(i)


def _fail() -> NoReturn:
    raise ValueError("an error while a value is loaded")


class Unloadable:
    """A value that is pickled, but cannot be loaded."""

    def __reduce__(self) -> Any:
        return _fail, ()


def unloadable_value(i: Any) -> Any:
    return Unloadable() if hit(item(i)) else int(i)


# ---------------------------------------------------------------- what goes on for ever


def slow(i: Any) -> int:
    time.sleep(0.05)
    return item(i)


def large(i: Any) -> Any:
    return np.full(WAITING, item(i))


def asleep(i: Any) -> int:
    if item(i) >= STUCK:
        note(f"stuck-{os.getpid()}")
        time.sleep(1000)
    return int(i)


def computing(i: Any) -> int:
    """Return `i`; from some item on, be in C code that keeps the interpreter's lock."""
    if item(i) >= STUCK:
        note(f"stuck-{os.getpid()}")
        sum(range(sys.maxsize))
    return int(i)


def number(value: Any) -> int:
    """Return which item a value is, of any function here."""
    if isinstance(value, tuple | list):
        first, second = value
        if number(first) != number(second):
            message = f"two parts of a value differ: {number(first)} and {number(second)}"
            raise ValueError(message)
        return number(second)
    if hasattr(value, "shape") and value.shape:
        if not (int(value[0]) == int(value[-1]) == int(value[len(value) // 2])):
            message = f"an array is of {value[0]} and {value[-1]}"
            raise ValueError(message)
        return int(value[0])
    return int(value)
