"""What user code may do to the descriptors of its worker."""

import fcntl
import os
import stat
import threading
from contextlib import suppress


def descriptors() -> dict[int, os.stat_result]:
    """Return the open descriptors of this process from 3 on."""
    found = {}
    for fd in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):  # the one that the listing itself had open
            if fd > 2:
                found[fd] = os.fstat(fd)
    return found


def channels(but: set[int], unwanted: int = os.O_RDONLY) -> list[int]:
    """Return the pipes and sockets of this process, by default those to which it can write.

    Args:
        but: Inodes of those not to take, as they belong to the tests.
        unwanted: Which of them not to take either, by the mode in which they are open.
    """
    return [
        fd
        for fd, info in descriptors().items()
        if (stat.S_ISFIFO(info.st_mode) or stat.S_ISSOCK(info.st_mode))
        and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != unwanted
        and info.st_ino not in but
    ]


def inodes() -> set[int]:
    """Return the inodes of the descriptors of this process, which a fork inherits."""
    return {info.st_ino for info in descriptors().values()}


def everything(but: set[int]) -> list[int]:
    """Return all descriptors, as `channels`."""
    return [fd for fd, info in descriptors().items() if info.st_ino not in but]


def put_nothing(fd: int) -> None:
    """Put /dev/null in the place of a descriptor."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, fd)
    os.close(nothing)


def talk_for_ever(fd: int) -> None:
    """Write noise from a thread, as long as there is somebody to read it."""

    def talk() -> None:
        with suppress(OSError):
            while True:
                os.write(fd, b"x" * 1000)

    threading.Thread(target=talk, daemon=True).start()
