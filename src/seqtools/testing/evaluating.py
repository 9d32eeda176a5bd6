"""Functions that workers evaluate during the check of an engine; all can be pickled."""

import os
import signal
from typing import Any

from seqtools._core.errors import EndOfSequence, seterr
from seqtools.combinators.map import smap
from seqtools.testing.gate import Passage


class Halt(BaseException):
    """Is no `Exception`."""


EXITS = (
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    StopIteration,
    StopAsyncIteration,
    Halt,
)
"""Exceptions that end a program, a thread or a generator if nothing catches them, or that
`except Exception` lets pass."""


def square(i: int) -> int:
    """Return `i * i`."""
    return i * i


def begins(passage: Passage, number: int) -> None:
    """Report that a worker begins."""
    passage.arrive(["begin", number])


def ends(passage: Passage, number: int) -> None:
    """Report that a worker ends."""
    passage.arrive(["end", number])


def odd_fails(i: int) -> int:
    """Return `i`, or raise an error if it is odd."""
    if i % 2:
        raise KeyError(i)
    return i


def fails_in_a_stage(i: int) -> int:
    """Return `i`, or raise an error in a stage if it is odd."""
    return smap(odd_fails, range(100))[i]


def mode(_: int) -> str:
    """Return how errors are reported here."""
    return seterr()


def exits(i: int) -> int:
    """Return `i`, or raise one of `EXITS` for the first indices."""
    if i < len(EXITS):
        raise EXITS[i]
    return i


def ten(i: int) -> int:
    """Return `i`, as a source of ten items without known length."""
    if i >= 10:  # noqa: PLR2004
        raise EndOfSequence
    return i


def large(i: int) -> bytes:
    """Return more bytes than a pipe holds."""
    return bytes([i % 256]) * 3_000_000


def waits_at(passage: Passage, some: frozenset[int], i: int) -> int:
    """Return `i`; if it is one of `some`, wait for the gate."""
    return passage.wait(i) if i in some else i


def refuse() -> None:
    """Fail as a start hook."""
    raise ValueError("no licence")


def dies_at(deadly: frozenset[int], own: int, i: int) -> int:
    """Return `i`; if it is one of `deadly`, kill this process, which must not be `own`."""
    if i in deadly:
        if os.getpid() == own:
            message = "deaths=True, but items are evaluated in the process that asks for them"
            raise RuntimeError(message)
        os.kill(os.getpid(), signal.SIGKILL)
    return i


class Unloadable:
    """A function that cannot be unpickled."""

    def __call__(self, i: int) -> int:
        """Return `i`."""
        return i

    def __reduce__(self) -> Any:
        """Make unpickling fail."""
        return _fail, ()


def _fail() -> None:
    raise ValueError("this cannot be loaded")
