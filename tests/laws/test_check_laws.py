"""No law holds by accident: for each there is a combinator that breaks it, and is found out."""

import copyreg
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from seqtools import EvaluationError, LazySequence, cycle, seterr, smap
from seqtools._core.sequence import Slice
from seqtools._core.sources import assign, getter, read_many, size_of
from seqtools.testing import Probe, check_laws
from seqtools.testing.laws import LAWS

ITEMS = (10, 11, 12, 13, 14)
OTHERS = (20, 21, 22, 23, 24)


class Same(LazySequence[Any]):
    """The items of a sequence: keeps every law."""

    def __init__(self, sequence: Any) -> None:
        self.sequence = sequence
        self.read = getter(sequence)

    def _size(self) -> int | None:
        return size_of(self.sequence)

    def _get(self, i: int) -> Any:
        return self.read(i)

    def _get_many(self, indices: Any) -> Any:
        return read_many(self.sequence, indices)

    def _set(self, i: int, value: Any) -> None:
        assign(self.sequence, i, value)

    def _sources(self) -> tuple[Any, ...]:
        return (self.sequence,)

    def _reads(self, indices: Any) -> list[tuple[Any, Any]]:
        return [(self.sequence, indices)]

    def _rebuild(self, *sources: Any) -> "Same":
        return type(self)(*sources)

    def _args(self) -> tuple[Any, ...]:
        return (self.sequence,)


class Computed(Same):
    """The same, but that items cannot be assigned."""

    def _set(self, i: int, value: Any) -> None:
        LazySequence._set(self, i, value)


BROKEN: list[tuple[str, type[LazySequence[Any]]]] = []


def breaks(law: str) -> Any:
    """Return a decorator that lists a class as one that breaks `law` and none before it."""

    def listed(cls: type[LazySequence[Any]]) -> type[LazySequence[Any]]:
        BROKEN.append((law, cls))
        return cls

    return listed


@breaks("building")
class ReadsWhenMade(Same):
    def __init__(self, sequence: Any) -> None:
        super().__init__(sequence)
        self.first = sequence[0]


@breaks("building")
class NoSequence:
    def __init__(self, sequence: Any) -> None:
        self.sequence = sequence


@breaks("length")
class OneTooMany(Same):
    def _size(self) -> int:
        return len(self.sequence) + 1


@breaks("length")
class NoLength(Same):
    def _size(self) -> None:
        return None


@breaks("length")
class CountsByReading(Same):
    def _size(self) -> int:
        return len(list(self.sequence))


@breaks("length")
class NeverTrue(Same):
    def __bool__(self) -> bool:
        return False


@breaks("iteration")
class WrongItem(Same):
    def _get(self, i: int) -> Any:
        return self.read(i and i - 1)


@breaks("iteration")
class UsedUp(Same):
    def __iter__(self) -> Iterator[Any]:
        self.__dict__.setdefault("left", list(range(len(self))))
        while self.left:
            yield self[self.left.pop(0)]


@breaks("iteration")
class OneIteratorForAll(Same):
    def __iter__(self) -> Iterator[Any]:
        self.at = -1
        while self.at < len(self) - 1:
            self.at += 1
            yield self[self.at]


@breaks("iteration")
class GoesOn(Same):
    def __iter__(self) -> Iterator[Any]:
        yield from super().__iter__()
        yield None


@breaks("reversal")
class NotReversed(Same):
    def __reversed__(self) -> Iterator[Any]:
        return iter(self)


@breaks("indices")
class OnlyForwards(Same):
    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(abs(key) if hasattr(key, "__index__") else key)


@breaks("indices")
class OnlyInt(Same):
    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, int | slice):
            raise TypeError
        return super().__getitem__(key)


@breaks("edges")
class GoesRound(Same):
    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key if isinstance(key, slice) else key.__index__() % len(self))


@breaks("edges")
class TakesFloats(Same):
    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(int(key) if isinstance(key, float) else key)


@breaks("edges")
class EndsForGood(Same):
    def __getitem__(self, key: Any) -> Any:
        try:
            return super().__getitem__(key)
        except IndexError:
            self._known_size = 0
            raise


@breaks("slices")
class IgnoresSteps(Same):
    def _slice(self, key: slice) -> LazySequence[Any]:
        return super()._slice(slice(key.start, key.stop))


@breaks("slices")
class SlicesAreLists(Same):
    def _slice(self, key: slice) -> Any:
        return list(super()._slice(key))


@breaks("slices")
class SlicesRead(Same):
    def _slice(self, key: slice) -> LazySequence[Any]:
        return Slice(Probe(self), self._places(key))


@breaks("slices without length")
class StepsOfNothing(Same):
    def _slice(self, key: slice) -> LazySequence[Any]:
        return super()._slice(slice(key.start, key.stop, key.step or None))


@breaks("slices of slices")
class SlicesOnce(Same):
    class _Part(Slice[Any]):
        def _slice(self, key: slice) -> LazySequence[Any]:
            return Slice(self._sequences[0], self._places(key))

    def _slice(self, key: slice) -> LazySequence[Any]:
        return self._Part(self, self._places(key))


@breaks("searching")
class FindsNothing(Same):
    def __contains__(self, value: object) -> bool:
        return False


@breaks("searching")
class FindsAll(Same):
    def __contains__(self, value: object) -> bool:
        return True


@breaks("searching")
class IndexFromTheStart(Same):
    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        del start, stop
        return super().index(value)


@breaks("searching")
class CountsOne(Same):
    def count(self, value: Any) -> int:
        del value
        return 1


@breaks("identity")
class EqualByItems(Same):
    def __eq__(self, other: object) -> bool:
        return list(self) == list(other)  # type: ignore[call-overload]

    def __hash__(self) -> int:
        return 0


@breaks("identity")
class NotHashable(Same):
    __hash__ = None  # type: ignore[assignment]


@breaks("representation")
class ShowsItems(Same):
    def __repr__(self) -> str:
        return repr(list(self))


@breaks("representation")
class ShowsTooMuch(Same):
    def __repr__(self) -> str:
        return "same\n" * 1000


@breaks("pickling")
class ForgetsItsArguments(Same):
    def _args(self) -> tuple[Any, ...]:
        return ((),)


@breaks("pickling")
class PicklesItems(Same):
    def _args(self) -> tuple[Any, ...]:
        return (list(self),)

    def _as_call(self) -> str:
        return "pickles items"


@breaks("pickling")
class PicklesAsAnother(Same):
    def __reduce_ex__(self, protocol: Any) -> Any:
        return Computed, (self.sequence,)


@breaks("pickling")
class HoldsALock(Same):
    def __init__(self, sequence: Any) -> None:
        super().__init__(sequence)
        self.lock = threading.Lock()

    __reduce_ex__ = object.__reduce_ex__


class ForgetsWhereItWasMade(Same):
    def __reduce_ex__(self, protocol: Any) -> Any:
        return copyreg.__newobj__, (type(self), self.sequence), {**vars(self), "read": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.read = getter(self.sequence)


@breaks("bulk")
class BulkInOrder(Same):
    def _get_many(self, indices: Any) -> Any:
        return [self._get(i) for i in sorted(indices)]


@breaks("bulk")
class BulkOfEachOnce(Same):
    def _get_many(self, indices: Any) -> Any:
        return [self._get(i) for i in dict.fromkeys(indices)]


@breaks("reads")
class SaysNothing(Same):
    def _reads(self, indices: Any) -> list[tuple[Any, Any]]:
        del indices
        return []


@breaks("reads")
class SaysTooMuch(Same):
    def _reads(self, indices: Any) -> list[tuple[Any, Any]]:
        del indices
        return [(self.sequence, range(len(self.sequence)))]


@breaks("reads")
class SaysLists(Same):
    def _reads(self, indices: Any) -> list[tuple[Any, Any]]:
        return [(self.sequence, list(indices))]


@breaks("reads")
class SaysByReading(Same):
    def _reads(self, indices: Any) -> list[tuple[Any, Any]]:
        self._get_many(indices)
        return [(self.sequence, indices)]


@breaks("reads")
class HidesItsSource(Same):
    def _sources(self) -> tuple[Any, ...]:
        return ()


@breaks("reads")
class ReadsMoreInBulk(Same):
    def _get_many(self, indices: Any) -> Any:
        everything = list(self.sequence)
        return [everything[i] for i in indices]


@breaks("rebuilding")
class StaysOverItsSource(Same):
    def _rebuild(self, *sources: Any) -> Same:
        del sources
        return self


@breaks("rebuilding")
class RebuildsAnother(Same):
    def _rebuild(self, *sources: Any) -> Same:
        return Same(*sources)


@breaks("rebuilding")
class RebuildsByReading(Same):
    def _rebuild(self, *sources: Any) -> Same:
        return type(self)(list(*sources))


@breaks("errors")
class HidesErrors(Same):
    def _get(self, i: int) -> Any:
        try:
            return self.read(i)
        except (ValueError, LookupError, StopIteration):
            return None


@breaks("errors")
class HidesErrorsInBulk(Same):
    def _get_many(self, indices: Any) -> Any:
        try:
            return super()._get_many(indices)
        except (ValueError, LookupError, StopIteration):
            return [None] * len(indices)


@breaks("errors")
class ForgetsTheCause(Same):
    def _get(self, i: int) -> Any:
        try:
            return self.read(i)
        except (ValueError, LookupError, StopIteration):
            raise RuntimeError from None


@breaks("errors")
class ForgetsThePath(Same):
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return super().__getitem__(key)
        return smap(self._get, range(len(self)))[key]


@breaks("errors")
class NamesAnotherItem(Same):
    def __getitem__(self, key: Any) -> Any:
        try:
            return super().__getitem__(key)
        except EvaluationError as error:
            path = (replace(error.path[0], index=99), *error.path[1:])
            raise EvaluationError(str(error), path) from error.__cause__


@breaks("errors in iteration")
class EndsAtAnError(Same):
    def __iter__(self) -> Iterator[Any]:
        for i in range(len(self)):
            yield self[i]


@breaks("errors in iteration")
class StopsLikeAList(Same):
    def __iter__(self) -> Iterator[Any]:
        items = super().__iter__()
        while True:
            try:
                yield next(items)
            except (StopIteration, IndexError):
                return
            except Exception as error:
                if isinstance(error.__cause__, IndexError | StopIteration):
                    return
                raise


@breaks("assignment")
class RefusesValues(Same):
    def _set(self, i: int, value: Any) -> None:
        LazySequence._set(self, i, value)


@breaks("assignment")
class LosesValues(Same):
    def _set(self, i: int, value: Any) -> None:
        pass


@breaks("assignment")
class AssignsTheNextToo(Same):
    def _set(self, i: int, value: Any) -> None:
        super()._set(i, value)
        super()._set((i + 1) % len(self), value)


@breaks("assignment")
class KeepsOldItems(Same):
    def _get(self, i: int) -> Any:
        kept: dict[int, Any] = self.__dict__.setdefault("kept", {})
        if i not in kept:
            kept[i] = super()._get(i)
        return kept[i]


@breaks("assignment")
class AssignsFromTheStart(Same):
    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(max(0, key.__index__()), value)


@breaks("assignment")
class AssignsBehindTheEnd(Same):
    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, slice) or -len(self) <= key.__index__() < len(self):
            super().__setitem__(key, value)


@breaks("slice assignment")
class AssignsWhatFits(Same):
    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, slice):
            for i, item in zip(self._places(key), value, strict=False):
                self._set(i, item)
        else:
            super().__setitem__(key, value)


@breaks("slice assignment")
class NoticesTooLate(Same):
    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, slice):
            for i, item in zip(self._places(key), value, strict=True):
                self._set(i, item)
        else:
            super().__setitem__(key, value)


@breaks("slice assignment")
class AssignsBackwards(Same):
    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, list(value)[::-1] if isinstance(key, slice) else value)


def failure(build: Any, **arguments: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        check_laws(build, lambda items: items, **arguments)
    return str(caught.value)


def test_what_keeps_the_laws_passes() -> None:
    check_laws(Same, list, sources=[ITEMS], assigned=[OTHERS])
    check_laws(Computed, list)


@pytest.mark.parametrize(("law", "build"), BROKEN, ids=lambda x: getattr(x, "__name__", None))
def test_broken(law: str, build: Any) -> None:
    said = failure(build, sources=[ITEMS], assigned=[OTHERS])
    assert said.startswith(f"law '{law}': ")


def test_every_law_is_broken_by_something() -> None:
    assert {law for law, _ in BROKEN} == {law.__name__.replace("_", " ") for law in LAWS}


@pytest.mark.parametrize(
    ("law", "build", "arguments"),
    [
        ("length", Same, {"length": "unknown"}),
        ("length", Same, {"length": "endless"}),
        ("length", cycle, {"length": "known"}),
        ("assignment", Same, {"assigned": None}),
        ("pickling", Same, {"picklable": False}),
        ("reads", SaysTooMuch, {"value_dependent": True}),
        ("slices", lambda p: _Short(p, 3), {}),
        ("pickling", lambda p: ForgetsWhereItWasMade(p), {}),  # noqa: PLW0108 -- made on this line
    ],
)
def test_wrong_statement(law: str, build: Any, arguments: dict[str, Any]) -> None:
    arguments = {"sources": [ITEMS], "assigned": [OTHERS], **arguments}
    assert failure(build, **arguments).startswith(f"law '{law}'")


class _Short(Same):
    """Has items behind a slice that has none: its slices are shorter than they say."""

    def __init__(self, sequence: Any, stop: int) -> None:
        super().__init__(sequence)
        self.stop = stop

    def _slice(self, key: slice) -> LazySequence[Any]:
        return Slice(self, self._places(key)[: self.stop])

    def _args(self) -> tuple[Any, ...]:
        return self.sequence, self.stop


def test_what_the_message_says() -> None:
    assert failure(WrongItem) == (
        "law 'iteration': the first iteration should be [10, 11, 12, 13, 14], "
        "got [10, 10, 11, 12, 13]"
    )


def test_an_error_in_the_sequence_names_the_law() -> None:
    def build(probe: Probe[int]) -> LazySequence[int]:
        raise ZeroDivisionError(probe)

    assert failure(build).startswith("law 'building': raised ZeroDivisionError(")


def test_the_setting_of_the_caller_does_not_matter() -> None:
    before = seterr("passthrough")
    try:
        check_laws(Computed, list)
        assert seterr() == "passthrough"
    finally:
        seterr(before)
