"""What a forked child must have anew: a lock may be held by a thread that it does not have."""

import os
import weakref
from typing import Protocol


class Renewable(Protocol):
    """What has locks, or notes of what threads are at."""

    def renew(self) -> None:
        """Have new locks, and no note of any thread but this one."""


_all: weakref.WeakSet[Renewable] = weakref.WeakSet()


def renew_in_children(thing: Renewable) -> None:
    """Have `thing` renewed in every process that is forked from here on, as long as it lives."""
    _all.add(thing)


def _renew() -> None:
    for thing in list(_all):
        thing.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
