"""Combinators that break the laws of choosing items, of reading many at once, and of `+`."""

from typing import Any

from seqtools import concatenate
from tests.laws.broken_reading import Same, breaks


@breaks("choosing")
class ChoosesInOrder(Same):
    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(sorted(key) if isinstance(key, list) else key)


@breaks("choosing")
class ReadsWhatIsChosen(Same):
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, list):
            assert [self._get(i) for i in range(len(self))]
        return super().__getitem__(key)


@breaks("choosing")
class TakesBooleans(Same):
    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__([1] if isinstance(key, list) and key == [True] else key)


@breaks("many at once")
class ReturnsATuple(Same):
    def __getitems__(self, indices: Any) -> Any:
        return tuple(super().__getitems__(indices))


@breaks("many at once")
class ReturnsEachOnce(Same):
    def __getitems__(self, indices: Any) -> Any:
        return super().__getitems__(dict.fromkeys(indices))


@breaks("adding")
class AddsItems(Same):
    def __add__(self, other: Any) -> Any:
        return concatenate([list(self), other])


@breaks("adding")
class AddsBefore(Same):
    def __add__(self, other: Any) -> Any:
        return concatenate([other, self]) if hasattr(other, "__getitem__") else NotImplemented


@breaks("assigning to chosen")
class AssignsBackwards(Same):
    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value[::-1] if isinstance(key, list) else value)
