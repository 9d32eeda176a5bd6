"""Memory in which workers of this machine deliver large values, as local processes do.

A worker makes an arena, an anonymous file, and says in its answers where it is. The consumer opens
it through `/proc` when the first value in it arrives. From then on, the file does not need the
worker, and a slot becomes free when the consumer drops the last view of it: see `wire/arena`.
"""

import os
from contextlib import suppress
from typing import NamedTuple

from seqtools.engines.cluster.messages import Answer
from seqtools.engines.wire import arena
from seqtools.engines.wire.arena import Arena, SlotPlace, mapped
from seqtools.engines.wire.arena_reader import ArenaReader, LeasedBytes


class ArenaPlace(NamedTuple):
    """Where the file of a worker is."""

    pid: int
    fd: int
    inode: int
    """Of the file: the descriptor may be that of another file by now."""
    size: int


class WorkerArena:
    """The memory of a thread of a worker, as long as its pipeline is wanted."""

    def __init__(self) -> None:
        self.slots: Arena | None = None
        self.place: ArenaPlace | None = None
        self._fd = -1
        made = arena.create(_MOST_WORKERS)
        if made is None:
            return
        self._fd, size = made
        try:
            self.slots = Arena(mapped(self._fd, size))
        except (OSError, ValueError, OverflowError):  # a limit on address space
            self.end()
            return
        self.place = ArenaPlace(os.getpid(), self._fd, os.fstat(self._fd).st_ino, size)

    def end(self) -> None:
        """Close the file; values that the consumer keeps stay."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


_MOST_WORKERS = 256
"""Workers of one machine that a consumer maps the memory of; address space is shared out among so
many. Arbitrary."""


class ArenaLostError(Exception):
    """A value cannot be read, because the memory of its worker is gone, or is hidden."""


class Arenas:
    """The arenas of all workers of this machine, in the consumer.

    Args:
        most: The bytes of them that may be kept.
    """

    def __init__(self, most: int) -> None:
        self.budget = LeasedBytes(most)
        self._has_warned = False
        self._readers: dict[ArenaPlace, ArenaReader] = {}

    def reader(self, answer: Answer) -> ArenaReader | None:
        """Return what makes views of the parts of an answer that are in an arena, if there are any.

        Raises:
            ArenaLostError: If they cannot be read.
        """
        if not any(isinstance(part, SlotPlace) for part in answer.parts):
            return None
        place = ArenaPlace(*(answer.arena or ()))
        if place not in self._readers:
            try:
                self._readers[place] = self._opened(place)
            except (OSError, ValueError, OverflowError) as error:
                raise ArenaLostError(f"the memory of {answer.worker} is not there") from error
        return self._readers[place]

    def drop(self, answer: Answer) -> None:
        """Free the slots of an answer that nobody waits for."""
        with suppress(ArenaLostError):
            reader = self.reader(answer)
            if reader is not None:
                for part in answer.parts:
                    if isinstance(part, SlotPlace):
                        reader.lease(part)

    def exceeds(self) -> bool:
        """Return, once, whether more is kept than may be."""
        if self._has_warned or not self.budget.exceeded:
            return False
        self._has_warned = True
        return True

    def end(self) -> None:
        """Give memory without views back."""
        for reader in self._readers.values():
            reader.retire()
        self._readers.clear()

    def _opened(self, place: ArenaPlace) -> ArenaReader:
        with open(f"/proc/{place.pid}/fd/{place.fd}", "r+b", buffering=0) as file:
            status = os.fstat(file.fileno())
            if (status.st_ino, status.st_size) != (place.inode, place.size):
                raise FileNotFoundError(place)
            return ArenaReader(file.fileno(), place.size, self.budget)
