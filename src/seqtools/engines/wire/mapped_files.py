"""Memory that lies in a mapped file, which another process can map instead of copying it.

Linux tells which files are mapped where, and which pages of a private mapping were copied
to be written to and are no longer those of the file. Where it does not, nothing is found.
"""

import mmap
import os
import stat
import sys
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, TypeAlias

_LARGE = 1 << 16
"""Bytes from which private memory is mapped. Below, a copy costs no more. Arbitrary."""
_ENTRY = 8  # bytes of /proc/self/pagemap about a page
_CHUNK = 1 << 20  # bytes that are read at a time


class File(NamedTuple):
    """A file, and how it is mapped."""

    path: str
    device: int
    """As `stat` tells it, which may differ from what the system tells of a mapping."""
    inode: int
    access: int
    """What `mmap.mmap` takes: read only, shared by all who map it, or copied on write."""


class FilePlace(NamedTuple):
    """Part of a file, in bytes."""

    file: File
    begin: int
    end: int


Found: TypeAlias = tuple[int, int, int]
"""The number of a place, and begin and end of the bytes in it."""


def find_in_files(views: Sequence[memoryview]) -> tuple[list[FilePlace], dict[int, Found]]:
    """Return the places of files to be mapped, and where in them which of `views` lie."""
    if not any(view.nbytes for view in views):
        return [], {}
    mappings = _Mappings()
    places = {k: p for k, view in enumerate(views) if (p := mappings.find(view)) is not None}
    # every file is mapped once, from the first view in it to the last
    wholes: dict[File, FilePlace] = {}
    for place in places.values():
        whole = wholes.get(place.file, place)
        begin, end = min(place.begin, whole.begin), max(place.end, whole.end)
        wholes[place.file] = FilePlace(place.file, begin, end)
    numbers = {file: number for number, file in enumerate(wholes)}
    found = {}
    for k, (file, begin, end) in places.items():
        origin = wholes[file].begin
        found[k] = numbers[file], begin - origin, end - origin
    return list(wholes.values()), found


def map_place(place: FilePlace) -> memoryview:
    """Return the bytes of `place`, mapped.

    Raises:
        OSError: If there is another file by now, or none, or less of it.
    """
    file = place.file
    flags = os.O_RDWR if file.access == mmap.ACCESS_WRITE else os.O_RDONLY
    fd = os.open(file.path, flags | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) != (file.device, file.inode):
            message = (
                f"{file.path} is no longer the file that is mapped in the pipeline: call refresh() "
                "to have workers read that one"
            )
            raise FileNotFoundError(message)
        if status.st_size < place.end:
            message = (
                f"{file.path} was truncated while it was mapped in the pipeline: it has "
                f"{status.st_size} bytes, and byte {place.end - 1} is needed"
            )
            raise EOFError(message)
        ahead = place.begin % mmap.ALLOCATIONGRANULARITY
        length = place.end - place.begin + ahead
        # without a descriptor that lives as long, where Python can do that
        options = {"trackfd": False} if sys.version_info >= (3, 13) else {}
        offset = place.begin - ahead
        mapped = mmap.mmap(fd, length, access=file.access, offset=offset, **options)
    finally:
        os.close(fd)
    return memoryview(mapped)[ahead:]


def _is_layered(path: str) -> bool:
    """Return whether a file of this path may be another one although it has the same numbers.

    In overlayfs, a file is copied to the upper layer when it is opened for writing. What was
    mapped before shows the one in the lower layer for ever; see "Non-standard behavior" in the
    documentation of Linux.
    """
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            lines = [line.split(b" ") for line in file.read().splitlines()]
    except OSError:
        return True  # that is not known
    kinds = {line[4].decode("unicode_escape"): line[line.index(b"-") + 1] for line in lines}
    inside = os.fsencode(path).decode("latin-1")  # as the unescaped bytes are
    above = (point for point in kinds if (inside + "/").startswith(point.rstrip("/") + "/"))
    return kinds[max(above, key=len, default="/")] == b"overlay"


def _is_same(view: memoryview, place: FilePlace) -> bool:
    """Return whether `view` has what the file has now, which takes as long as reading both."""
    import numpy as np

    try:
        there = map_place(place)
    except EOFError:  # it was cut off: a worker says so, and nobody may read it here
        return True
    except OSError:
        return False
    one, other = np.frombuffer(view, np.uint8), np.frombuffer(there, np.uint8, view.nbytes)
    parts = range(0, view.nbytes, _CHUNK)
    return all(np.array_equal(one[k : k + _CHUNK], other[k : k + _CHUNK]) for k in parts)


class _Area(NamedTuple):
    """A line of /proc/self/maps, with those that continue it."""

    start: int
    stop: int
    offset: int
    permissions: bytes
    path: str
    device: int
    inode: int


class _Mappings:
    """The files that are mapped into this process now."""

    def __init__(self) -> None:
        self._areas = _areas()
        self._starts = [area.start for area in self._areas]
        self._known: dict[tuple[str, int, int], tuple[int, int] | None] = {}
        self._layered: dict[str, bool] = {}

    def find(self, view: memoryview) -> FilePlace | None:
        """Return the place that `view` shows, `None` if it may show something else."""
        import numpy as np  # ctypes has no address of what is read-only

        if not view.nbytes:
            return None
        start = np.frombuffer(view, np.uint8).__array_interface__["data"][0]
        stop = start + view.nbytes
        k = bisect_right(self._starts, start) - 1
        if k < 0 or stop > self._areas[k].stop:
            return None
        area = self._areas[k]
        shared = area.permissions.endswith(b"s")  # others who map it see it changed, however small
        if not shared and (view.nbytes < _LARGE or not _is_of_file(start, stop)):
            return None
        identity = self._identity(area)
        if identity is None:
            return None
        access = mmap.ACCESS_READ
        if not view.readonly:
            access = mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY
        begin = start - area.start + area.offset
        place = FilePlace(File(area.path, *identity, access), begin, begin + view.nbytes)
        # what is open for writing is in the upper layer already
        certain = shared and b"w" in area.permissions
        return place if certain or not self._is_layered(area) or _is_same(view, place) else None

    def _identity(self, area: _Area) -> tuple[int, int] | None:
        """Return what `stat` tells of the file: see `_identity`."""
        key = area.path, area.device, area.inode
        if key not in self._known:
            self._known[key] = _identity(area)
        return self._known[key]

    def _is_layered(self, area: _Area) -> bool:
        """Return whether the numbers of the file do not tell all: see `_is_layered`."""
        if area.path not in self._layered:
            self._layered[area.path] = _is_layered(area.path)
        return self._layered[area.path]


def _identity(area: _Area) -> tuple[int, int] | None:
    """Return device and inode of the file, as `stat` tells them.

    `None` if its path leads to another file, which may have replaced it, to none, or to one that
    may not be read.
    """
    with suppress(OSError, ValueError):
        if not stat.S_ISREG(os.stat(area.path).st_mode):  # it could wait to be opened
            return None
        fd = os.open(area.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            identity = status.st_dev, status.st_ino
            told = area.device, area.inode
            if identity == told or _told_of(fd) == told:
                return identity
        finally:
            os.close(fd)
    return None


def _told_of(fd: int) -> tuple[int, int] | None:
    """Return device and inode as the system tells them of a mapping of `fd`.

    In some file systems, such as overlayfs and btrfs, these are not those that `stat` tells.
    """
    import numpy as np

    with mmap.mmap(fd, 1, access=mmap.ACCESS_READ) as probe:
        address = np.frombuffer(probe, np.uint8).__array_interface__["data"][0]
        for area in _areas():
            if area.start <= address < area.stop:
                return area.device, area.inode
    return None


def _areas() -> list[_Area]:
    """Return the mapped files by address."""
    try:
        with open("/proc/self/maps", "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    areas: list[_Area] = []
    for line in lines:
        addresses, permissions, offset, device, inode, *path = line.split(maxsplit=5)
        if not path or not path[0].startswith(b"/"):
            continue
        start, stop = (int(address, 16) for address in addresses.split(b"-"))
        number = os.makedev(*(int(part, 16) for part in device.split(b":")))
        rest = permissions, os.fsdecode(path[0]), number, int(inode)
        area = _Area(start, stop, int(offset, 16), *rest)
        if areas and area == _Area(areas[-1].stop, stop, _next_offset(areas[-1]), *rest):
            areas[-1] = areas[-1]._replace(stop=stop)  # as one that advice was given on in parts
        else:
            areas.append(area)
    return areas


def _next_offset(area: _Area) -> int:
    return area.offset + area.stop - area.start


def _is_of_file(start: int, stop: int) -> bool:
    """Return whether no page of a private mapping was copied to be written to.

    See "Examining Process Page Tables" in the documentation of Linux: the uppermost bits of
    an entry say that a page is present, is swapped, and belongs to a file.
    """
    import numpy as np

    first, last = start // mmap.PAGESIZE, -(-stop // mmap.PAGESIZE)
    left = (last - first) * _ENTRY
    with suppress(OSError), open("/proc/self/pagemap", "rb", buffering=0) as file:
        file.seek(first * _ENTRY)
        while left:
            entries = np.frombuffer(file.read(min(left, _CHUNK)), np.uint64)
            there, of_file = entries >> np.uint64(62), (entries >> np.uint64(61)) & np.uint64(1)
            if not entries.size or ((there > 0) & (of_file == 0)).any():
                return False
            left -= entries.nbytes
        return True
    return False
