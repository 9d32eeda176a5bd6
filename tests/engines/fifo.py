"""Signals between processes that can be waited for, and that survive pickling."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Fifo:
    """A named pipe of tokens: `send` puts some in, `wait` takes some out.

    Whoever made it keeps it open, because what is in a pipe that nobody has open is lost.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._held = os.open(path, os.O_RDWR)

    def close(self) -> None:
        """Let the tokens go."""
        os.close(self._held)

    def send(self, n: int = 1) -> None:
        """Put `n` tokens in."""
        self._use(lambda fd: os.write(fd, b"x" * n))

    def wait(self, n: int = 1) -> None:
        """Take `n` tokens out, waiting for them."""

        def take(fd: int) -> None:
            left = n
            while left:
                left -= len(os.read(fd, left))

        self._use(take)

    def drain(self) -> int:
        """Take out all tokens that are there; return how many."""
        self.send()  # so that there is one to read
        return len(os.read(self._held, 1 << 16)) - 1

    def _use(self, act: Callable[[int], Any]) -> None:
        fd = os.open(self.path, os.O_RDWR)  # neither end waits for the other to be opened
        try:
            act(fd)
        finally:
            os.close(fd)

    def __getstate__(self) -> Path:
        return self.path

    def __setstate__(self, path: Path) -> None:
        self.path = path
