"""Bytes that arrive in pieces, and damaged."""

import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest import mock

from hypothesis import strategies as some

EDITS = some.lists(
    some.tuples(some.floats(0, 1), some.sampled_from(["flip", "insert", "remove"]), some.binary()),
    min_size=1,
    max_size=3,
)
"""Where in a stream, what, and which or how many bytes."""


class Pieces:
    """A source, such as a pipe, in which the bytes arrive a piece at a time."""

    def __init__(self, data: bytes, lengths: Sequence[int] = ()) -> None:
        self._data, self._lengths, self._waits = data, [*lengths], False

    def read(self, n: int, /) -> bytes:
        self._waits = not self._waits
        if self._waits and self._lengths:
            raise BlockingIOError
        n = min(n, self._lengths.pop() if self._lengths else n)
        taken, self._data = self._data[:n], self._data[n:]
        return taken

    def readinto(self, view: memoryview, /) -> int:
        taken = self.read(len(view))
        view[: len(taken)] = taken
        return len(taken)


@contextmanager
def mapped() -> Iterator[list[int]]:
    """Give the sizes of all memory that is mapped meanwhile."""
    sizes: list[int] = []
    real = mmap.mmap

    def noting(fd: int, size: int) -> mmap.mmap:
        sizes.append(size)
        return real(fd, size)

    with mock.patch.object(mmap, "mmap", noting):
        yield sizes


def damaged(data: bytes, edits: Sequence[tuple[float, str, bytes]]) -> bytes:
    for where, what, more in edits:
        k = int(where * len(data))
        if what == "insert":
            data = data[:k] + more + data[k:]
        elif what == "remove":
            data = data[:k] + data[k + 1 + len(more) :]
        else:
            flipped = bytes(a ^ b for a, b in zip(data[k:], more or b"\1", strict=False))
            data = data[:k] + flipped + data[k + len(flipped) :]
    return data
