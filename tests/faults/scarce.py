"""A system that refuses something: the n-th call that takes a resource fails."""

import errno
import mmap
import os
import select
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


def _refusal(number: int) -> Callable[[], BaseException]:
    return lambda: OSError(number, os.strerror(number))


_CALLS: list[tuple[Any, str, Callable[[], BaseException]]] = [
    (os, "pipe", _refusal(errno.EMFILE)),
    (os, "dup", _refusal(errno.EMFILE)),
    (os, "memfd_create", _refusal(errno.EMFILE)),
    (os, "pidfd_open", _refusal(errno.EMFILE)),
    (os, "ftruncate", _refusal(errno.EFBIG)),
    (os, "fork", _refusal(errno.EAGAIN)),
    (socket, "socketpair", _refusal(errno.EMFILE)),
    (socket, "send_fds", _refusal(errno.ETOOMANYREFS)),
    (select, "epoll", _refusal(errno.EMFILE)),
    (subprocess, "_fork_exec", _refusal(errno.EAGAIN)),
    (mmap, "mmap", _refusal(errno.ENOMEM)),
    (threading.Thread, "start", lambda: RuntimeError("can't start new thread")),
]
"""What takes a resource, and how the system refuses it."""


class Scarce:
    """Counts the calls of this process that take a resource, and has one of them fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pid = os.getpid()
        self._left = 0
        self.calls: list[str] = []
        """Names of what was called within `at`."""
        for owner, name, refusal in _CALLS:
            if hasattr(owner, name):
                monkeypatch.setattr(owner, name, self._counted(getattr(owner, name), refusal))

    @contextmanager
    def at(self, n: int) -> Iterator[None]:
        """Have the `n`-th call within fail."""
        self.calls.clear()
        self._left = n
        try:
            yield
        finally:
            self._left = 0

    def _counted(self, real: Any, refusal: Callable[[], BaseException]) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            if self._left and os.getpid() == self._pid:
                self.calls.append(real.__name__)
                self._left -= 1
                if not self._left:
                    raise refusal()
            return real(*args, **kwargs)

        return counted
