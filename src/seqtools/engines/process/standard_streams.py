"""The descriptors of standard input, output and errors."""

import os


def occupy_standard_streams() -> None:
    """Open the descriptors 0 to 2, if a program has closed them, as daemons do.

    The pipes of workers would get these numbers otherwise. They would be lost in a process that is
    started with streams of its own, and anything that prints would write to them.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 -- the lowest free number
        os.set_inheritable(fd, True)
    os.close(fd)


def connect_to_nothing(*fds: int) -> None:
    """Replace descriptors: reading from them finds the end, and what is written is lost."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in fds:
        os.dup2(nothing, fd)
    os.close(nothing)
