"""Stages that only reorder items."""

from collections.abc import Sequence
from typing import Any, TypeVar

from seqtools._core.indices import Indices, as_array, as_list, concatenated
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import assign, getter, read_many

T = TypeVar("T")

_BLOCK = 1 << 16
"""Indices that are located at once in a search. Arbitrary."""


class Rearrangement(LazySequence[T]):
    """A stage whose items are items of its sources, in another order.

    A subclass implements `_locate`, and `_runs` if it can locate whole blocks at once.
    """

    __slots__ = ("_getters", "_sequences")

    def __init__(self, *sequences: Any) -> None:
        self._sequences = sequences
        self._getters = tuple([getter(sequence) for sequence in sequences])

    def _locate(self, i: int) -> tuple[int, int]:
        """Return the number of the source of item `i`, and the index there."""
        raise NotImplementedError

    def _runs(self, indices: Indices) -> list[tuple[int, Indices]]:
        """Return `indices` as source numbers and indices there, joined while the source stays."""
        runs: list[tuple[int, list[int]]] = []
        for i in as_list(indices):
            k, j = self._locate(i)
            if not runs or runs[-1][0] != k:
                runs.append((k, []))
            runs[-1][1].append(j)
        return list(runs)

    def _get(self, i: int) -> T:
        k, j = self._locate(i)
        return self._getters[k](j)  # type: ignore[no-any-return]

    def _get_many(self, indices: Indices) -> Sequence[T]:
        parts = [read_many(self._sequences[k], js) for k, js in self._runs(indices)]
        return parts[0] if len(parts) == 1 else [item for part in parts for item in part]

    def _set(self, i: int, value: Any) -> None:
        k, j = self._locate(i)
        assign(self._sequences[k], j, value)

    def _sources(self) -> tuple[Any, ...]:
        return self._sequences

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        parts: dict[int, list[Indices]] = {}
        for k, js in self._runs(indices):
            parts.setdefault(k, []).append(js)
        return [(self._sequences[k], concatenated(parts[k])) for k in sorted(parts)]

    def _made_from(self, indices: Indices) -> list[tuple[Any, Indices | None, bool]]:
        return [(source, js, True) for source, js in self._reads(indices)]

    def _users(self, number: int, js: Any, n: int) -> Any:
        import numpy as np

        found: list[Any] = []
        for start in range(0, n, _BLOCK):
            at = start
            for k, places in self._runs(range(start, min(n, start + _BLOCK))):
                if k == number:
                    found.append(at + np.flatnonzero(np.isin(as_array(places), js)))
                at += len(places)
        return np.concatenate([np.empty(0, np.int64), *found])
