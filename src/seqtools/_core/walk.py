"""The one walk through a pipeline: every stage upstream, each once, evaluating nothing.

If `_sources` of a user's stage fails, the walk takes it for a stage without sources: the reader of
an item gets the error.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeGuard

from seqtools._core.traits import NONE, Traits, union


class Summary(NamedTuple):
    """Properties of a stage together with all stages upstream."""

    nesting: int
    """The length of the longest path upstream, in stages."""
    cursors: int
    """The number of paths to a stage that reads ahead, each of which needs a cursor."""
    traits: Traits
    """The traits that the stage, or one upstream, has."""
    rank: int
    """The number of this rank, from 0 to `world - 1`, which no other rank has."""
    world: int
    """The number of ranks that read other items than this one; 1 if nothing is sharded."""


def is_stage(source: object) -> TypeGuard[Any]:
    """Return whether `source` is a `LazySequence`."""
    return getattr(source, "_is_stage", False) is True


def sources_of(stage: Any) -> tuple[Any, ...]:
    """Return the sources of `stage`, none if its `_sources` fails."""
    try:
        return tuple(stage._sources())
    except Exception:  # noqa: BLE001 -- a stage of the user's
        return ()


def upstream(
    sequence: Any, *, plain: bool = False, past: Callable[[Any], bool] | None = None
) -> Iterator[Any]:
    """Yield `sequence` and the stages upstream, each once, sources before their readers.

    Args:
        sequence: The last one.
        plain: Whether to yield sources that are no stages too, such as lists.
        past: Tells whether to continue with the sources of a stage; `None` means always.
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
    """Return the properties of `stage` together with all stages upstream."""
    return stage._summary or _summarize(stage)


def _summarize(stage: Any) -> Summary:
    sources = sources_of(stage)
    for source in sources:
        if is_stage(source) and source._summary is None:
            for each in upstream(source, past=lambda each: each._summary is None):
                if each._summary is None:
                    each._summary = _own(each, sources_of(each))
    found = _own(stage, sources)
    stage._summary = found
    return found


def _own(stage: Any, sources: Iterable[Any]) -> Summary:
    found = summed(stage._traits, sources)
    if not stage._traits.sharded:
        return found
    rank, world = found.rank + found.world * stage.rank, found.world * stage.world
    return found._replace(rank=rank, world=world)


def summed(own: Traits, sources: Iterable[Any]) -> Summary:
    """Return the summary of a stage with these traits that reads from `sources`.

    Sources that were sharded alike count once. If they were sharded in several ways, each
    combination of their ranks has a number of its own.
    """
    nesting, cursors, traits = 0, 0, own
    shards: list[tuple[int, int]] = []
    for source in sources:
        if is_stage(source):
            depth, ways, of_source, *shard = summary(source)
            nesting = max(nesting, depth)
            cursors += ways
            traits = union(traits, of_source)
            if shard[1] > 1 and tuple(shard) not in shards:
                shards.append((shard[0], shard[1]))
    rank, world = 0, 1
    for shard_rank, shard_world in shards:
        rank, world = rank + world * shard_rank, world * shard_world
    return Summary(nesting + 1, 1 if own.reads_ahead else cursors, traits, rank, world)


def traits_upstream(sequence: Any) -> Traits:
    """Return the traits that `sequence`, or a stage upstream, has."""
    return summary(sequence).traits if is_stage(sequence) else NONE


def nesting(sequence: Any) -> int:
    """Return the length of the longest path upstream from `sequence`, in stages."""
    return summary(sequence).nesting if is_stage(sequence) else 0


def draw_index_of(source: Any) -> Callable[[int], int] | None:
    """Return the function that gives the `_draw_index` of items of `source`, `None` if it is `i`.

    Of an elementwise stage with several sources, the first one counts that is sharded among the
    most ranks; if none is sharded, the first one of whose items it is another number than `i`.
    """
    stage = source
    while is_stage(stage):  # called for each item, so the common case comes first
        if not stage._traits.elementwise:
            return _own_draw_index(stage)
        sources = sources_of(stage)
        if len(sources) != 1:
            return _draw_index_of_one(stage)
        stage = sources[0]
    return None


def _own_draw_index(stage: Any) -> Callable[[int], int] | None:
    if stage._keeps_index and (stage._summary or summary(stage)).world == 1:
        return None
    return stage._draw_index  # type: ignore[no-any-return]


def _draw_index_of_one(stage: Any) -> Callable[[int], int] | None:
    """Return the same for an elementwise stage with several sources."""
    seen: set[int] = set()
    left = [stage]
    while left:
        stage = left.pop()
        if id(stage) in seen:
            continue
        seen.add(id(stage))
        if not stage._traits.elementwise:
            found = _own_draw_index(stage)
            if found is not None:
                return found
            continue
        sources = [each for each in sources_of(stage) if is_stage(each)]
        if summary(stage).world > 1 and sources:
            sources = [max(sources, key=lambda each: summary(each).world)]
        left.extend(reversed(sources))
    return None


def drawing_apart(sequence: Any) -> list[Any]:
    """Return the stages upstream that draw random numbers apart, in the same order everywhere."""
    return [stage for stage in upstream(sequence) if stage._traits.draws_apart]
