"""One seed that two stages in a chain use."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from seqtools._core.chance.seeds import Seed
from seqtools._core.display.tree import arguments_of
from seqtools._core.sources import size_of
from seqtools._core.walk import draw_index_of, is_stage, upstream
from seqtools.instrument.checking.findings import Findings
from seqtools.instrument.checking.pickling import place

_MAPS = ("smap", "starmap")


def check_seeds(stages: list[Any], found: Findings) -> None:
    """Report stages that draw the same numbers as a stage upstream of them.

    Side by side it is meant: an image and its mask are cropped in the same way. The seed of an
    order, such as that of `shuffle`, is for no function.
    """
    given = {id(stage): dict(seeds_of(stage)) for stage in stages}
    for stage in stages:
        own = given[id(stage)]
        for other in upstream(stage) if own else ():
            if other is stage:
                continue
            for name, seed in own.items():
                if seed is None or given[id(other)].get(name) != seed:
                    continue
                how = _drawn_alike(stage, other)
                if how:
                    what = f"{name}={seed!r} is also the seed of {place(other)}, from which it "
                    what += f"reads: {how}"
                    found.add(what, place(stage), f"{name}={(seed, 'again')!r}, or another seed")


def is_drawing(stage: Any) -> bool:
    """Return whether functions of `stage` draw with a seed."""
    return any(seed is not None for _, seed in seeds_of(stage))


def seeds_of(stage: Any) -> Iterator[tuple[str, Seed | None]]:
    """Yield the name and the value of each seed of functions of `stage`."""
    if stage._traits.reads_ahead:
        yield "seed", stage._args()[1].seed
    elif stage._name in _MAPS:
        yield from ((n, seed) for n, seed in arguments_of(stage)[0] if n in {"rng", "seed"})


def _drawn_alike(stage: Any, other: Any) -> str:
    """Return in words which items of `stage` draw what those of `other` draw; "" if none do.

    A few items tell. Where a stage between them reorders items, an item has another position.
    """
    with suppress(Exception):  # lengths and positions that a stage of the user's computes
        n = size_of(stage)
        indices = [1, 2, 3] if n is None else sorted({i for i in (1, 2, n // 2, n - 1) if i < n})
        ways = [_positions(stage, i, other) for i in indices]
        if ways and all(position in first for position, first, _ in ways):
            if all(single for _, _, single in ways):
                return "for one item, both draw the same numbers"
            return "an item draws the same numbers as the first of the items that it is made of"
    return ""


def _positions(stage: Any, i: int, other: Any) -> tuple[int, set[int], bool]:
    """Return where item `i` of `stage` draws, and the items of `other` that are read first for it.

    Returns:
        The position for `stage`; the positions for `other`; whether one item is read each time.
    """
    there = _position(other)
    seen: set[tuple[int, int]] = set()
    positions, single = set(), True
    left = [(stage, i)]
    while left:
        each, k = left.pop()
        if each is other:
            positions.add(there(k))
        if each is other or not is_stage(each) or (id(each), k) in seen:
            continue
        seen.add((id(each), k))
        for source, indices in each._reads(range(k, k + 1)):
            if len(indices):
                left.append((source, int(indices[0])))
                single = single and len(indices) == 1
    return _position(stage)(i), positions, single


def _position(stage: Any) -> Any:
    index = draw_index_of(stage)
    return index if index is not None else int
