"""Values that are changed after they were made, noticed while a few items are evaluated."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from time import perf_counter, process_time
from typing import Any, NamedTuple

from seqtools._core.indices import Indices, as_list
from seqtools._core.walk import is_stage, sources_of, upstream
from seqtools.instrument.checking.sending import place
from seqtools.instrument.fingerprints import PLAIN, copied, fingerprint, is_same_memory
from seqtools.instrument.inlined import Watched
from seqtools.prefetching.sizes import size_of_value

_OF_EACH = 2
"""Items of a stage that are watched, for each item of the pipeline. Arbitrary."""
_KEPT = 3
"""Items of a stage that are watched at a time. Arbitrary."""
_LARGEST = 1 << 26
"""Bytes of a value from which on it is not watched. Arbitrary: it takes 0.1 s to look at them."""
_SECONDS = 1.0
"""Time after which no more is watched. Arbitrary: longer than nearly all pipelines take."""


class Told(NamedTuple):
    """What was found, as `Finding` has it."""

    what: str
    where: str
    advice: str


class _Value:
    """A value that a stage has returned."""

    __slots__ = ("again", "by_others", "given", "i", "item", "original", "print", "stage")

    def __init__(  # noqa: PLR0913, PLR0917 -- what there is to know
        self,
        stage: Watched,
        i: int,
        item: int,
        original: Any,
        given: Any,
        again: Callable[[], Any],
    ) -> None:
        self.stage, self.i, self.item = stage, i, item
        self.original, self.given, self.again = original, given, again
        self.print = fingerprint(given)
        self.by_others = False
        """Whether it was changed while its stage made nothing."""


class Changes:
    """Watches the stages of a pipeline that was made anew by `inlined`.

    Args:
        shares: Whether workers are threads, so that items are the objects that were returned.
            Then what a cache or a source has is handed on as a copy, so that it stays as it is.
    """

    def __init__(self, *, shares: bool) -> None:
        self._shares = shares
        self._values: dict[int, deque[_Value]] = {}
        self._watched: dict[int, int] = {}  # how many values of this item, by stage
        self._item = 0
        self._looking = False  # what is read meanwhile is not watched
        self._found: dict[str, Told] = {}  # one of a kind
        self.wall = self.cpu = 0.0
        """What watching has taken, in seconds."""

    def begin(self) -> None:
        """Take note that another item of the pipeline is evaluated."""
        self._item += 1
        self._watched.clear()

    def found(self) -> list[Told]:
        """Return what was found since the beginning."""
        return list(self._found.values())

    def read(self, stage: Watched, i: int) -> Any:
        """Return item `i` of `stage`."""
        self._before(stage)
        return self._seen(stage, i, stage.evaluate(i), lambda: stage.evaluate(i))

    def read_many(self, stage: Watched, indices: Indices) -> Any:
        """Return several items of `stage`."""
        self._before(stage)
        values = stage.evaluate_many(indices)
        if isinstance(values, list | tuple):
            if len(values) > 1 and is_stage(stage.whose) and not self._looking:
                self._compare(stage, indices, values)
            return [
                self._seen(stage, i, value, partial(stage.evaluate, i))
                for i, value in zip(as_list(indices), values, strict=True)
            ]
        if not len(indices):
            return values
        return self._seen(stage, int(indices[0]), values, lambda: stage.evaluate_many(indices))

    def _before(self, stage: Watched) -> None:
        """Take note of values that were changed since `stage` has made them, by others."""
        if self._looking or self.wall > _SECONDS:
            return
        with suppress(Exception), self._aside():  # values of users may raise anything
            for value in self._values.get(id(stage), ()):
                value.by_others = value.by_others or fingerprint(value.given) != value.print

    def _seen(self, stage: Watched, i: int, value: Any, again: Callable[[], Any]) -> Any:
        """Look whether `stage`, which has returned `value`, has changed another one."""
        if self._looking or self.wall > _SECONDS:
            return value
        try:
            with self._aside():
                self._look(stage)
                return self._watch(stage, i, value, again)
        except Exception:  # noqa: BLE001 -- values of users may raise anything
            return value

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Watch nothing of what is read within, and count the time."""
        began = perf_counter(), process_time()
        self._looking = True
        try:
            yield
        finally:
            self._looking = False
            self.wall += perf_counter() - began[0]
            self.cpu += process_time() - began[1]

    def _watch(self, stage: Watched, i: int, value: Any, again: Callable[[], Any]) -> Any:
        if type(value) in PLAIN:
            return value
        size = size_of_value(value)
        if size is not None and size > _LARGEST:
            return value
        given = copied(value) if self._shares and _keeps(stage) else value
        count = self._watched[id(stage)] = self._watched.get(id(stage), 0) + 1
        if count <= _OF_EACH:
            values = self._values.setdefault(id(stage), deque(maxlen=_KEPT))
            values.append(_Value(stage, i, self._item, value, given, again))
        return given

    def _look(self, stage: Watched) -> None:
        for values in self._values.values():
            for value in values:
                # who is not made of it has not changed it; who has comes later
                may = not value.by_others if value.stage is stage else _reads(stage, value.stage)
                if may and (now := fingerprint(value.given)) != value.print:
                    value.print = now
                    self._changed(stage, value)

    def _compare(self, stage: Watched, indices: Indices, values: Sequence[Any]) -> None:
        """Look whether two values that came by one call are one object, filled anew."""
        first, second = values[:2]
        if type(first) in PLAIN or not is_same_memory(first, second):
            return
        i, j = map(int, indices[:2])
        with self._aside():
            value = _Value(stage, i, self._item, first, stage.evaluate(i), lambda: None)
            stage.evaluate(j)
        if fingerprint(value.given) != value.print:
            self._found.setdefault("refilled", self._refilled(value))

    def _changed(self, by: Watched, value: _Value) -> None:
        if value.stage is by:
            if (self._shares or value.item == self._item) and not self._found:
                self._found["refilled"] = self._refilled(value)
        elif "changed" not in self._found and self._is_kept(value):
            self._found["changed"] = self._told(by, value)

    def _is_kept(self, value: _Value) -> bool:
        """Return whether who reads `value` again gets what it was changed to."""
        try:
            again = value.again()
        except Exception:  # noqa: BLE001 -- code of users may raise anything
            return False
        if value.given is not value.original:  # which is as it was
            return is_same_memory(again, value.original)
        return fingerprint(again) == value.print

    def _refilled(self, value: _Value) -> Told:
        stage = value.stage
        what = (
            f"it refills and returns the same object: item {value.i} changed when the next item "
            "was evaluated, wherever it is kept"
        )
        return Told(what, _place(stage), "return a copy, or create a new object for each item")

    def _told(self, by: Watched, value: _Value) -> Told:
        kept, i = value.stage.name, value.i
        what = f"it changes item {i} of {kept}, which keeps it and returns it changed from then on"
        if not is_stage(value.stage.whose):
            what = (
                f"it changes item {i} of its source, a {kept}: with threads your data, in worker "
                "processes a copy"
            )
        return Told(what, _place(by), "copy the input before changing it")


def _reads(by: Watched, stage: Watched) -> bool:
    """Return whether `by` is made of items of `stage`."""
    stages = upstream(by.whose)
    return any(other is stage.whose for each in stages for other in (each, *sources_of(each)))


def _keeps(stage: Watched) -> bool:
    return not is_stage(stage.whose) or bool(stage.whose._keeps_items)


def _place(stage: Watched) -> str:
    return place(stage.whose) if is_stage(stage.whose) else stage.name
