"""The lengths of stages: asked for once, and again when a stage is refreshed.

A stage keeps its length, and what follows from the lengths of its sources, so that an index is
checked by one comparison. `Prefetch.refresh` says that sources may have changed. Then all of that
is forgotten, in the stages upstream of the prefetch and in those downstream: each stage that reads
through a stage which reads ahead is noted here, by a weak reference, when it is first asked for
its length. A program without such a stage pays nothing for it.
"""

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from seqtools._core.walk import is_stage, sources_of, summary, upstream

UNREAD = -1
"""The length of a stage that was not asked for it."""

refreshable = False
"""Whether there is, or was, a stage in this process that can be refreshed."""

refreshes = 0
"""How often one was refreshed."""

_followers: dict[int, weakref.ref[Any]] = {}
"""Stages with a stage upstream that can be refreshed, and that have asked for a length."""


def asked(stage: Any) -> int:
    """Note that `stage` is about to keep what it is told of lengths; return `refreshes`.

    If that is another number afterwards, what it was told may be wrong by now.
    """
    if refreshable:
        _follow(stage)
    return refreshes


def is_known(stage: Any) -> bool:
    """Return whether `stage` was asked for its length."""
    return bool(stage._known_size != UNREAD)


def forget(stages: Iterable[Any]) -> None:
    """Have `stages` be asked for their lengths again, as if they had never been."""
    for stage in stages:
        stage._known_size = UNREAD
        stage._bound = 0
        stage._layout = None


@contextmanager
def unread(stages: Iterable[Any]) -> Iterator[None]:
    """Return a context after which lengths that were first asked for in it are not known."""
    asked = [stage for stage in stages if not is_known(stage)]
    try:
        yield
    finally:
        forget(asked)


def _follow(stage: Any) -> None:
    """Note that `stage` keeps lengths, if a stage upstream can be refreshed."""
    key = id(stage)
    if key not in _followers and summary(stage).traits.reads_ahead:
        remove = _followers.pop  # bound now: when the program ends, modules may be gone
        _followers[key] = weakref.ref(stage, lambda _: remove(key, None))


def refresh(refreshed: Any) -> None:
    """Have all stages that read through `refreshed`, and that it reads through, take it as it is.

    All forget their lengths before the first is told of it by `_forget`; and again afterwards,
    what another thread was told meanwhile.
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
    """Return which stage an error about a length is about, if it may have been right before.

    Otherwise it is raised where the stage is made, and says so by its traceback.
    """
    if not refreshes or id(stage) not in _followers:
        return ""
    file, line = stage._origin
    return f", for {stage._describe()}, made at {file}:{line}"


def _downstream(refreshed: Any) -> list[Any]:
    """Return the stages noted that read through `refreshed`, itself not included."""
    followers = [each for ref in list(_followers.values()) if (each := ref()) is not None]
    reads: dict[int, bool] = {id(refreshed): True}
    found = []
    for follower in followers:
        for stage in upstream(follower, past=lambda stage: id(stage) not in reads):
            if id(stage) not in reads:
                sources = (source for source in sources_of(stage) if is_stage(source))
                reads[id(stage)] = any(reads[id(source)] for source in sources)
                if reads[id(stage)]:
                    found.append(stage)
    return found
