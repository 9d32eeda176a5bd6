"""Sequences side by side, end to end, and in parts."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, TypeVar

from seqtools._core import blocks, rows
from seqtools._core.checks import WHERE, as_index, check_count, check_source, is_bool
from seqtools._core.indices import Indices, as_array, is_run
from seqtools._core.lengths import since_refresh
from seqtools._core.rearrangement import Rearrangement
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, assign, common_size, getter, read_many, read_row, size_of
from seqtools._core.traits import Traits
from seqtools._core.views import Slice
from seqtools._core.walk import nesting, summed

T = TypeVar("T")


class Collate(LazySequence[Any]):
    """Items of several sequences side by side."""

    __slots__ = ("_getters", "_keys", "_sequences")

    _traits = Traits(elementwise=True)

    def __init__(self, sequences: Any) -> None:
        self._keys = tuple(sequences) if isinstance(sequences, Mapping) else None
        self._sequences = tuple(sequences.values() if self._keys is not None else sequences)
        self._getters = [getter(sequence) for sequence in self._sequences]

    def _size(self) -> int | None:
        return common_size(self, self._sequences)

    def _made(self, items: Any) -> Any:
        return tuple(items) if self._keys is None else dict(zip(self._keys, items, strict=True))

    def _get(self, i: int) -> Any:
        return self._made(read_row(self._sequences, self._getters, i))

    def _get_many(self, indices: Indices) -> list[Any]:
        columns = [read_many(sequence, indices) for sequence in self._sequences]
        return [self._made(items) for items in zip(*columns, strict=True)]

    def _set(self, i: int, value: Any) -> None:
        if self._keys is not None:
            if set(value) != set(self._keys):
                message = f"an item has the keys {list(self._keys)}, got {list(value)}"
                raise ValueError(message)
            value = [value[key] for key in self._keys]
        else:
            rows.check_listed(value, f"item {i}", "item")
        values = tuple(value)
        if len(values) != len(self._sequences):
            message = f"an item has {len(self._sequences)} parts, got {len(values)}"
            raise ValueError(message)
        for sequence, part in zip(self._sequences, values, strict=True):
            assign(sequence, i, part)

    def _sources(self) -> tuple[Any, ...]:
        return self._sequences

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(sequence, indices) for sequence in self._sequences]

    def _rebuild(self, *sources: Any) -> "Collate":
        return Collate(self._made(sources))

    def _args(self) -> tuple[Any, ...]:
        return (self._made(self._sequences),)


def collate(sequences: Sequence[Source[Any]] | Mapping[Any, Source[Any]]) -> LazySequence[Any]:
    """Return the items of all `sequences` side by side, as tuples or dicts.

    Item `i` is `(sequences[0][i], sequences[1][i], …)`, or for a mapping a dict with
    its keys. Assigning to an item assigns to each of the sequences.

    Args:
        sequences: At least one. The finite ones must have the same length; endless
            ones adapt to it.

    Raises:
        ValueError: If `sequences` is empty, or the lengths differ.
        TypeError: If one of them is not a sequence.

    Example:
        >>> list(collate(["ab", [1, 2]]))
        [('a', 1), ('b', 2)]
        >>> collate({"name": "ab", "size": [1, 2]})[1]
        {'name': 'b', 'size': 2}
    """
    if not isinstance(sequences, Mapping):
        check_source(sequences, "sequences")
        parts: list[tuple[str, Any]] = [(f"sequences[{k}]", s) for k, s in enumerate(sequences)]
    else:
        parts = [(f"sequences[{key!r}]", s) for key, s in sequences.items()]
    if not parts:
        message = "collate() needs at least one sequence"
        raise ValueError(message)
    for name, sequence in parts:
        check_source(sequence, name)
    result = Collate(sequences)
    result._length()
    return result


class Concatenate(Rearrangement[T]):
    """Sequences end to end; a concatenation among them is replaced by its sequences."""

    __slots__ = ()

    def __init__(self, *sequences: Any) -> None:
        parts: list[Any] = []
        getters: list[Any] = []
        for sequence in sequences:
            if type(sequence) is Concatenate:
                parts += sequence._sequences  # noqa: SLF001 -- of this module
                getters += sequence._getters  # noqa: SLF001
            else:
                parts.append(sequence)
                getters.append(getter(sequence))
        self._sequences, self._getters = tuple(parts), tuple(getters)
        # Of the arguments: a loop that appends sequences must not visit all of them again
        depth = max((nesting(s) - (type(s) is Concatenate) for s in sequences), default=0)
        self._summary = summed(self._traits, sequences)._replace(nesting=1 + depth)

    @property
    def blocks(self) -> Any:
        """The blocks of all sequences, if each has some."""
        return blocks.joined(self._sequences)

    def _arrange(self) -> list[int]:
        """Return where each sequence begins."""
        return [0, *accumulate(len(sequence) for sequence in self._sequences[:-1])]

    def _size(self) -> int | None:
        starts: list[int] = self._layout or self._arranged()
        n = size_of(self._sequences[-1]) if self._sequences else 0
        return None if n is None else starts[-1] + n

    def _locate(self, i: int) -> tuple[int, int]:
        starts = self._layout or self._arranged()
        k = bisect_right(starts, i) - 1
        return k, i - starts[k]

    def _runs(self, indices: Indices) -> list[tuple[int, Indices]]:
        if not indices if isinstance(indices, range) else not len(indices):
            return []
        starts: list[int] = self._layout or self._arranged()
        if is_run(indices):
            first, last = (bisect_right(starts, i) - 1 for i in (indices[0], indices[-1]))
            ends = [*starts[first + 1 : last + 1], indices[-1] + 1]
            begins = [indices[0], *ends[:-1]]
            cuts = zip(range(first, last + 1), begins, ends, strict=True)
            return [(k, range(b - starts[k], e - starts[k])) for k, b, e in cuts if b < e]
        import numpy as np

        flat = as_array(indices)
        number = np.searchsorted(starts, flat, side="right") - 1
        spans = np.split(np.arange(flat.size), np.flatnonzero(np.diff(number)) + 1)
        return [(int(number[b[0]]), flat[b] - starts[number[b[0]]]) for b in spans]

    def _rebuild(self, *sources: Any) -> "Concatenate[T]":
        return Concatenate(*sources)

    def _args(self) -> tuple[Any, ...]:
        return self._sequences


def concatenate(sequences: Sequence[Source[T]]) -> LazySequence[T]:
    """Return the items of the first of `sequences`, then those of the second, and so on.

    Nothing is copied; assigning to an item assigns to the sequence that it comes from. An
    argument that is a result of `concatenate` is replaced by its sequences, so a loop that
    appends repeatedly builds a single stage.

    Args:
        sequences: Any number; only the last may be endless.

    Raises:
        ValueError: If a sequence before the last has no length.
        TypeError: If one of them is not a sequence.

    Example:
        >>> list(concatenate([[1, 2], "ab"]))
        [1, 2, 'a', 'b']
    """
    check_source(sequences, "sequences")
    for k, sequence in enumerate(sequences):
        check_source(sequence, f"sequences[{k}]")
        last: Any = sequence
        if type(last) is Concatenate and last._sequences:  # noqa: SLF001 -- of this module
            last = last._sequences[-1]  # noqa: SLF001 -- the only one that may have no length
        if k < len(sequences) - 1 and size_of(last) is None:
            message = f"only the last sequence may be without length, got one as sequences[{k}]"
            raise ValueError(message)
    return Concatenate(*sequences)


class Split(LazySequence[LazySequence[T]]):
    """Parts of a sequence."""

    __slots__ = ("_edges", "_sequence")

    def __init__(self, sequence: Any, edges: Any) -> None:
        self._sequence, self._edges = sequence, edges

    def _arrange(self) -> tuple[tuple[tuple[int, int], ...]]:
        """Return start and stop of each part; raise an error if the length does not fit."""
        n = size_of(self._sequence)
        if n is None:
            message = "split() needs a sequence with a length: slice it first"
            raise TypeError(message)
        return (_parts(n, self._edges, since_refresh(self)),)

    def _size(self) -> int:
        (parts,) = self._layout or self._arranged()
        return len(parts)

    def _get(self, i: int) -> LazySequence[T]:
        (parts,) = self._layout or self._arranged()
        part = Slice[T](self._sequence, range(*parts[i]))
        part._origin = self._origin  # not the place where the part is read
        return part

    def _set(self, i: int, value: Any) -> None:
        self._get(i)[:] = value

    def _sources(self) -> tuple[Any, ...]:
        return (self._sequence,)

    def _rebuild(self, *sources: Any) -> "Split[T]":
        return Split(sources[0], self._edges)

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self._edges


def split(
    sequence: Source[T], edges: int | Source[int] | Source[tuple[int, int]]
) -> LazySequence[LazySequence[T]]:
    """Return parts of `sequence` as views.

    Splitting computes nothing; items are computed when they are read. Assigning to a part
    assigns to `sequence`.

    Args:
        sequence: What to split.
        edges: The number of cuts, which is one less than the number of parts of equal
            length; or the positions of the cuts in increasing order; or a pair of start and
            stop for each part.

    Raises:
        ValueError: If parts of equal length are impossible, or positions are out
            of order or out of range.
        TypeError: If `edges` is none of these.

    Example:
        >>> [list(part) for part in split([1, 2, 3, 4, 5, 6], 2)]
        [[1, 2], [3, 4], [5, 6]]
        >>> [list(part) for part in split("abcde", [1, 3])]
        [['a'], ['b', 'c'], ['d', 'e']]
        >>> [list(part) for part in split("abcde", [(0, 3), (2, 5)])]
        [['a', 'b', 'c'], ['c', 'd', 'e']]
    """
    check_source(sequence)
    given: Any = edges
    if is_bool(given) or (hasattr(given, "__index__") and not hasattr(given, "__len__")):
        given = check_count(given, 0, "edges")
    else:
        given = tuple(given)
    result = Split[T](sequence, given)
    len(result)  # raises errors for `edges`
    return result


def _parts(n: int, edges: Any, where: str) -> tuple[tuple[int, int], ...]:
    if isinstance(edges, int):
        count = edges + 1
        if n % count:
            message = f"{count - 1} cuts make {count} equal parts, but {n} items are not divisible"
            raise ValueError(message + where)
        k = n // count
        return tuple((p * k, p * k + k) for p in range(count))
    given = list(edges)
    if given and all(hasattr(edge, "__len__") for edge in given):
        pairs = [tuple(as_index(place, "a part", WHERE) for place in edge) for edge in given]
        for pair in pairs:
            if len(pair) != 2 or not 0 <= pair[0] <= pair[1] <= n:  # noqa: PLR2004 -- a pair
                message = f"a part is a (start, stop) with 0 <= start <= stop <= {n}, got {pair}"
                raise ValueError(message + where)
        return tuple((start, stop) for start, stop in pairs)
    cuts = [0, *(as_index(edge, "a cut", WHERE) for edge in given), n]
    if cuts != sorted(cuts):
        message = f"cuts must be in increasing order, from 0 to {n}, got {cuts[1:-1]}"
        raise ValueError(message + where)
    return tuple(pairwise(cuts))
