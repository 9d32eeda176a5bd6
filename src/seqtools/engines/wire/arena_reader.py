"""The consumer's views of values in the memory of workers; `arena` has the layout."""

import mmap
import os
import weakref
from collections import deque
from contextlib import suppress
from typing import Any

from seqtools.engines.wire import arena
from seqtools.engines.wire.arena import (
    FLAGS,
    MOST_SLOTS,
    PAGE,
    Lease,
    SlotPlace,
    forks,
    mapped,
    viewed,
)
from seqtools.engines.wire.progress import ProgressMark


class LeasedBytes:
    """Counts the bytes that the consumer of an engine keeps in slots, and limits them."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.exceeded = False
        self._leased = 0
        self._dropped: deque[int] = deque()
        self._refs: dict[int, Lease] = {}

    def allows(self, nbytes: int) -> bool:
        """Return whether the consumer may keep so many bytes more."""
        while self._dropped:
            self._leased -= self._dropped.popleft()
        if self._leased + nbytes <= self.most:
            return True
        self.exceeded = True
        return False

    def warning(self) -> str:
        """Return the warning that so much is kept that values are copied."""
        return (
            f"more than {self.most >> 20:,} MB of values from worker processes are kept: from now "
            "on, values are copied out of the shared memory"
        )

    def note(self, ref: Lease) -> None:
        """Count a view, until it is dropped."""
        self._leased += ref.place.nbytes
        self._refs[id(ref)] = ref

    def held_in(self, memory: mmap.mmap) -> list[SlotPlace]:
        """Return the places in `memory` of which there are views, by offset."""
        held = [ref.place for ref in list(self._refs.values()) if ref.memory is memory]
        return sorted(held, key=lambda place: place.offset)

    def forget(self, ref: Lease) -> None:
        """Note that a view was dropped; may be called at any time, in any thread."""
        self._refs.pop(id(ref), None)
        self._dropped.append(ref.place.nbytes)


class ArenaReader:
    """Makes views of slots, in the consumer."""

    def __init__(self, fd: int, size: int, budget: LeasedBytes) -> None:
        self._memory = mapped(fd, size)
        self._view = memoryview(self._memory)
        self.progress = ProgressMark(self._view[MOST_SLOTS:FLAGS])
        self._budget = budget
        self._forks = len(forks)

    def lease(self, place: SlotPlace) -> memoryview:
        """Return the bytes at `place`; a copy if the limit is exceeded and memory allows it.

        The slot is free when the last view is dropped.
        """
        if not self._budget.allows(place.nbytes):
            with suppress(OSError, MemoryError):
                copy = memoryview(mmap.mmap(-1, place.nbytes))
                copy[:] = self._view[place.offset : place.offset + place.nbytes]
                self._memory[place.slot] = 0
                return copy
        lease, ref = viewed(self._memory, place, self._dropped)
        self._budget.note(ref)
        return lease

    def retire(self) -> None:
        """Return memory without views to the system, because no more values come."""
        if self._forks != len(forks) or not hasattr(mmap, "MADV_REMOVE"):
            return  # a forked process may have views
        begin = FLAGS  # not before it: a worker that still runs must not find free slots
        for place in [*self._budget.held_in(self._memory), SlotPlace(0, len(self._memory), 0)]:
            end = place.offset - place.offset % PAGE
            if end > begin:
                with suppress(OSError):
                    self._memory.madvise(mmap.MADV_REMOVE, begin, end - begin)
            begin = -(-(place.offset + place.nbytes) // PAGE) * PAGE

    def _dropped(self, ref: weakref.ref[Any]) -> None:
        assert isinstance(ref, Lease)  # noqa: S101 -- for mypy
        self._budget.forget(ref)
        # A child that was forked meanwhile has the same view.
        if ref.forks == len(forks):
            self._memory[ref.place.slot] = 0


def share(nworkers: int, budget: LeasedBytes) -> tuple[int, ArenaReader] | tuple[None, None]:
    """Return a descriptor for one of `nworkers`, and the consumer's reader of the same memory.

    Both are `None` if the system has no such memory or lacks a resource for it. Then all values
    are sent through the pipe.
    """
    made = arena.create(nworkers)
    if made is None:
        return None, None
    fd, size = made
    try:
        return fd, ArenaReader(fd, size, budget)
    except (OSError, MemoryError):
        os.close(fd)
        return None, None
