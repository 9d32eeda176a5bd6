"""Combinators that break the laws of what stages say, of errors and of assignment."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from seqtools import EvaluationError, LazySequence, smap
from tests.laws.broken_reading import Same, breaks


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
