"""Notices stages that draw from the global random generators."""

import random
import sys
from collections.abc import Callable
from functools import partial
from time import perf_counter, process_time
from typing import Any

from seqtools._core.chance import seeding
from seqtools._core.indices import Indices
from seqtools._core.walk import is_stage
from seqtools.instrument.checking.changes import Changes
from seqtools.instrument.checking.findings import Finding
from seqtools.instrument.checking.pickling import place
from seqtools.instrument.inlined import Watched

_SECONDS = 0.5
"""Time for looking at the generators. Arbitrary."""

_ADVICE = (
    "draw from an argument rng, and give smap(f, …, rng=0); or give it seed=0, if it calls a "
    "library that draws"
)


class Draws:
    """Watches the global generators while stages of a pipeline made by `inlined` are read.

    Args:
        changes: Does the reads; its times include those of looking at the generators.
    """

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._evaluating: list[Watched] = []
        self._states = _states()
        self._found: dict[int, Watched] = {}
        self._spent = 0.0

    def begin(self) -> None:
        """Begin another item of the pipeline."""
        self._evaluating = []
        self._states = _states()

    def found(self, *, timing: bool) -> list[Finding]:
        """Return a finding for each stage that has drawn.

        Args:
            timing: Whether they draw in threads, each in turn as it happens.
        """
        which = "which item gets which numbers depends on timing"
        what = (
            "it draws from the global random generators without a seed: "
            f"items differ in every run{', and ' + which if timing else ''}"
        )
        return [Finding(what, _place(stage), _ADVICE) for stage in self._found.values()]

    def read(self, stage: Watched, i: int) -> Any:
        """Return item `i` of `stage`."""
        return self._watched(stage, partial(self._changes.read, stage, i))

    def read_many(self, stage: Watched, indices: Indices) -> Any:
        """Return several items of `stage`."""
        return self._watched(stage, partial(self._changes.read_many, stage, indices))

    def _watched(self, stage: Watched, evaluate: Callable[[], Any]) -> Any:
        if self._spent > _SECONDS or seeding.token() is not None:
            return evaluate()
        self._look()  # what was drawn until now was drawn by the stage that reads this one
        self._evaluating.append(stage)
        try:
            return evaluate()
        finally:
            self._look()
            self._evaluating.pop()

    def _look(self) -> None:
        began = perf_counter(), process_time()
        states = _states()
        changed = any(
            before is not None and now != before
            for before, now in zip(self._states, states, strict=True)
        )
        if changed and self._evaluating:
            last = self._evaluating[-1]
            self._found.setdefault(id(last), last)
        self._states = states
        took = perf_counter() - began[0]
        self._spent += took
        self._changes.wall += took
        self._changes.cpu += process_time() - began[1]


def _states() -> tuple[Any, Any, Any]:
    """Return what tells whether somebody has drawn; `None` if the library is not imported."""
    numpy, torch = sys.modules.get("numpy.random"), sys.modules.get("torch")
    return (
        random.getstate(),
        None if numpy is None else _of_numpy(numpy.get_state(legacy=False)),
        None if torch is None else torch.get_rng_state().numpy().tobytes(),
    )


def _of_numpy(state: dict[str, Any]) -> tuple[Any, ...]:
    inner = state["state"]
    key = inner.get("key")
    return (
        repr(inner) if key is None else (key.tobytes(), inner.get("pos")),
        state.get("has_gauss"),
        state.get("gauss"),
    )


def _place(stage: Watched) -> str:
    return place(stage.original) if is_stage(stage.original) else stage.name
