"""Views: items of one sequence at other indices of it, without a copy."""

from collections.abc import Sequence
from typing import Any, TypeVar

from seqtools._core import blocks, fusing, lengths, sequence
from seqtools._core.indices import ENDLESS, Indices, as_array, within
from seqtools._core.masks import indices_of
from seqtools._core.positions import check_reachable
from seqtools._core.resume import plain
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import assign, read_many, size_of
from seqtools._core.walk import draw_index_of

T = TypeVar("T")


class View(LazySequence[T]):
    """Items of a sequence at `_indices`, a range or memoryview of integers from 0 up."""

    __slots__ = ("_indices", "_sequence")

    _indices: Any
    _sequence: Any

    def _inner(self, indices: Indices) -> Indices:
        """Return `_indices[i]` for each of `indices`."""
        raise NotImplementedError

    def _after(self) -> int:
        """Return an index in the sequence that is past all items of this view."""
        raise NotImplementedError

    def _link(self) -> fusing.Link:
        return fusing.PLACED, self._indices, self._sequence

    def _get_many(self, indices: Indices) -> Sequence[T]:
        return read_many(self._sequence, self._inner(indices))  # type: ignore[no-any-return]

    def _set(self, i: int, value: Any) -> None:
        assign(self._sequence, self._indices[i], value)

    def _sources(self) -> tuple[Any, ...]:
        return (self._sequence,)

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(self._sequence, self._inner(indices))]

    def _draw_index(self, i: int) -> int:
        """Return that of the item in the whole sequence; past the end, that of none in here."""
        known = self._indices
        j = known[i] if i < len(known) else self._after() + i - len(known)
        of_source = draw_index_of(self._sequence)
        return j if of_source is None else of_source(j)


class Slice(View[T]):
    """Items of a sequence at the indices of a range."""

    __slots__ = ()

    def __init__(self, sequence: Any, indices: range) -> None:
        self._sequence, self._indices = sequence, indices

    def _size(self) -> int | None:
        known = self._indices
        if known.stop == ENDLESS:
            return None
        if lengths.refreshes:
            self._check()
        return len(known)

    def _check(self) -> None:
        """Raise `ValueError` if the source has become too short for this slice."""
        n = size_of(self._sequence)
        if n is not None and self._after() > n:
            message = (
                f"{self._as_call()} reads item {self._after() - 1} of a sequence that has {n} "
                f"since it was refreshed: slice it again{lengths.since_refresh(self)}"
            )
            raise ValueError(message)

    @property
    def blocks(self) -> Any:
        """The parts of the blocks of the source that are in this slice, if it is contiguous."""
        known = self._indices
        sizes = blocks.of(self._sequence) if known.step == 1 else None
        return None if sizes is None else blocks.cut(sizes, known.start, known.stop)

    def _inner(self, indices: Indices) -> Indices:
        return within(self._indices, indices)

    def _users(self, number: int, js: Any, n: int) -> Any:
        del number
        known = self._indices
        steps, rest = (js - known.start) // known.step, (js - known.start) % known.step
        return steps[(rest == 0) & (steps >= 0) & (steps < n)]

    def _after(self) -> int:
        known = self._indices
        return max(known[0], known[-1]) + 1 if known else 0

    def _slice(self, key: slice) -> LazySequence[T]:
        chosen = self._places(key)
        inner = within(self._indices, chosen)
        if inner:  # one without end is cut below
            last = inner[0] if chosen.stop == ENDLESS else inner[-1]
            check_reachable(max(inner[0], last), inner)
        if chosen.stop == ENDLESS:
            inner = range(inner[0], ENDLESS, inner.step)  # type: ignore[attr-defined]
        return Slice(self._sequence, inner)  # type: ignore[arg-type]

    def _rebuild(self, *sources: Any) -> "Slice[T]":
        return Slice(sources[0], self._indices)

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self._indices

    def _as_call(self) -> str:
        """Return the slicing that makes this view."""
        known = self._indices or range(0)  # an empty one can begin before the first item
        stop = known.stop if known.stop >= 0 else None
        text = f"{known.start}:{'' if stop in (None, ENDLESS) else stop}"
        if known.step != 1:
            text += f":{known.step}"
        return f"slice[{text}]"


class Chosen(View[T]):
    """Items of a sequence at indices that ascend.

    Args:
        sequence: The sequence.
        indices: An array of integers, of numpy or not.
        n: The number of items that `sequence` had when they were chosen.
    """

    __slots__ = ("_n",)

    def __init__(self, sequence: Any, indices: Any, n: int) -> None:
        # items of a memoryview are Python integers, and any array has one
        self._sequence, self._indices, self._n = sequence, memoryview(indices), n

    @property
    def blocks(self) -> Any:
        """The numbers of chosen items of each block of the source."""
        sizes = blocks.of(self._sequence)
        return None if sizes is None else blocks.counted(sizes, self._array())

    def _array(self) -> Any:
        import numpy as np

        return np.asarray(self._indices.obj)

    def _inner(self, indices: Indices) -> Indices:
        if isinstance(indices, range) and indices.step > 0:
            key: Any = slice(indices.start, indices.stop, indices.step)
        else:
            key = as_array(indices)
        return as_array(self._array()[key])  # type: ignore[no-any-return]

    def _users(self, number: int, js: Any, n: int) -> Any:
        del number, n
        import numpy as np

        known = self._array()
        places = np.searchsorted(known, js)
        return places[known[np.minimum(places, known.size - 1)] == js] if known.size else places[:0]

    def _after(self) -> int:
        return self._n

    def _identity(self) -> Any:
        return self._name, plain(self._array())


class Compress(Chosen[T]):
    """Items of a sequence that a mask chooses."""

    __slots__ = ()

    _name = "compress"

    @classmethod
    def of(cls, sequence: Any, mask: Any) -> "Compress[T]":
        """Return the items of `sequence` that `mask` chooses; raise `ValueError` if it misfits."""
        self = cls(sequence, indices_of(mask), len(mask))
        self._length()
        return self

    def _size(self) -> int:
        n = size_of(self._sequence)
        if n not in (None, self._n):
            message = f"mask must have {n} items, as the sequence has, got {self._n}"
            raise ValueError(message + lengths.since_refresh(self))
        return len(self._indices)

    def _identity(self) -> Any:
        return self._n, super()._identity()

    def _rebuild(self, *sources: Any) -> "Compress[T]":
        return Compress(sources[0], self._indices.obj, self._n)

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self._indices.obj, self._n

    def _as_call(self) -> str:
        """Return how many items were chosen."""
        return f"compress[{len(self._indices)} of {self._n}]"


sequence.view_of_slice = Slice
