"""A run of several epochs, and what its loaders should read."""

from collections.abc import Callable
from typing import Any

import seqtools
from seqtools import smap

LENGTH, EPOCHS = 4, 3
RUN = [10 * i for i in range(LENGTH * EPOCHS)]

MAKE: dict[str, Callable[[], Any]] = {
    "list": lambda: RUN,
    "stage": lambda: smap(lambda i: 10 * i, range(len(RUN))),
    "slice": lambda: smap(lambda i: 10 * i, range(100))[: len(RUN)],
    "inline": lambda: seqtools.prefetch(RUN, nworkers=0),
    "threads": lambda: seqtools.prefetch(RUN, nworkers=2),
}


def epochs(of: Any) -> list[list[Any]]:
    """Return what each `for` reads, until all epochs have been read."""
    found: list[list[Any]] = []
    while of.epoch < EPOCHS:
        found.append(list(of))
    return found


def split(start: int) -> list[list[int]]:
    """Return what each epoch has from item `start` of the run on."""
    stops = [stop for stop in range(LENGTH, len(RUN) + 1, LENGTH) if stop > start]
    return [RUN[max(start, stop - LENGTH) : stop] for stop in stops]


def after(reader: Any, count: int) -> Any:
    """Return the state after so many items, in the body of the `for` that reads the last one."""
    while count:
        for _ in reader:
            count -= 1
            if not count:
                break
    return reader.state_dict()
