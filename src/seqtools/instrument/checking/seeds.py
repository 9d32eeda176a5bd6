"""One seed that two stages in a chain use."""

from collections.abc import Iterator
from typing import Any

from seqtools._core.chance.seeds import Seed
from seqtools._core.display.tree import arguments_of
from seqtools._core.walk import upstream
from seqtools.instrument.checking.findings import Findings
from seqtools.instrument.checking.pickling import place

_MAPS = ("smap", "starmap")


def check_seeds(stages: list[Any], found: Findings) -> None:
    """Report stages that draw the same numbers as a stage upstream of them.

    Side by side it is meant: an image and its mask are cropped in the same way. The seed of an
    order, such as that of `shuffle`, is for no function.
    """
    given = {id(stage): dict(_seeds(stage)) for stage in stages}
    for stage in stages:
        own = given[id(stage)]
        for other in upstream(stage) if own else ():
            if other is stage:
                continue
            for name, seed in own.items():
                if seed is not None and given[id(other)].get(name) == seed:
                    what = (
                        f"{name}={seed!r} is also the seed of {place(other)}, from which it reads: "
                        "for one item, both draw the same numbers"
                    )
                    found.add(what, place(stage), f"{name}={(seed, 'again')!r}, or another seed")


def _seeds(stage: Any) -> Iterator[tuple[str, Seed]]:
    """Yield the name and the value of each seed of functions of `stage`."""
    if stage._traits.reads_ahead:
        yield "seed", stage._args()[1].seed
    elif stage._name in _MAPS:
        yield from ((n, seed) for n, seed in arguments_of(stage)[0] if n in {"rng", "seed"})
