"""Functions that workers evaluate while an engine is checked; all can be pickled."""

import os
import signal
from typing import Any

from seqtools._core.errors import EndOfSequence
from seqtools.testing.gate import Passage

EXITS = (SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration)
"""Exceptions that end something if they are not held back."""


def square(i: int) -> int:
    """Return `i` times `i`."""
    return i * i


def odd_fails(i: int) -> int:
    """Return even items only."""
    if i % 2:
        raise KeyError(i)
    return i


def exits(i: int) -> int:
    """Raise what could end a worker for the first items."""
    if i < len(EXITS):
        raise EXITS[i]
    return i


def ten(i: int) -> int:
    """Return items of a source that has ten."""
    if i >= 10:  # noqa: PLR2004
        raise EndOfSequence
    return i


def large(i: int) -> bytes:
    """Return more than pipes hold."""
    return bytes([i % 256]) * 3_000_000


def waits_at(passage: Passage, some: frozenset[int], i: int) -> int:
    """Return an item, of some when the gate lets it."""
    return passage.wait(i) if i in some else i


def refuse() -> None:
    """Fail as a start hook."""
    raise ValueError("no licence")


def dies_at(deadly: frozenset[int], own: int, i: int) -> int:
    """Return an item, or kill the process, which must be another one than `own`."""
    if i in deadly:
        if os.getpid() == own:
            message = "deaths=True, but items are evaluated in the process that asks for them"
            raise RuntimeError(message)
        os.kill(os.getpid(), signal.SIGKILL)
    return i


class Unloadable:
    """Cannot be unpickled, so no other process can evaluate this."""

    def __call__(self, i: int) -> int:
        """Return an item."""
        return i

    def __reduce__(self) -> Any:
        """Have whoever loads this fail."""
        return _fail, ()


def _fail() -> None:
    raise ValueError("this cannot be loaded")
