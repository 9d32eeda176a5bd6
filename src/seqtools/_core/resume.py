"""States of iterators: a position, and a fingerprint of the pipeline that it belongs to.

The fingerprint has one byte for each stage, sources first. It depends on names, lengths and plain
arguments, such as sizes and seeds; never on code, values, workers or caches.

Ranks of a distributed run are at the same step. So their position is the number of items before
`shard` that all of them have passed, which holds for any number of ranks.
"""

import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from seqtools._core.checks import is_bool
from seqtools._core.display.short import short
from seqtools._core.error_path import described
from seqtools._core.sources import size_of
from seqtools._core.walk import is_stage, sources_of, summary, traits_upstream, upstream

_FORMAT = 1
"""Version of the form of states."""
_LONGEST = 40
"""Most bytes of a fingerprint, so that states stay below 200 characters; the last byte stands for
all further stages."""
_PARTS = 64
"""Parts of an argument that are looked at, from all of it. Arbitrary."""


class Target(NamedTuple):
    """Where an iterator goes on."""

    stage: Any
    """The sequence to read; another one if the number of ranks has changed."""
    position: int
    """The number of items of `stage` that were read before."""
    left: tuple[tuple[int, int], ...] = ()
    """Ranges of items before `position` that were not read, in a prefetch without order."""


def state_of(
    stage: Any, places: range, target: Target, left: Sequence[tuple[int, int]] | None = None
) -> dict[str, Any]:
    """Return the state of an iterator over the items of `stage` at `places`.

    Args:
        stage: The sequence.
        places: Those that the iterator reads.
        target: What it reads in place of `stage`, and the number of items that it has returned.
        left: For an iterator without order, ranges of items before that were not returned.
    """
    state: dict[str, Any] = {
        "seqtools": _FORMAT, "position": target.position, "of": len_of(stage),
    }  # fmt: skip
    if traits_upstream(stage).sharded:
        before = _before(target.stage, target.position)
        if before is None or left or not _is_whole(places):  # then it is about this rank
            state["world"] = summary(stage).world
        else:
            state["position"], state["of"] = before, _of_all(stage)
    state["pipeline"] = _hex([mark for _, mark in _marks(stage, places)])
    return state if left is None else state | {"left": [list(ends) for ends in left]}


def loaded(state: Any, stage: Any, places: range) -> Target:
    """Return where an iterator over the items of `stage` at `places` goes on.

    Raises:
        TypeError: If `state` is neither a mapping nor an integer.
        ValueError: If it is the state of another pipeline, or there is no such position.
    """
    ours = state_of(stage, places, Target(stage, 0))
    if not isinstance(state, Mapping):
        state = {**ours, "position": state}
    if state.get("seqtools") != _FORMAT or not {"position", "of", "pipeline"} <= set(state):
        message = (
            "state must be what state_dict() of an iterator over a sequence has returned, or an "
            f"integer, got {short(dict(state))}"
        )
        raise ValueError(message)
    of_rank = "world" in state
    if of_rank:
        ours |= {"of": len_of(stage), "world": summary(stage).world}
    _compare(state, ours, stage, places)
    k = _checked_position(state["position"], stage, ours["of"])
    if of_rank or not traits_upstream(stage).sharded:
        return Target(stage, k, _checked_left(state.get("left", ()), k))
    return _for_this_rank(stage, k)


def _checked_left(left: Any, k: int) -> tuple[tuple[int, int], ...]:
    """Return ranges of items before `k`; raise `ValueError` if they are none."""
    try:
        ranges = tuple([(operator.index(start), operator.index(stop)) for start, stop in left])
        ends = [end for each in ranges for end in each]
    except (TypeError, ValueError):
        ends = [-1]
    if ends != sorted(ends) or (ends and not 0 <= ends[0] <= ends[-1] <= k):
        message = f"left must be ranges of items before position {k}, got {short(left)}"
        raise ValueError(message)
    return ranges


def _compare(state: Mapping[str, Any], ours: dict[str, Any], stage: Any, places: range) -> None:
    """Raise `ValueError` if `state` is of another pipeline."""
    position = state["position"]
    after = f": to go to this position all the same, load the integer {short(position)}"
    if "world" in state:  # it counts items of one rank, and an integer perhaps those of all
        after = ""
    if "world" in state and state["world"] != ours["world"]:
        message = (
            f"the state is of a run of {state['world']} ranks, this one has "
            f"{ours['world']}: only a pipeline that keeps the order of items after shard() "
            "can go on with another number of ranks"
        )
        raise ValueError(message)
    if state["pipeline"] != ours["pipeline"]:
        marks = _marks(stage, places)
        raise ValueError(_difference(str(state["pipeline"]), marks) + after)
    if state["of"] != ours["of"]:
        message = f"the state is of a sequence of {state['of']} items, this one has {ours['of']}"
        raise ValueError(message + after)


def _difference(theirs: str, marks: list[tuple[str, int]]) -> str:
    """Return in words the first stage whose mark is not that of a state."""
    ours = _hex([mark for _, mark in marks])
    if len(theirs) == len(ours):
        k = next(k for k in range(0, len(ours), 2) if theirs[k : k + 2] != ours[k : k + 2]) // 2
        several = k == _LONGEST - 1 < len(marks) - 1  # which the last byte stands for
        name = f"a stage after {marks[k - 1][0]}" if several else marks[k][0]
        return f"the state is of another pipeline, which differs first in {name}"
    common = min(len(theirs), len(ours))
    k = next((k for k in range(0, common, 2) if theirs[k : k + 2] != ours[k : k + 2]), common) // 2
    name = f"in {marks[k][0]}" if k < len(marks) else f"after {marks[-1][0]}"
    return (
        f"the state is of another pipeline, of {len(theirs) // 2} stages where this one has "
        f"{len(ours) // 2}; they differ first {name}"
    )


def _checked_position(given: Any, stage: Any, n: int | None) -> int:
    """Return a position as an `int`; raise an error if there is none such."""
    try:
        k = None if is_bool(given) else operator.index(given)
    except TypeError:
        k = None
    if k is None:
        message = f"a state must be a mapping or an integer, got {short(given)}"
        raise TypeError(message)
    if k < 0 or (n is not None and k > n):
        message = f"position {k} is not in {stage._describe()} of {n} items"
        raise ValueError(message)
    return k


# The fingerprint


def _marks(stage: Any, places: range) -> list[tuple[str, int]]:
    """Return the name and a byte for each stage, sources first, and for an order of its own."""
    return [(name, int(mark, 16)) for name, mark in marks_of(stage, places, size=1)]


def marks_of(stage: Any, places: range = range(1), size: int = 8) -> list[tuple[str, str]]:
    """Return the name and the mark, of `size` bytes in hexadecimal digits, for each of the same.

    `stage` may be a source that is none.
    """
    from hashlib import blake2b

    found: list[tuple[str, object]] = []
    for each in upstream(stage, plain=True):
        if not is_stage(each):
            found.append((f"a source of type {type(each).__name__}", ("source", size_of(each))))
            continue
        identity = each._identity()
        if identity is not None:
            sharded = traits_upstream(each).sharded  # lengths depend on the number of ranks
            length = None if sharded else size_of(each)
            found.append((described(each), (identity, length)))
    if not _is_whole(places):
        found.append(("its order", ("order", places.start, places.step)))
    return [
        (name, blake2b(repr(identity).encode(), digest_size=size).hexdigest())
        for name, identity in found
    ]


def _hex(marks: list[int]) -> str:
    from hashlib import blake2b

    if len(marks) > _LONGEST:
        rest = bytes(marks[_LONGEST - 1 :])
        marks = [*marks[: _LONGEST - 1], blake2b(rest, digest_size=1).digest()[0]]
    return bytes(marks).hex()


def plain(value: Any, sources: tuple[Any, ...] = ()) -> Any:
    """Return what a fingerprint can depend on of an argument that is not one of `sources`."""
    if any(value is source for source in sources):
        return "source"
    if value is None or isinstance(value, bool | int | float | str | bytes | range):
        return value
    if isinstance(value, Mapping):
        return [(plain(k), plain(v, sources)) for k, v in list(value.items())[:_PARTS]]
    array = type(value).__module__ == "numpy" and getattr(value, "ndim", 0) > 0
    if array or isinstance(value, tuple | list):
        some = value[:: max(1, len(value) // _PARTS)]
        return [len(value), *[plain(part, sources) for part in (some.tolist() if array else some)]]
    try:
        return operator.index(value)  # of numpy, for instance
    except TypeError:
        return "function" if callable(value) else type(value).__name__


def len_of(stage: Any) -> int | None:
    """Return the length of `stage`, `None` if there is none."""
    n: int | None = stage._length()
    return n


def _is_whole(places: range) -> bool:
    """Return whether `places` are all items in order."""
    return places.step == 1 and places.start == 0


# Ranks


def step_of(stage: Any) -> int:
    """Return by how much the position in a state grows with each item of `stage`.

    That is more than 1 if items of all ranks are counted.
    """
    found = _at_shard(stage, 1, {})
    return 1 if found is None else found[1] * int(found[0].world)


def ranks_are_even(stage: Any) -> bool:
    """Return whether all ranks have as many items of `stage`, as far as its shards tell."""
    return all(each.even for each in upstream(stage) if each._traits.sharded)


def keeps_steps(stage: Any) -> bool:
    """Return whether the items up to `shard` that make an item of `stage` are consecutive ones."""
    return _at_shard(stage, 0, {}) is not None


def _before(stage: Any, i: int) -> int | None:
    """Return how many items before `shard` all ranks have passed after `i` items of `stage`.

    Returns `None` if that is not known, because items are reordered after `shard`.
    """
    found = _at_shard(stage, i, {})
    if found is None:
        return None
    shard, j = found
    return shard._passed(j)  # type: ignore[no-any-return]


def _at_shard(
    stage: Any, i: int, known: dict[tuple[int, int], tuple[Any, int] | None]
) -> tuple[Any, int] | None:
    """Return the shard upstream, and how many of its items are passed after `i` of `stage`.

    Returns `None` if there is none, or if this is not known. Of several shards, which are alike,
    it is the first.
    """
    while traits_upstream(stage).sharded:
        sources = sources_of(stage)
        if stage._traits.sharded:  # but not twice
            return None if traits_upstream(sources[0]).sharded else (stage, i)
        j = stage._passed(i)
        if j is None or not sources:
            return None
        if len(sources) > 1:
            at = id(stage), i
            if at not in known:
                found = [_at_shard(source, j, known) for source in sources]
                alike = {f and (f[1], f[0].world, size_of(f[0]._sources()[0])) for f in found}
                known[at] = found[0] if len(alike) == 1 else None
            return known[at]
        stage, i = sources[0], j
    return None


def _of_all(stage: Any) -> int | None:
    """Return the number of items before `shard`."""
    shard = next(each for each in upstream(stage) if each._traits.sharded)
    return size_of(shard._sources()[0])


def _for_this_rank(stage: Any, k: int) -> Target:
    """Return where this rank goes on when all ranks have passed `k` items before `shard`."""
    position = k // step_of(stage)
    n = len_of(stage)
    if (n is None or position <= n) and _before(stage, position) == k:
        return Target(stage, position)
    made: dict[int, Any] = {}
    for each in upstream(stage):
        if not traits_upstream(each).sharded:
            continue
        if each._traits.sharded:
            copy = each._from(k)
        else:
            sources = [made.get(id(source), source) for source in each._sources()]
            copy = each._rebuild(*sources)
            if each._traits.keeps_items:  # what it keeps is of other items
                copy = type(each)(*sources, *each._args()[len(sources) :])
        copy._origin = each._origin
        made[id(each)] = copy
    return Target(made[id(stage)], 0)
