"""Memory of mapped files, which another process can map instead of getting a copy.

Linux tells which files are mapped where, and which pages of a private mapping were written to, and
so are no longer pages of the file. Other systems do not tell; there, nothing is found.
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
    inode: int
    access: int
    """An argument of `mmap.mmap`: read only, shared by all who map it, or copied on write."""


class FilePlace(NamedTuple):
    """Part of a file, in bytes."""

    file: File
    begin: int
    end: int


Found: TypeAlias = tuple[int, int, int]
"""The number of a place, and begin and end of the bytes in it."""


def find_in_files(views: Sequence[memoryview]) -> tuple[list[FilePlace], dict[int, Found]]:
    """Return the places of files to be mapped, and where in them which of `views` are."""
    if not any(view.nbytes for view in views):
        return [], {}
    mappings = _Mappings()
    places = {k: p for k, view in enumerate(views) if (p := mappings.find(view)) is not None}
    # Each file is mapped once, from the first view in it to the last.
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
        OSError: If the path leads to another file by now, or to none.
        EOFError: If the file was truncated.
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
        # Python 3.13 can map a file without keeping a descriptor.
        options = {"trackfd": False} if sys.version_info >= (3, 13) else {}
        offset = place.begin - ahead
        mapped = mmap.mmap(fd, length, access=file.access, offset=offset, **options)
    finally:
        os.close(fd)
    return memoryview(mapped)[ahead:]


class _Area(NamedTuple):
    """A line of /proc/self/maps, with the lines that continue it."""

    start: int
    stop: int
    offset: int
    permissions: bytes
    path: str
    inode: int


class _Mappings:
    """The files that are mapped into this process now."""

    def __init__(self) -> None:
        self._areas = _areas()
        self._starts = [area.start for area in self._areas]
        self._identities: dict[tuple[str, int], tuple[int, int] | None] = {}

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
        # Other processes can change shared memory, so it is never copied, however small it is.
        shared = area.permissions.endswith(b"s")
        if not shared and (view.nbytes < _LARGE or not _is_of_file(start, stop)):
            return None
        key = area.path, area.inode
        if key not in self._identities:
            self._identities[key] = _identity(*key)
        identity = self._identities[key]
        if identity is None:
            return None
        access = mmap.ACCESS_READ
        if not view.readonly:
            access = mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY
        begin = start - area.start + area.offset
        return FilePlace(File(area.path, *identity, access), begin, begin + view.nbytes)


def _identity(path: str, inode: int) -> tuple[int, int] | None:
    """Return device and inode of the mapped file, as `stat` tells them.

    `None` if its path leads to another file, which may have replaced it, to none, or to a file that
    cannot be read. The system may tell another device of a mapping than `stat` does: it does on
    overlayfs and btrfs.
    """
    with suppress(OSError, ValueError):
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode) and status.st_ino == inode and os.access(path, os.R_OK):
            return status.st_dev, inode
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
        addresses, permissions, offset, _, inode, *path = line.split(maxsplit=5)
        if not path or not path[0].startswith(b"/"):
            continue
        start, stop = (int(address, 16) for address in addresses.split(b"-"))
        rest = permissions, os.fsdecode(path[0]), int(inode)
        area = _Area(start, stop, int(offset, 16), *rest)
        if areas and area == _Area(areas[-1].stop, stop, _next_offset(areas[-1]), *rest):
            areas[-1] = areas[-1]._replace(stop=stop)  # madvise on a part has split it
        else:
            areas.append(area)
    return areas


def _next_offset(area: _Area) -> int:
    return area.offset + area.stop - area.start


def _is_of_file(start: int, stop: int) -> bool:
    """Return whether no page of a private mapping was written to, which copies the page.

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
