"""Calls and answers, the messages between an engine and the workers of a cluster."""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from seqtools.engines.cluster.shipment import MemoryFile

SPEAKS = (3, *sys.version_info[:2])
"""What both sides must have in common: the version of these messages, and that of Python."""
DONE, LACKING, UNABLE, OTHER = range(4)
"""What came of a call: its items are answered or given back; the pipeline is not here; it cannot be
loaded; this is another version of Python or of these messages."""


class Call(NamedTuple):
    """What a worker is asked to do.

    It travels as a plain tuple, whose first field never changes, because the worker may have
    another version of this module.
    """

    speaks: tuple[int, ...]
    token: bytes
    memory: MemoryFile
    number: int | None
    """The number of the worker, for the start hook; `None` if workers have none."""
    indices: Sequence[int]
    mode: int
    ahead: Sequence[int]
    patience: float
    """Seconds after which the rest of the items is given back."""
    turns: bool
    """Whether the process evaluates one call at a time, so that a stage is used by one thread."""
    recorded: bool = False
    """Whether the answer should have the records of a profile."""
    may_share: bool = True
    """Whether large values may be in memory that a worker of this machine shares."""

    def plain(self) -> tuple[Any, ...]:
        """Return it as it travels."""
        return tuple(self._replace(memory=tuple(self.memory)))  # type: ignore[arg-type]

    @classmethod
    def of(cls, plain: tuple[Any, ...]) -> "Call":
        """Return the call that has travelled."""
        call = cls(*plain)
        return call._replace(memory=MemoryFile(*call.memory))


class Answer(NamedTuple):
    """What came of a call. It travels as a plain tuple too; its first two fields never change."""

    status: int
    speaks: tuple[int, ...]
    worker: str
    """The name of the worker."""
    heads: Sequence[tuple[int, int, int, float, int]] = ()
    """For each message: the items before it, its items, its kind, seconds, and number of parts."""
    parts: tuple[Any, ...] = ()
    """The parts of all messages: bytes, arrays of bytes, or places in the arena."""
    seconds: float = 0.0
    records: tuple[Any, ...] = ()
    """See `arriving_records.Sending`."""
    arena: tuple[int, ...] | None = None
    """See `arenas.ArenaPlace`."""
