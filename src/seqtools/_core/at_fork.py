"""Renewal in forked children: a thread that the child does not have may hold a lock."""

import os
import weakref
from typing import Protocol


class Renewable(Protocol):
    """An object with locks, or with state about threads."""

    def renew(self) -> None:
        """Create new locks, and forget all threads except this one."""


_all: weakref.WeakSet[Renewable] = weakref.WeakSet()


def renew_in_children(thing: Renewable) -> None:
    """Call `thing.renew()` in every process that is forked while `thing` exists."""
    _all.add(thing)


def _renew() -> None:
    for thing in list(_all):
        thing.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
