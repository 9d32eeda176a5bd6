"""The one walk through a pipeline: every stage upstream, each once, evaluating nothing.

A stage of a user's that fails to say what it reads from is taken for one that reads from nothing:
who reads an item of it is told.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeGuard

from seqtools._core.traits import NONE, Traits, union


class Summary(NamedTuple):
    """What is known of a stage together with all that it is read through, found out once."""

    nesting: int
    """Stages that it is read through at most, itself included."""
    cursors: int
    """Ways to a stage that reads ahead, which are the cursors that a reader of its own has."""
    traits: Traits
    """The traits that one of them has."""


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


def summary(stage: Any) -> Summary:
    """Return what is known of `stage` and of all that it is read through."""
    return stage._summary or _found_out(stage)


def _found_out(stage: Any) -> Summary:
    sources = sources_of(stage)
    for source in sources:
        if is_stage(source) and source._summary is None:
            for each in upstream(source, past=lambda each: each._summary is None):
                if each._summary is None:
                    each._summary = summed(each._traits, sources_of(each))
    found: Summary = summed(stage._traits, sources)
    stage._summary = found
    return found


def summed(own: Traits, sources: Iterable[Any]) -> Summary:
    """Return the summary of a stage with these traits that reads from `sources`."""
    nesting, cursors, traits = 0, 0, own
    for source in sources:
        if is_stage(source):
            depth, ways, of_source = summary(source)
            nesting = max(nesting, depth)
            cursors += ways
            traits = union(traits, of_source)
    return Summary(nesting + 1, 1 if own.reads_ahead else cursors, traits)


def traits_upstream(sequence: Any) -> Traits:
    """Return the traits that `sequence`, or a stage that it reads from, has."""
    return summary(sequence).traits if is_stage(sequence) else NONE


def nesting(sequence: Any) -> int:
    """Return how many stages `sequence` is read through at most, itself included."""
    return summary(sequence).nesting if is_stage(sequence) else 0


def drawing_apart(sequence: Any) -> list[Any]:
    """Return the stages upstream that evaluate items with random numbers of their own.

    They are in an order that is the same in every process: see `seeding`.
    """
    return [stage for stage in upstream(sequence) if stage._traits.draws_apart]
