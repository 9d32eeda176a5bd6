"""Notices values that functions change after a stage has returned them."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter, process_time
from typing import Any

from seqtools._core.indices import Indices, as_list
from seqtools._core.walk import is_stage
from seqtools.instrument.checking.findings import Finding
from seqtools.instrument.checking.pickling import place
from seqtools.instrument.fingerprints import PLAIN, copied, fingerprint, is_same_memory
from seqtools.instrument.inlined import Watched
from seqtools.prefetching.sizes import size_of_value

_OF_EACH = 2
"""Values of a stage to watch for each item of the pipeline. Arbitrary."""
_LARGEST = 1 << 26
"""Most bytes of a value to watch. Arbitrary: their fingerprint takes 0.1 s."""
_SECONDS = 1.0
"""Time for watching all values. Arbitrary."""


@dataclass(slots=True)
class _Value:
    """A value that a stage has returned."""

    stage: Watched
    i: int
    item: int
    """Number of the item of the pipeline for which it was read."""
    original: Any
    given: Any
    """What the reader received: the original or a copy."""
    again: Callable[[], Any]
    """Reads it again."""
    print: int = field(init=False)
    """The last fingerprint."""

    def __post_init__(self) -> None:
        self.print = fingerprint(self.given)

    def has_changed(self) -> bool:
        """Return whether the value has changed since the last call."""
        before, self.print = self.print, fingerprint(self.given)
        return self.print != before


class Changes:
    """Watches the stages of a pipeline made by `inlined`.

    When a stage returns, it may have changed a value that it read, or its own last value.

    Args:
        shares: Whether workers are threads, which share objects with the caller. In this case,
            stages receive copies of the values of caches and sources, which remain unchanged.
    """

    def __init__(self, *, shares: bool) -> None:
        self._shares = shares
        # for each stage that is evaluating, the values that it has read
        self._read: list[list[_Value]] = [[]]
        self._last: dict[int, _Value] = {}  # by stage
        self._counts: Counter[int] = Counter()  # values watched for this item, by stage
        self._item = 0
        self._paused = False
        self._found: dict[str, Finding] = {}  # one of each kind
        self.wall = self.cpu = 0.0
        """Seconds spent on watching."""

    def begin(self) -> None:
        """Begin another item of the pipeline."""
        self._item += 1
        self._counts.clear()
        self._read = [[]]

    def found(self) -> list[Finding]:
        """Return all findings so far."""
        return list(self._found.values())

    def read(self, stage: Watched, i: int) -> Any:
        """Return item `i` of `stage`."""
        again = partial(stage.evaluate, i)
        return self._returned(stage, i, self._evaluated(stage, again), again)

    def read_many(self, stage: Watched, indices: Indices) -> Any:
        """Return several items of `stage`."""
        again = partial(stage.evaluate_many, indices)
        values = self._evaluated(stage, again)
        if not isinstance(values, list | tuple):
            return self._returned(stage, int(indices[0]), values, again) if len(indices) else values
        return [
            self._returned(stage, i, value, partial(stage.evaluate, i))
            for i, value in zip(as_list(indices), values, strict=True)
        ]

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """Within this context, watch no reads, measure the time, and ignore errors."""
        began = perf_counter(), process_time()
        self._paused = True
        try:
            with suppress(Exception):  # values of the user may raise anything
                yield
        finally:
            self.wall += perf_counter() - began[0]
            self.cpu += process_time() - began[1]
            self._paused = self.wall > _SECONDS

    def _evaluated(self, stage: Watched, evaluate: Callable[[], Any]) -> Any:
        """Return `evaluate()`, and find which values `stage` has changed meanwhile."""
        if self._paused:
            return evaluate()
        self._read.append([])
        try:
            value = evaluate()
        finally:
            read = self._read.pop()
            self._read[-1] += read
        with self._looking():
            for each in read:
                if each.has_changed():
                    self._changes(stage, each)
        return value

    def _returned(self, stage: Watched, i: int, value: Any, again: Callable[[], Any]) -> Any:
        """Return `value` or a copy of it, and watch it from now on."""
        given = value
        if self._paused or type(value) in PLAIN:
            return given
        with self._looking():
            if (size_of_value(value) or 0) > _LARGEST:
                return given
            if self._shares and _keeps(stage):
                given = copied(value)
            self._counts[id(stage)] += 1
            if self._counts[id(stage)] <= _OF_EACH:
                last = self._last.get(id(stage))
                if last is not None and last.i != i:
                    self._compare(last, i, value)
                self._last[id(stage)] = new = _Value(stage, i, self._item, value, given, again)
                self._read[-1].append(new)
        return given

    def _compare(self, last: _Value, i: int, value: Any) -> None:
        """Find whether the stage that returned `last` has refilled it for `value`, item `i`."""
        if self._found or not (self._shares or last.item == self._item):
            return
        if not is_same_memory(last.given, value) and fingerprint(last.given) == last.print:
            return
        again = last.stage.evaluate(last.i)
        before = fingerprint(again)
        last.stage.evaluate(i)  # because another stage may have changed `last`
        if fingerprint(again) != before:
            what = (
                f"it refills and returns the same object: item {last.i} changed when the next "
                "item was evaluated, wherever it is kept"
            )
            advice = "return a copy, or create a new object for each item"
            self._found["refilled"] = Finding(what, _place(last.stage), advice)

    def _changes(self, by: Watched, value: _Value) -> None:
        if "changed" in self._found or not _is_kept(value):
            return
        kept, i = value.stage.name, value.i
        what = f"it changes item {i} of {kept}, which keeps it and returns it changed from then on"
        if not is_stage(value.stage.original):
            what = (
                f"it changes item {i} of its source, a {kept}: with threads your data, in worker "
                "processes a copy"
            )
        advice = "copy the input before changing it"
        self._found["changed"] = Finding(what, _place(by), advice)


def _is_kept(value: _Value) -> bool:
    """Return whether the next read of `value` would return the changed value."""
    again = value.again()
    if value.given is not value.original:  # the original is unchanged
        return is_same_memory(again, value.original)
    return fingerprint(again) == value.print


def _keeps(stage: Watched) -> bool:
    return not is_stage(stage.original) or bool(stage.original._traits.keeps_items)


def _place(stage: Watched) -> str:
    return place(stage.original) if is_stage(stage.original) else stage.name
