"""Combinators that break the laws of reading: each breaks one law, and none before it."""

import copyreg
import threading
from collections.abc import Iterator
from typing import Any

from seqtools import LazySequence
from seqtools._core.sources import assign, getter, read_many, size_of
from seqtools._core.views import Slice
from seqtools.testing import Probe


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


@breaks("resuming")
class NeverTheSame(Same):
    def _identity(self) -> Any:
        return id(self)


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
