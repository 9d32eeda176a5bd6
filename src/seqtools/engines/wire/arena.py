"""Shared memory in which a worker delivers large values without a copy.

        flags, one byte for each slot: 0 free, 1 taken │ slot │ slot │ …

It is an anonymous file that a worker and the consumer map. The worker takes a free slot and writes
into it. The consumer makes arrays that are views of the slot; when the last view is dropped, it
sets the flag to zero. That needs no lock and no message, and works in any thread and in the garbage
collector. So a view that is kept is not overwritten. Free slots have pages already, which are
twelve times as fast to write to as new ones.

The file is as large as the memory of the machine, but has only the pages that were written to, so
nobody has to guess a size. It has no name, and disappears when no process maps it any more.

This module has the layout and the side of the worker; `arena_reader` has the side of the consumer.
"""

import ctypes
import mmap
import os
import pickle
import sys
import threading
import weakref
from contextlib import suppress
from typing import Any, NamedTuple

from seqtools.engines import fault_injection
from seqtools.engines.wire.progress import NBYTES, ProgressMark

if sys.platform != "win32":
    import resource  # at once, because later there may be no descriptor left to load it

FLAGS = 1 << 20
"""Bytes for flags: a slot of 32 KB for each would be 32 GB."""
MOST_SLOTS = FLAGS - NBYTES  # the progress of the worker is in place of the last flags
TAKEN = 1  # of a flag
_RUN = 1024
"""Slots of one size that have consecutive flags, so that they are searched together."""
PAGE = mmap.PAGESIZE
_ADDRESSES = 1 << 44
"""Bytes of address space for all workers, of the 47 bits that a process has."""
_LEAST = 1 << 26
"""Bytes below which there is no arena."""

forks = [0]
"""Its length grows with each fork of this process, because a child has the same views."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lambda: forks.append(0))


class SlotPlace(NamedTuple):
    """The place of bytes of a value."""

    nbytes: int
    offset: int
    slot: int


def create(nworkers: int) -> tuple[int, int] | None:
    """Return the descriptor and size of a new file for one of `nworkers`, `None` if impossible.

    The size is only a limit, because memory is used when it is written to.
    """
    if not hasattr(os, "memfd_create"):
        return None
    try:
        fd = os.memfd_create("seqtools", os.MFD_CLOEXEC)
    except OSError:  # the system does not allow it
        return None
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    size = min(size, _ADDRESSES // nworkers)
    for limit, share in ((resource.RLIMIT_AS, 8 * nworkers), (resource.RLIMIT_FSIZE, 1)):
        most, _ = resource.getrlimit(limit)
        if most != resource.RLIM_INFINITY:
            size = min(size, most // share)
    size -= size % PAGE
    while size >= _LEAST:
        with suppress(OSError, ValueError, OverflowError):
            os.ftruncate(fd, size)
            mmap.mmap(fd, size).close()
            return fd, size
        size //= 2
        size -= size % PAGE
    os.close(fd)
    return None


def mapped(fd: int, size: int) -> mmap.mmap:
    """Return the file mapped; Python 3.13 can do that without keeping a descriptor."""
    if sys.version_info >= (3, 13):
        return mmap.mmap(fd, size, trackfd=False)
    return mmap.mmap(fd, size)


class Lease(weakref.ref[Any]):
    """A weak reference to a view, which knows the slot of the view."""

    __slots__ = ("address", "forks", "given", "memory", "place")

    memory: mmap.mmap
    place: SlotPlace
    address: int
    forks: int
    given: bool


_array_types: dict[int, Any] = {}  # by size, because it takes 20 µs to make one


def viewed(memory: mmap.mmap, place: SlotPlace, dropped: Any) -> tuple[memoryview, Lease]:
    """Return the bytes at `place`, and a reference that calls `dropped` after their last view."""
    size = rounded(place.nbytes)
    array_type = _array_types.get(size)
    if array_type is None:
        array_type = _array_types[size] = ctypes.c_char * size
    lease = array_type.from_buffer(memory, place.offset)
    ref = Lease(lease, dropped)
    ref.memory, ref.place, ref.forks, ref.given = memory, place, len(forks), False
    ref.address = ctypes.addressof(lease)
    return pickle.PickleBuffer(lease).raw()[: place.nbytes], ref


class Arena:
    """The side of the worker, which gives slots to values."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._view = memoryview(memory)
        self.progress = ProgressMark(self._view[MOST_SLOTS:FLAGS])
        self._lock = threading.RLock()  # threads of the user and finalizers may borrow
        self._used = FLAGS  # bytes of the file that belong to some slot
        self._runs: dict[int, list[list[int]]] = {}  # by size: first flag, number of slots
        self._next_run = 0
        self._offsets: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self._touched: set[int] = set()  # slots whose pages may be there
        self._borrowed: dict[int, Lease] = {}  # by address
        self._pid = os.getpid()

    @classmethod
    def at(cls, fd: int) -> "Arena | None":
        """Return the arena in the file `fd`, which is closed; `None` if it cannot be mapped."""
        try:
            return cls(mapped(fd, os.fstat(fd).st_size))
        except (OSError, ValueError, OverflowError):  # a limit on address space
            return None
        finally:
            os.close(fd)

    def take(self, nbytes: int) -> SlotPlace | None:
        """Take a free slot for so many bytes, and return it; `None` if there is no room."""
        with self._lock:
            size = rounded(nbytes)
            slot = self._free(size)
            if slot is None:
                slot = self._new(size)
            if slot is None:
                return None
            self._memory[slot] = TAKEN
            self._touched.add(slot)
            return SlotPlace(nbytes, self._offsets[slot], slot)

    def put(self, data: memoryview) -> SlotPlace | None:
        """Return a slot with a copy of `data`; `None` if there is no room."""
        place = self.take(data.nbytes)
        if place is None:
            return None
        try:
            if fault_injection.armed:
                fault_injection.reach("slot-taken")
                half = place.nbytes // 2
                self._view[place.offset : place.offset + half] = data[:half]
                fault_injection.reach("slot-half")
            self._view[place.offset : place.offset + place.nbytes] = data
        except BaseException:
            self._memory[place.slot] = 0
            raise
        return place

    def borrow(self, nbytes: int) -> memoryview | None:
        """Return a buffer in a slot, for a value; `None` if there is no room."""
        if os.getpid() != self._pid:  # code of the user has forked this process
            return None
        place = self.take(nbytes)
        if place is None:
            return None
        lease, ref = viewed(self._memory, place, self._dropped)
        self._borrowed[ref.address] = ref
        return lease

    def find(self, data: memoryview) -> Lease | None:
        """Return the borrowed buffer that `data` is in, `None` if it is elsewhere; see `give`."""
        if not self._borrowed:
            return None
        import numpy as np  # ctypes has no address of what is read-only

        address = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
        found = self._borrowed.get(address)
        if found is None or found.given or data.nbytes > found.place.nbytes:
            return None
        found.place = found.place._replace(nbytes=data.nbytes)
        found.given = True
        return found

    def give(self, found: Lease) -> SlotPlace | memoryview:
        """Return the place of a borrowed buffer, which belongs to the consumer from now on.

        If something here still refers to it, the consumer gets a copy.
        """
        place = found.place
        if found() is None:
            return place
        found.given = False
        data = self._view[place.offset : place.offset + place.nbytes]
        return self.put(data) or data

    def trim(self) -> None:
        """Return the memory of free slots to the system."""
        if not hasattr(mmap, "MADV_REMOVE"):
            return
        with self._lock:
            for slot in [slot for slot in self._touched if not self._memory[slot]]:
                with suppress(OSError):
                    self._memory.madvise(mmap.MADV_REMOVE, self._offsets[slot], self._sizes[slot])
                self._touched.discard(slot)

    def _dropped(self, ref: weakref.ref[Any]) -> None:
        assert isinstance(ref, Lease)  # noqa: S101 -- for mypy
        self._borrowed.pop(ref.address, None)
        if not ref.given and ref.forks == len(forks):
            self._memory[ref.place.slot] = 0

    def _free(self, size: int) -> int | None:
        """Return the number of a free slot of at least `size`, less than half of it wasted."""
        largest = 2 * size
        while size < largest:
            for first, count in self._runs.get(size, ()):
                slot = self._memory.find(b"\0", first, first + count)
                if slot >= 0:
                    return slot
            size = rounded(size + 1)
        return None

    def _new(self, size: int) -> int | None:
        runs = self._runs.setdefault(size, [])
        if self._used + size > len(self._memory):
            return None
        if not runs or runs[-1][1] == _RUN:
            if self._next_run + _RUN > MOST_SLOTS:
                return None
            runs.append([self._next_run, 0])
            self._next_run += _RUN
        first, count = runs[-1]
        slot = first + count
        runs[-1][1] += 1
        self._offsets[slot], self._sizes[slot] = self._used, size
        self._used += size
        return slot


def rounded(nbytes: int) -> int:
    """Return the size of a slot: whole pages, in steps of an eighth of a power of two."""
    nbytes = max(nbytes, PAGE)
    step = max(PAGE, 1 << (nbytes.bit_length() - 4))
    return -(-nbytes // step) * step
