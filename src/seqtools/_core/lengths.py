"""The lengths of stages: each is read once, and again after a stage was refreshed.

A stage keeps its length, and what follows from the lengths of its sources, so that one comparison
checks an index. `Prefetch.refresh` says that sources may have changed: then the stages upstream and
downstream of the prefetch forget their lengths. Each stage with a stage upstream that reads ahead
is noted here when it first reads a length. A program without such a stage pays nothing for it.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakValueDictionary

from seqtools._core.source_code import place
from seqtools._core.walk import is_stage, sources_of, summary, upstream

UNREAD = -1
"""The length of a stage whose length was not read."""

refreshable = False
"""Whether there is, or was, a stage in this process that can be refreshed."""

refreshes = 0
"""A number that changes with each refresh."""

_followers: WeakValueDictionary[int, Any] = WeakValueDictionary()
"""Stages, by identity, that have read a length and have a stage upstream that can be refreshed."""


def asked(stage: Any) -> int:
    """Note that `stage` is about to read and keep lengths; return `refreshes`.

    If that number has changed afterwards, these lengths may be out of date.
    """
    if refreshable and summary(stage).traits.reads_ahead:
        _followers[id(stage)] = stage
    return refreshes


def is_known(stage: Any) -> bool:
    """Return whether the length of `stage` was read."""
    return bool(getattr(stage, "_known_size", UNREAD) != UNREAD)


def forget(stages: Iterable[Any]) -> None:
    """Let the lengths of `stages` be read again, as if they had never been."""
    for stage in stages:
        stage._known_size = UNREAD
        stage._bound = 0
        stage._layout = None


@contextmanager
def unread(stages: Iterable[Any]) -> Iterator[None]:
    """Return a context after which lengths that were first read in it are not known."""
    unknown = [stage for stage in stages if not is_known(stage)]
    try:
        yield
    finally:
        forget(unknown)


def refresh(refreshed: Any) -> None:
    """Adapt all stages upstream and downstream of `refreshed` to sources that have changed.

    All forget their lengths before `_forget` of the first one is called, and again afterwards,
    because another thread may have read lengths in between.
    """
    global refreshes  # noqa: PLW0603 -- one for the process
    affected = [*upstream(refreshed), *_downstream(refreshed)]
    refreshes += 1
    forget(affected)
    try:
        for stage in affected:
            stage._forget()
    finally:
        refreshes += 1
        forget(affected)


def since_refresh(stage: Any) -> str:
    """Return the name and place of `stage` for an error that a refresh may have caused, else "".

    Other errors are raised where the stage is made, so that their traceback tells the place.
    """
    if not refreshes or id(stage) not in _followers:
        return ""
    return f", for {stage._describe()}, made at {place(*stage._origin)}"


def _downstream(refreshed: Any) -> list[Any]:
    """Return the noted stages that read through `refreshed`, and those between, without itself."""
    affected = {id(refreshed)}
    found = []
    for follower in list(_followers.values()):
        for stage in upstream(follower):
            sources = (source for source in sources_of(stage) if is_stage(source))
            if id(stage) not in affected and any(id(source) in affected for source in sources):
                affected.add(id(stage))
                found.append(stage)
    return found
