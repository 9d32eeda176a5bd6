"""Pipelines whose items say which they are, and whether they are what they should be.

Workers import this module, so numpy is imported where it is used: without it, a worker that is
started anew takes a third of the time. A pipeline of arrays has a dtype of numpy in it, so that
a template imports it once, and not each of its workers.
"""

import os
import signal
import struct
import subprocess
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import seqtools

_STAMP = struct.Struct("<qI")  # index, checksum of what follows
_LARGE = 1 << 20  # bytes: as much as the largest pipe takes
_ROWS = 32  # rows of a file
_BATCH = 4


class Wrong(Exception):  # noqa: N818 -- it says what the value is
    """A value is not what was computed."""


class Payload(NamedTuple):
    """Items of one kind."""

    build: Callable[..., tuple[Any, Callable[[Any], int]]]
    """Returns a pipeline of so many items, and what says which one a value is."""
    cached: int
    """Items to read ahead: few, so that few are taken back from a worker that dies."""
    gap: int
    """Items, at least, between two faults: so many that none hits what the one before hit."""
    message: int
    """Items of a message, at most."""
    faults: int
    """Faults in a run."""
    slots: bool = False
    """Whether values are copied to slots."""


def _nothing(_: int) -> None:
    pass


Touch = Callable[[int], object]
"""What is called in a worker before an item is made, with its index."""


def sealed(i: int, body: bytes) -> bytes:
    """Return `body` behind its index and checksum."""
    return _STAMP.pack(i, zlib.crc32(body, i & 0xFFFF)) + body


def opened(data: Any) -> int:
    """Return the index of what was sealed."""
    view = memoryview(data)
    i, found = _STAMP.unpack_from(view)
    if zlib.crc32(view[_STAMP.size :], i & 0xFFFF) != found:
        raise Wrong(f"what says that it is item {i} is damaged")
    return int(i)


def _number(touch: Touch, i: int) -> int:
    touch(i)
    return i << 32 | zlib.crc32(b"%d" % i)


def _of_number(value: int) -> int:
    i = value >> 32
    if value != i << 32 | zlib.crc32(b"%d" % i):
        raise Wrong(f"{value} is no number of ours")
    return i


def numbers(n: int, touch: Touch = _nothing) -> Any:
    """Return small numbers, many of which are evaluated and sent together."""
    return seqtools.smap(partial(_number, touch), range(n)), _of_number


def _array(touch: Touch, dtype: Any, nbytes: int, i: int) -> Any:
    import numpy as np

    touch(i)
    body = (np.arange(nbytes - _STAMP.size) + i).astype(dtype)
    return np.frombuffer(sealed(i, body.data), dtype)


def arrays(n: int, touch: Touch = _nothing, nbytes: int = 100_000) -> Any:
    """Return arrays, each of which is copied to a slot where there are some."""
    import numpy as np

    return seqtools.smap(partial(_array, touch, np.dtype("u1"), nbytes), range(n)), opened


def _bytes(touch: Touch, i: int) -> bytes:
    touch(i)
    return sealed(i, (b"%8d" % i) * (_LARGE // 8))


def large(n: int, touch: Touch = _nothing) -> Any:
    """Return bytes, more than a pipe takes, which lie in the pickle itself."""
    return seqtools.smap(partial(_bytes, touch), range(n)), opened


def instances(n: int, touch: Touch = _nothing) -> Any:
    """Return objects of a class that workers cannot import."""

    class Sample:
        def __init__(self, i: int) -> None:
            self.i, self.text = i, f"sample {i}"

    def make(i: int) -> Sample:
        touch(i)
        return Sample(i)

    def which(value: Any) -> int:
        if type(value) is not Sample or value.text != f"sample {value.i}":
            raise Wrong(f"{value!r} is no sample of ours")
        return value.i

    return seqtools.smap(make, range(n)), which


def _sample(touch: Touch, dtype: Any, i: int) -> dict[str, Any]:
    if i % _BATCH == 0:
        touch(i // _BATCH)
    return {"row": _array(_nothing, dtype, 40_000, i), "number": i}


def _of_batch(value: Any) -> int:
    return _first([opened(row.copy()) for row in value["row"]], value["number"].tolist())


def _first(found: Sequence[int], told: Sequence[int]) -> int:
    """Return which batch it is."""
    k = found[0] // _BATCH
    if not list(found) == list(told) == list(range(k * _BATCH, (k + 1) * _BATCH)):
        raise Wrong(f"no batch of ours has items {found} and says {told}")
    return k


def collated(n: int, touch: Touch = _nothing) -> Any:
    """Return batches which are written where they are delivered."""
    import numpy as np

    samples = seqtools.smap(partial(_sample, touch, np.dtype("u1")), range(n * _BATCH))
    return seqtools.batch(samples, _BATCH, collate_fn=seqtools.collate_arrays), _of_batch


def _file(k: int) -> list[bytes]:
    return [sealed(i, b"%d" % i * 100) for i in range(k * _ROWS, (k + 1) * _ROWS)]


def _row(touch: Touch, data: bytes) -> tuple[int, bytes]:
    i = opened(data)
    if i % _BATCH == 0:
        touch(i // _BATCH)
    return i, data


def _of_rows(value: Any) -> int:
    return _first([opened(data) for _, data in value], [i for i, _ in value])


def cached(n: int, touch: Touch = _nothing) -> Any:
    """Return batches of rows of files, which are read ahead in the background and kept."""
    files = seqtools.smap(_file, range(-(-n * _BATCH // _ROWS)))
    rows = seqtools.unbatch(seqtools.add_cache(files, 3), _ROWS)
    touched = seqtools.smap(partial(_row, touch), rows)
    return seqtools.batch(touched[: n * _BATCH], _BATCH), _of_rows


PAYLOADS = {
    "numbers": Payload(numbers, 8, 20, 8, 9),
    "blocks": Payload(numbers, 64, 160, 64, 5),
    "arrays": Payload(arrays, 8, 20, 2, 8, slots=True),
    "large": Payload(large, 4, 12, 1, 5, slots=True),
    "instances": Payload(instances, 8, 20, 8, 9),
    "collated": Payload(collated, 8, 20, 2, 8),
    "cached": Payload(cached, 8, 20, 8, 8),
}


# What an item can do to the worker that evaluates it


def die(how: str) -> None:
    """End this process."""
    if how == "exit":
        os._exit(3)
    number = getattr(signal, how)
    if how != "SIGKILL":
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


class Deadly:
    """Kills the worker whenever it is at one of these items."""

    def __init__(self, items: Sequence[int], how: str) -> None:
        self.items, self.how = frozenset(items), how

    def __call__(self, i: int) -> None:
        if i in self.items:
            die(self.how)


class Orphans:
    """Kills the worker once at each of these items, and leaves a process with its pipes."""

    def __init__(self, items: Sequence[int], how: str, folder: str) -> None:
        self.items, self.how, self.folder = frozenset(items), how, folder

    def __call__(self, i: int) -> None:
        mark = Path(self.folder, f"orphan-{i}")
        if i not in self.items or mark.exists():
            return
        if self.how == "fork":
            pid = os.fork()
            if pid == 0:
                signal.pause()
        else:
            for fd in os.listdir("/proc/self/fd"):
                try:
                    os.set_inheritable(int(fd), True)
                except OSError:  # the one that the listing itself had open
                    continue
            program = ["/bin/sleep", "60"]
            pid = subprocess.Popen(program, close_fds=False, start_new_session=True).pid
        mark.write_text(str(pid))
        die("SIGKILL")


def end_orphans(folder: str) -> None:
    """End the processes that were left."""
    for mark in Path(folder).glob("orphan-*"):
        with suppress(ProcessLookupError):  # it has ended with its worker
            os.kill(int(mark.read_text()), signal.SIGKILL)


class Hook:
    """A start hook that fails: always, or for the first workers."""

    def __init__(self, how: str, log: str) -> None:
        self.how, self.log = how, log

    def __call__(self) -> None:
        fd = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(fd, b"x")
        calls = os.lseek(fd, 0, os.SEEK_CUR)
        os.close(fd)
        if self.how == "raises":
            raise OSError("no such camera")
        if self.how == "dies":
            die("SIGKILL")
        if self.how == "exits" or calls <= FIRST:
            os._exit(7)


FIRST = 3
"""Workers for which the hook fails that fails at first."""
