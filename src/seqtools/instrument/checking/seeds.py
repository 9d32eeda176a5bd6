"""One seed that two stages in a chain use."""

from collections.abc import Iterator
from typing import Any

from seqtools._core.display.tree import arguments_of
from seqtools._core.seeds import Seed
from seqtools._core.walk import upstream
from seqtools.instrument.checking.findings import Findings
from seqtools.instrument.checking.pickling import place

_MAPS = ("smap", "starmap", "prefetch")
"""Stages whose `seed=` is that of the global generators: with one seed, they draw the same."""


def check_seeds(stages: list[Any], found: Findings) -> None:
    """Report stages that draw the same numbers as a stage upstream of them.

    Side by side it is meant: an image and its mask are cropped in the same way.
    """
    given = {id(stage): dict(_seeds(stage)) for stage in stages}
    for stage in stages:
        own = given[id(stage)]
        for other in upstream(stage) if own else ():
            if other is stage:
                continue
            for kind, (name, seed) in own.items():
                if given[id(other)].get(kind, (name, None))[1] == seed:
                    what = (
                        f"{name}={seed!r} is also the seed of {place(other)}, from which it reads: "
                        "for one item, both draw the same numbers"
                    )
                    found.add(what, place(stage), f"{name}={(seed, 'again')!r}, or another seed")


def _seeds(stage: Any) -> Iterator[tuple[str, tuple[str, Seed]]]:
    """Yield for each seed of `stage` what it is used for, and its name and value."""
    try:
        named, _ = arguments_of(stage)
    except Exception:  # noqa: BLE001 -- a stage of the user's
        return
    kind = stage._name or type(stage).__name__.lower()
    for parameter, value in named:
        name, seed = parameter, value
        if stage._traits.reads_ahead and hasattr(value, "seed"):  # the options of a prefetch
            name, seed = "seed", value.seed
        if name in {"rng", "seed"} and isinstance(seed, int | str | tuple):
            purpose = "global" if name == "seed" and kind in _MAPS else f"{kind} {name}"
            yield ("rng" if name == "rng" else purpose), (name, seed)
