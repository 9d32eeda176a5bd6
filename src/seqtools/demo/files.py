"""Which files the demo reads: the same in every run, and no more than takes seconds."""

import os
from collections.abc import Iterator

STANDARD_LIBRARY = os.path.dirname(os.__file__)
TOTAL = 8_000_000
"""Bytes to take at most: some seconds of work for one core."""
LARGEST = 1_000_000
"""Bytes of a file, beyond which it is left out: one item should not take a second."""

_NOT_SOURCES = {"__pycache__", "site-packages", "dist-packages", "node_modules"}
_TESTS = {"test", "tests", "idle_test"}  # in the standard library, files broken on purpose


def find(folder: str) -> list[str]:
    """Return the Python files in `folder` and below.

    Of more than `TOTAL` bytes, a part is taken that is spread evenly.

    Raises:
        ValueError: If there is no such file.
    """
    found = sorted(_walk(folder))
    if not found:
        raise ValueError(
            f"there are no Python files in {folder}: give another folder, or none for the "
            "standard library"
        )
    total = sum(size for _, size in found)
    count = max(1, min(len(found), len(found) * TOTAL // max(1, total)))
    return [found[k * len(found) // count][0] for k in range(count)]


def _walk(folder: str) -> Iterator[tuple[str, int]]:
    skipped = _NOT_SOURCES | (_TESTS if folder == STANDARD_LIBRARY else set())
    for parent, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if f not in skipped and not f.startswith(".")]
        for name in names:
            path = os.path.join(parent, name)
            if name.endswith(".py") and os.path.isfile(path):
                size = os.path.getsize(path)
                if size <= LARGEST:
                    yield path, size
