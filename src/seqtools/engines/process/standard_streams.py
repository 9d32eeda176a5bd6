"""The descriptors of standard input, output and errors."""

import os


def occupy_standard_streams() -> None:
    """Have something at the descriptors 0 to 2, where a program has closed them, as daemons do.

    The pipes of workers would get these numbers otherwise, and be lost where a process is
    started with streams of its own, or be written to by whoever prints.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 -- the lowest that is free
        os.set_inheritable(fd, True)
    os.close(fd)
