"""The one walk through a pipeline: every stage upstream, each once, evaluating nothing.

A stage of a user's that fails to say what it reads from is taken for one that reads from nothing:
who reads an item of it is told.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeGuard


def is_stage(source: object) -> TypeGuard[Any]:
    """Return whether `source` is a lazy sequence of ours, which can be seen through."""
    return getattr(source, "_is_stage", False) is True


def sources_of(stage: Any) -> tuple[Any, ...]:
    """Return what `stage` reads from; nothing if it fails to tell."""
    try:
        return tuple(stage._sources())
    except Exception:  # noqa: BLE001 -- a stage of the user's
        return ()


def upstream(
    sequence: Any, *, plain: bool = False, past: Callable[[Any], bool] | None = None
) -> Iterator[Any]:
    """Yield `sequence` and the stages that it reads from, each once, what is read first.

    Args:
        sequence: Where to begin.
        plain: Whether to yield sources that are no stages too, such as lists.
        past: Says of a stage whether to go on to what it reads from; `None` goes on always.
    """
    seen: set[int] = set()
    left = [(sequence, False)] if plain or is_stage(sequence) else []
    while left:
        each, ready = left.pop()
        if ready:
            yield each
        elif id(each) not in seen:
            seen.add(id(each))
            left.append((each, True))
            if is_stage(each) and (past is None or past(each)):
                sources = reversed(sources_of(each))
                left.extend((source, False) for source in sources if plain or is_stage(source))


def any_upstream(sequence: Any, flag: str) -> bool:
    """Return whether `sequence`, or a stage that it reads from, has `flag` set."""
    return any(getattr(stage, flag) for stage in upstream(sequence))


def nesting(sequence: Any) -> int:
    """Return how many stages `sequence` is read through at most, itself included."""
    for stage in upstream(sequence, past=lambda stage: not stage._nested):
        if not stage._nested:
            own = (source._nested for source in sources_of(stage) if is_stage(source))
            stage._nested = 1 + max(own, default=0)
    return sequence._nested if is_stage(sequence) else 0


def drawing_apart(sequence: Any) -> list[Any]:
    """Return the stages upstream that evaluate items with random numbers of their own.

    They are in an order that is the same in every process: see `seeding`.
    """
    return [stage for stage in upstream(sequence) if stage._draws_apart]  # noqa: SLF001 -- ours
