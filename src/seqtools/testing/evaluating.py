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


class Counted:
    """Tells a gate of each evaluation."""

    def __init__(self, passage: Passage) -> None:
        self._passage = passage

    def __call__(self, i: int) -> int:
        """Tell of an item, and return it."""
        self._passage.arrive(i)
        return i


class Gated:
    """Waits at a gate, with some items or all."""

    def __init__(self, passage: Passage, only: frozenset[int] | None = None) -> None:
        self._passage, self._only = passage, only

    def __call__(self, i: int) -> int:
        """Return an item, when the gate lets it."""
        if self._only is None or i in self._only:
            self._passage.wait(i)
        return i


class Hook:
    """Tells a gate of the number of the worker that starts."""

    def __init__(self, passage: Passage) -> None:
        self._passage = passage

    def __call__(self, number: int) -> None:
        """Tell of a worker."""
        self._passage.arrive(number)


class Greeting:
    """The same for a hook that takes no number."""

    def __init__(self, passage: Passage) -> None:
        self._passage = passage

    def __call__(self) -> None:
        """Tell of a worker."""
        self._passage.arrive("started")


def refuse() -> None:
    """Fail as a start hook."""
    raise ValueError("no licence")


class Deadly:
    """Kills the process of the worker at some items."""

    def __init__(self, deadly: frozenset[int]) -> None:
        self._deadly = deadly
        self._own = os.getpid()

    def __call__(self, i: int) -> int:
        """Return an item, if it is not deadly."""
        if i in self._deadly:
            if os.getpid() == self._own:
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
