"""Names stages whose item differs between two evaluations, although they read the same."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter, process_time
from typing import Any

from seqtools._core.chance.seeds import Seed
from seqtools._core.indices import Indices, as_list
from seqtools._core.walk import is_stage
from seqtools.instrument.checking.alike import is_alike
from seqtools.instrument.checking.changes import Changes
from seqtools.instrument.checking.findings import Finding
from seqtools.instrument.checking.pickling import place
from seqtools.instrument.checking.seeds import seeds_of
from seqtools.instrument.fingerprints import as_array, fingerprint
from seqtools.instrument.inlined import ReadListener, Watched

_SECONDS = 1.0
"""Time for the fingerprints of an item's values. Arbitrary."""

_CONTAINERS = (list, tuple, dict, str, bytes, bytearray, range)
"""Sources that have their items, so that they do not differ unless a function changes them."""


@dataclass(slots=True)
class Read:
    """A value that was read, and the values that were read for it."""

    stage: Any
    """The stage or source."""
    at: Any
    """An index or several."""
    value: Any = None
    print: int | None = None
    """The fingerprint of the value when it was returned; `None` if it failed."""
    reads: list["Read"] = field(default_factory=list)


class Recorder:
    """Records all values that stages of a pipeline made by `inlined` return for an item.

    Args:
        listener: Does the reads.
        changes: Watches them; its times include those of recording.
    """

    def __init__(self, listener: ReadListener, changes: Changes) -> None:
        self._listener, self._changes = listener, changes
        self._spent = 0.0
        self._reads = [Read(None, None)]

    def begin(self) -> None:
        """Begin another item of the pipeline."""
        self._reads = [Read(None, None)]
        self._spent = 0.0

    def recorded(self) -> list[Read] | None:
        """Return the reads of the item, and forget them; `None` if they were too large."""
        reads = self._reads[0].reads
        self._reads = [Read(None, None)]
        return reads if self._spent <= _SECONDS else None

    def read(self, stage: Watched, i: int) -> Any:
        """Return item `i` of `stage`."""
        return self._recorded(stage, i, partial(self._listener.read, stage, i))

    def read_many(self, stage: Watched, indices: Indices) -> Any:
        """Return several items of `stage`."""
        evaluate = partial(self._listener.read_many, stage, indices)
        return self._recorded(stage, as_list(indices), evaluate)

    def _recorded(self, stage: Watched, at: Any, evaluate: Callable[[], Any]) -> Any:
        if self._spent > _SECONDS:
            return evaluate()
        read = Read(stage.original, at)
        self._reads[-1].reads.append(read)
        self._reads.append(read)
        try:
            value = evaluate()
        finally:
            self._reads.pop()
        began = perf_counter(), process_time()
        with suppress(Exception):  # values of the user may raise anything
            read.value, read.print = value, fingerprint(value)
        took = perf_counter() - began[0]
        self._spent += took
        self._changes.wall += took
        self._changes.cpu += process_time() - began[1]
        return value


def differing(first: list[Read], second: list[Read], seed: Seed | None) -> list[Finding]:
    """Return a finding for each stage whose value differs although it read the same.

    Args:
        first: The reads of an item.
        second: Those of the same item, evaluated again.
        seed: The seed of the prefetch.
    """
    return [_finding(stage, seed) for stage in _causes(first, second)]


def _causes(first: list[Read], second: list[Read]) -> Iterator[Any]:
    """Yield the stages that differ by themselves, each once."""
    left, seen = [*zip(first, second, strict=False)], set[int]()
    while left:
        one, other = left.pop()
        if not _differ(one, other):
            continue
        inputs = []
        for pair in zip(one.reads, other.reads, strict=False):
            if pair[0].stage is not pair[1].stage or pair[0].at != pair[1].at:
                break  # it read other items, or the check itself read some again
            if _differ(*pair):
                inputs.append(pair)
        left += reversed(inputs)
        stage = one.stage
        if not inputs and id(stage) not in seen and _may_differ(stage):
            seen.add(id(stage))
            yield stage


def _differ(one: Read, other: Read) -> bool:
    if one.print is None or other.print is None or one.print == other.print:
        return False
    with suppress(Exception):  # values of the user may raise anything
        return not is_alike(one.value, other.value)
    return False


def _may_differ(stage: Any) -> bool:
    if is_stage(stage):
        return not stage._traits.keeps_items  # what it keeps came from another stage
    return not isinstance(stage, _CONTAINERS) and as_array(stage) is None


def _finding(stage: Any, seed: Seed | None) -> Finding:
    own = dict(seeds_of(stage)) if is_stage(stage) else {}
    despite = [f"{name}={value!r}" for name, value in own.items() if value is not None]
    if not despite and seed is not None:
        despite = [f"seed={seed!r} of the prefetch"]
    what = (
        "an item differs when it is evaluated again from the same input"
        f"{', despite ' if despite else ''}{' and '.join(despite)}: it draws from a generator that "
        "no seed reaches, or depends on the time, or on state that it keeps between items"
    )
    advice = "draw from an argument rng, and give smap(f, …, rng=0)"
    if not is_stage(stage):
        advice = "draw from a generator made for the item, such as numpy.random.default_rng((0, i))"
    elif own.get("rng") is not None:
        advice = "draw from the argument rng alone"
    elif despite:
        advice = "draw from the global generators of random, numpy and torch, or from an argument "
        advice += "rng: smap(f, …, rng=0)"
    where = place(stage) if is_stage(stage) else type(stage).__name__
    return Finding(what, where, f"{advice}, and keep no state; if it is meant, leave it")
