"""Tables that are kept in files, for other runs and other processes.

A file is an ordinary one of numpy, which `numpy.load` reads, with more behind the array: what the
table was made of as JSON, then its length, its checksum, and a word by which it is recognized.

While a scan goes on, a second file, `.part`, has what the table is made of in its first line, and
then a record for each finished block: its number, its length in bytes, its checksum, its bytes. A
torn record at its end is dropped. One process at a time has it, and others wait, where the file
system can lock files.
"""

import json
import os
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any
from zlib import crc32

from seqtools._core.resume import marks_of
from seqtools._core.walk import is_stage, summary
from seqtools.tables.code_marks import functions_of
from seqtools.tables.scan import Finished, length_of

_FORMAT = 1
_TRAILER = struct.Struct("<II8s")
_WORD = b"seqtable"
_RECORD = struct.Struct("<III")

Key = dict[str, Any]
"""What a table is made of."""


def key_of(stage: Any, examined: Any, measure: Any, dtype: str, version: Any) -> Key:
    """Return what the table of `stage` is made of; this reads lengths, and no items."""
    return {
        "seqtools": _FORMAT,
        "stage": stage.kept_as(),
        "version": version,
        "of": length_of(examined),
        "dtype": dtype,
        "rank": list(summary(examined)[3:5]) if is_stage(examined) else [0, 1],
        "pipeline": [list(mark) for mark in marks_of(examined)],
        "functions": functions_of(examined, measure),
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
    }


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
    _compare(path, theirs, key)
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
    """The finished blocks in an open file, to which new ones are written."""

    def __init__(self, file: IO[bytes], dtype: str) -> None:
        super().__init__()
        self._file = file
        self._load(dtype)

    def _load(self, dtype: str) -> None:
        import numpy as np

        file = self._file
        end = file.tell()
        while len(head := file.read(_RECORD.size)) == _RECORD.size:
            b, length, checksum = _RECORD.unpack(head)
            data = file.read(length)
            if len(data) != length or crc32(data) != checksum:
                break
            super().__setitem__(b, np.frombuffer(data, dtype))
            end = file.tell()
        file.seek(end)
        file.truncate()  # what a process that was killed has written in part

    def __setitem__(self, b: int, block: Any) -> None:
        data = block.tobytes()
        self._file.write(_RECORD.pack(b, len(data), crc32(data)) + data)
        self._file.flush()
        super().__setitem__(b, block)


@contextmanager
def _part(path: str, key: Key) -> Iterator[Part]:
    """Return a context with the finished blocks of the table at `path`, for one process."""
    file = _opened(_part_of(path))
    with file:
        line = file.readline()
        if line.endswith(b"\n"):
            try:
                theirs = json.loads(line)
            except ValueError:
                message = (
                    f"{_part_of(path)!r} is not a part of a table that seqtools has made: "
                    "give another path, or delete the file"
                )
                raise ValueError(message) from None
            _compare(_part_of(path), theirs, key)
        else:  # it is new, or was torn
            file.seek(0)
            file.truncate()
            file.write(json.dumps(key).encode() + b"\n")
            file.flush()
        yield Part(file, key["dtype"])


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


# Refusals


def _compare(path: str, theirs: Any, ours: Key) -> None:
    """Raise `ValueError` if a file has a table of something else."""
    what = _difference(theirs, ours) if isinstance(theirs, dict) else "is of another kind"
    if what:
        message = f"table {path!r} {what}: give another path, or delete the file to scan again"
        raise ValueError(message)


def _difference(theirs: Key, ours: Key) -> str:  # noqa: PLR0911 -- one for each
    """Return in words what differs first, or ""."""
    if theirs.get("seqtools") != ours["seqtools"] or not set(ours) <= set(theirs):
        return "has a form that this version of seqtools does not read"
    if theirs["stage"] != ours["stage"]:
        return f"is of {theirs['stage']}, this is {ours['stage']}"
    if theirs["version"] != ours["version"]:
        return f"has version={theirs['version']!r}, this is version={ours['version']!r}"
    if theirs["rank"] != ours["rank"]:
        (there, ranks), (here, now) = theirs["rank"], ours["rank"]
        return f"is of rank {there} of {ranks}, this is rank {here} of {now}"
    if theirs["of"] != ours["of"]:
        return f"is of a sequence of {theirs['of']} items, this one has {ours['of']}"
    if theirs["dtype"] != ours["dtype"]:
        return "is of another kind"
    return _other_pipeline(theirs["pipeline"], ours["pipeline"]) or _other_function(theirs, ours)


def _other_pipeline(theirs: list[Any], ours: list[Any]) -> str:
    if len(theirs) != len(ours):
        return (
            f"is of another pipeline, of {len(theirs)} stages and sources where this one has "
            f"{len(ours)}"
        )
    for there, here in zip(theirs, ours, strict=True):
        if there != here:
            return f"is of another pipeline, which differs first in {there[0]}, this is {here[0]}"
    return ""


def _other_function(theirs: Key, ours: Key) -> str:
    if len(theirs["functions"]) != len(ours["functions"]):
        return "is of another pipeline, with other functions"
    for (name, mark), (own, now) in zip(theirs["functions"], ours["functions"], strict=True):
        if name != own:
            return f"was made with the function {name}, this is {own}"
        # another release of Python has other bytecode for the same function
        if mark != now and theirs["python"] == ours["python"]:
            return f"was made before the function {name} was changed"
    return ""
