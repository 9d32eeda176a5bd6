"""The files that the demo reads."""

import os
from collections.abc import Iterator

STANDARD_LIBRARY = os.path.dirname(os.__file__)
MOST = 64
"""Most files: three seconds inline, if each arrives after 40 ms."""

_SKIPPED = {
    *("__pycache__", "site-packages", "dist-packages", "node_modules"),
    *("test", "tests", "idle_test"),  # the tests of Python have files with errors on purpose
}


def find(folder: str) -> list[str]:
    """Return Python files in `folder` and its subfolders, at most `MOST`, spread evenly.

    Raises:
        ValueError: If there are none, or there is no such folder.
    """
    found = sorted(_walk(folder))
    if not found:
        wrong = f"there are no Python files in {folder}"
        if not os.path.isdir(folder):
            exists = os.path.exists(folder)
            wrong = f"{folder} is not a folder" if exists else f"there is no folder {folder}"
        raise ValueError(f"{wrong}: give another folder, or none for the standard library")
    return found[:: -(-len(found) // MOST)]


def _walk(folder: str) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if f not in _SKIPPED and not f.startswith(".")]
        paths = (os.path.join(parent, name) for name in names if name.endswith(".py"))
        yield from filter(os.path.isfile, paths)
