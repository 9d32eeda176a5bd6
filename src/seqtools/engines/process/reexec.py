"""A process that starts again in its place: with the same id, and nothing of what it has loaded."""

import os
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import NoReturn

from seqtools.engines.process.output import flush

_STANDARD = 3
"""Descriptors below that are standard input, output and error."""


class StartState:
    """How this process was started, before code of users could change any of it."""

    def __init__(self) -> None:
        self.command: Sequence[str] = [sys.executable, *sys.orig_argv[1:]]
        """The command that starts it; in a fork, one that would start the same."""
        self._environment = dict(os.environ)
        self._folder = None
        with suppress(FileNotFoundError):  # it was deleted
            self._folder = os.getcwd()

    def again(self, arguments: Collection[str], fds: Collection[int]) -> NoReturn:
        """Start this process again, with more `arguments`, and of its files only `fds`.

        Raises:
            OSError: If the program is not there any more.
        """
        flush()
        for fd in map(int, os.listdir("/proc/self/fd")):
            if fd >= _STANDARD:
                with suppress(OSError):  # the folder itself
                    os.set_inheritable(fd, fd in fds)
        if self._folder is not None:
            os.chdir(self._folder)
        os.execve(self.command[0], [*self.command, *arguments], self._environment)  # noqa: S606 -- our own command
