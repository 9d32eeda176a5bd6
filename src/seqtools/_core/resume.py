"""States of iterators: a position, and a fingerprint of the pipeline that it belongs to.

The fingerprint has one byte for each stage, sources first. It depends on names, lengths and plain
arguments, such as sizes and seeds; never on code, values, workers or caches.

Ranks of a distributed run are at the same step. So their position is the number of items before
`shard` that all of them have passed, which holds for any number of ranks.
"""

import operator
from collections.abc import Mapping
from typing import Any, NamedTuple

from seqtools._core.checks import is_bool
from seqtools._core.display.short import short
from seqtools._core.errors import described
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
    passed: int
    """The number of items before `shard` that are left out of `stage`."""
    position: int
    """The number of items of `stage` that were read before."""
    left: tuple[tuple[int, int], ...] = ()
    """Ranges of items before `position` that were not read, in a prefetch without order."""


def state_of(stage: Any, places: range, position: int, passed: int = 0) -> dict[str, Any]:
    """Return the state of an iterator over the items of `stage` at `places`.

    Args:
        stage: The sequence.
        places: Those that the iterator reads.
        position: The number of items that it has returned.
        passed: See `Target`.
    """
    marks = _marks(stage, places)
    state: dict[str, Any] = {"seqtools": _FORMAT, "position": position, "of": len_of(stage)}
    if traits_upstream(stage).sharded:
        before = _before(stage, position)
        if before is None or not _is_whole(places):
            state["world"] = summary(stage).world
        else:
            n = state["of"] = _of_all(stage)
            state["position"] = passed + before if n is None else min(passed + before, n)
    state["pipeline"] = _hex([mark for _, mark in marks])
    return state


def loaded(state: Any, stage: Any, places: range) -> Target:
    """Return where an iterator over the items of `stage` at `places` goes on.

    Raises:
        TypeError: If `state` is neither a mapping nor an integer.
        ValueError: If it is the state of another pipeline, or there is no such position.
    """
    ours = state_of(stage, places, 0)
    if not isinstance(state, Mapping):
        state = {**ours, "position": state}
    if state.get("seqtools") != _FORMAT or not {"position", "of", "pipeline"} <= set(state):
        message = (
            "state must be what state_dict() of an iterator over a sequence has returned, or an "
            f"integer, got {short(dict(state))}"
        )
        raise ValueError(message)
    _compare(state, ours, stage, places)
    k = _checked_position(state["position"], stage, ours["of"])
    if "world" in ours or not traits_upstream(stage).sharded:
        left = tuple((int(start), int(stop)) for start, stop in state.get("left", ()))
        return Target(stage, 0, k, left)
    return _for_this_rank(stage, k, ours["of"])


def _compare(state: Mapping[str, Any], ours: dict[str, Any], stage: Any, places: range) -> None:
    """Raise `ValueError` if `state` is of another pipeline."""
    position = state["position"]
    after = f": to go to this position all the same, load the integer {short(position)}"
    if "world" in state and "world" in ours and state["world"] != ours["world"]:
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
    from hashlib import blake2b

    found: list[tuple[str, object]] = []
    for each in upstream(stage, plain=True):
        if not is_stage(each):
            found.append((f"a source of type {type(each).__name__}", ("source", len(each))))
            continue
        identity = each._identity()
        if identity is not None:
            sharded = traits_upstream(each).sharded  # lengths depend on the number of ranks
            length = None if sharded else size_of(each)
            found.append((described(each), (identity, length)))
    if not _is_whole(places):
        found.append(("its order", ("order", places.start, places.step)))
    return [
        (name, blake2b(repr(identity).encode(), digest_size=1).digest()[0])
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
    """Return by how much the position in a state grows with each item of `stage`."""
    return (_before(stage, 1) or 1) if traits_upstream(stage).sharded else 1


def keeps_steps(stage: Any) -> bool:
    """Return whether the items up to `shard` that make an item of `stage` are consecutive ones."""
    return _before(stage, 0) is not None


def _before(stage: Any, i: int) -> int | None:
    """Return how many items before `shard` all ranks have passed after `i` items of `stage`.

    Returns `None` if that is not known, because items are reordered after `shard`.
    """
    while not stage._traits.sharded:
        j = stage._passed(i)
        sources = [each for each in sources_of(stage) if is_stage(each)]
        if j is None or len(sources) != len(sources_of(stage)) or not sources:
            return None
        if len(sources) > 1:
            found = {_before(s, j) if traits_upstream(s).sharded else None for s in sources}
            return found.pop() if len(found) == 1 else None
        i, stage = j, sources[0]
        if not traits_upstream(stage).sharded:
            return None
    if any(traits_upstream(source).sharded for source in sources_of(stage)):
        return None  # sharded twice
    n = _of_all(stage)
    passed = i * int(stage.world)
    return passed if n is None else min(passed, n)


def _of_all(stage: Any) -> int | None:
    """Return the number of items before `shard`."""
    shard = next(each for each in upstream(stage) if each._traits.sharded)
    return size_of(shard._sources()[0])


def _for_this_rank(stage: Any, k: int, n: int | None) -> Target:
    """Return where this rank goes on when all ranks have passed `k` of `n` items before `shard`."""
    step = _before(stage, 1) or 1
    if k == n:
        return Target(stage, 0, stage._length())
    if k % step == 0:
        return Target(stage, 0, k // step)
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
    return Target(made[id(stage)], k, 0)
