"""Tables that are kept in files, for other runs and other processes.

A file is an ordinary one of numpy, which `numpy.load` reads, with more behind the array: what the
table was made of as JSON, then its length, its checksum, and a word by which it is recognized.

While a scan goes on, a second file, `.part`, has what the table is made of in its first line, and
then a record for each finished block: its number, its length in bytes, the checksum of all the
rest, its bytes. If a record is torn, or there is no such block, it is dropped with what follows.
One process at a time has the file, and others wait, where the file system can lock files.
"""

import json
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any
from zlib import crc32

from seqtools.tables.scan import BLOCK, Finished
from seqtools.tables.table_key import Key, compare

_TRAILER = struct.Struct("<II8s")
_WORD = b"seqtable"
_HEAD = struct.Struct("<II")
_CHECKSUM = struct.Struct("<I")
_BEGIN = b'{"seqtools": '
"""What the first line of a `.part` begins with."""
_LONGEST = 1 << 26
"""Most bytes of that line. Arbitrary."""


def kept(path: str, key: Key, make: Callable[[Finished], Any]) -> Any:
    """Return the table in the file at `path`; `make` makes it of blocks if there is none.

    Raises:
        ValueError: If the file has another table, or something else.
    """
    table = read(path, key)
    if table is None:
        with _part(path, key) as part:
            table = read(path, key)  # another process may have finished it in the meantime
            if table is None:
                _write(path, key, make(part))
                with suppress(FileNotFoundError):
                    os.unlink(_part_of(path))
                table = read(path, key)
    return table


def read(path: str, key: Key) -> Any:
    """Return the table in the file at `path`, mapped into memory, `None` if there is no file."""
    try:
        with open(path, "rb") as file:
            theirs = _footer(file)
    except FileNotFoundError:
        return None
    if theirs is None:
        message = f"table {path!r} is not a table that seqtools has made: give another path"
        raise ValueError(message)
    compare(path, theirs, key)
    return mapped(path)


def mapped(path: str) -> Any:
    """Return the array in a file, mapped into memory."""
    import numpy as np

    return np.load(path, mmap_mode="r")


def _footer(file: IO[bytes]) -> Any:
    """Return what the table in `file` was made of, `None` if there is no table."""
    size = file.seek(0, os.SEEK_END)
    if size < _TRAILER.size:
        return None
    file.seek(size - _TRAILER.size)
    length, checksum, word = _TRAILER.unpack(file.read(_TRAILER.size))
    if word != _WORD or length > size - _TRAILER.size:
        return None
    file.seek(size - _TRAILER.size - length)
    text = file.read(length)
    return json.loads(text) if crc32(text) == checksum else None


def _write(path: str, key: Key, table: Any) -> None:
    """Write the file in one step, so that nobody ever sees a part of it."""
    import numpy as np

    text = json.dumps(key).encode()
    temporary = f"{path}.{os.getpid()}.new"
    try:
        with open(temporary, "wb") as file:
            np.save(file, table)
            file.write(text + _TRAILER.pack(len(text), crc32(text), _WORD))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


# The blocks of a scan that is not finished


class Part(dict[int, Any]):
    """The finished blocks in an open file, to which new ones are written.

    Args:
        file: The file, after its first line.
        dtype: The type of what is found out.
        n: The number of items of the sequence.
    """

    def __init__(self, file: IO[bytes], dtype: str, n: int) -> None:
        super().__init__()
        self._file = file
        self._load(dtype, n)

    def _load(self, dtype: str, n: int) -> None:
        import numpy as np

        file, size = self._file, np.dtype(dtype).itemsize
        end = file.tell()
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            b, length = _HEAD.unpack(head)
            if length == 0 or length != size * min(BLOCK, n - b * BLOCK):
                break  # before so much is read
            checksum, data = file.read(_CHECKSUM.size), file.read(length)
            if len(data) != length or checksum != _checksum(head, data):
                break
            super().__setitem__(b, np.frombuffer(data, dtype))
            end = file.tell()
        file.seek(end)
        file.truncate()  # what a process that was killed has written in part

    def __setitem__(self, b: int, block: Any) -> None:
        data = block.tobytes()
        head = _HEAD.pack(b, len(data))
        self._file.write(head + _checksum(head, data) + data)
        self._file.flush()
        super().__setitem__(b, block)


def _checksum(head: bytes, data: bytes) -> bytes:
    return _CHECKSUM.pack(crc32(data, crc32(head)))


@contextmanager
def _part(path: str, key: Key) -> Iterator[Part]:
    """Return a context with the finished blocks of the table at `path`, for one process."""
    file = _opened(_part_of(path))
    owner = os.getpid()
    with file:
        try:
            _check_line(path, file, key)
            yield Part(file, key["dtype"], key["of"])
        finally:
            if os.getpid() == owner:
                _unlock(file)


def _check_line(path: str, file: IO[bytes], key: Key) -> None:
    """Read the first line of a `.part`, or write it if the file is new.

    Raises:
        ValueError: If it is the file of another table, or of something else, which is left alone.
    """
    line = file.readline(_LONGEST)
    begin = line[: len(_BEGIN)]
    torn = not line.endswith(b"\n") and _BEGIN.startswith(begin)
    theirs = None
    if not torn and begin == _BEGIN:
        with suppress(ValueError):
            theirs = json.loads(line)
    if theirs is not None:
        compare(_part_of(path), theirs, key)
    elif torn:  # or it is new
        file.seek(0)
        file.truncate()
        file.write(json.dumps(key).encode() + b"\n")
        file.flush()
    else:
        message = (
            f"{_part_of(path)!r} is not a part of a table that seqtools has made: "
            "give another path, or delete the file"
        )
        raise ValueError(message)


def _part_of(path: str) -> str:
    return f"{path}.part"


def _opened(name: str) -> IO[bytes]:
    """Return the file with this name, locked."""
    while True:
        file = os.fdopen(os.open(name, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            _lock(file)
            if os.path.exists(name) and os.path.samestat(os.stat(name), os.fstat(file.fileno())):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # the process that had it has finished the table


def _lock(file: IO[bytes]) -> None:
    """Wait until no other process has `file`, if the file system knows."""
    try:
        import fcntl
    except ImportError:
        return
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)


def _unlock(file: IO[bytes]) -> None:
    """Let others have `file`: a child that was forked meanwhile has it open too."""
    try:
        import fcntl
    except ImportError:
        return
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_UN)
