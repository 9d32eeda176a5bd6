"""Which files the demo reads: the same in every run, and no more than takes seconds."""

import os
from collections.abc import Iterator

STANDARD_LIBRARY = os.path.dirname(os.__file__)
SUFFIXES = (".py",), (".txt", ".md", ".rst")
"""Kinds of files, the first of which there are any is taken."""
TOTAL = 8_000_000
"""Bytes to take at most: some seconds of work for one core."""
LARGEST = 1_000_000
"""Bytes of a file, beyond which it is left out: one item should not take a second."""

_NOT_SOURCES = {"__pycache__", "site-packages", "dist-packages", "node_modules"}
_TESTS = {"test", "tests", "idle_test"}  # in the standard library, files broken on purpose


def find(folder: str) -> list[str]:
    """Return the text files in `folder` and below, Python files if there are any.

    Of more than `TOTAL` bytes, a part is taken that is spread evenly.

    Raises:
        ValueError: If there is no such folder, or no such file in it.
    """
    if not os.path.isdir(folder):
        problem = "is not a folder" if os.path.exists(folder) else "does not exist"
        raise ValueError(f"{folder} {problem}: give a folder, or none for the standard library")
    found = sorted(_walk(folder))
    for suffixes in SUFFIXES:
        chosen = [(path, size) for path, size in found if path.endswith(suffixes)]
        if chosen:
            total = sum(size for _, size in chosen)
            count = max(1, min(len(chosen), len(chosen) * TOTAL // max(1, total)))
            return [chosen[k * len(chosen) // count][0] for k in range(count)]
    kinds = ", ".join(f"*{suffix}" for group in SUFFIXES for suffix in group)
    raise ValueError(
        f"{folder} has no text files ({kinds}, up to {LARGEST // 10**6} MB): "
        "give another folder, or none for the standard library"
    )


def _walk(folder: str) -> Iterator[tuple[str, int]]:
    skipped = _NOT_SOURCES | (_TESTS if folder == STANDARD_LIBRARY else set())
    for parent, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if f not in skipped and not f.startswith(".")]
        for name in names:
            path = os.path.join(parent, name)
            if os.path.isfile(path) and (size := os.path.getsize(path)) <= LARGEST:
                yield path, size
