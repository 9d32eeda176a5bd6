"""Sequences side by side, end to end, and in parts."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from seqtools._core import rows
from seqtools._core.checks import WHERE, as_index, check_count, check_source, is_bool
from seqtools._core.concatenated import concatenation
from seqtools._core.display.short import short
from seqtools._core.indices import Indices, as_list
from seqtools._core.lengths import since_refresh
from seqtools._core.overlap import apart
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import (
    Source,
    assign,
    common_size,
    ends_unseen,
    getter,
    read_many,
    read_row,
    size_of,
)
from seqtools._core.traits import Traits
from seqtools._core.views import Slice

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
        values = list(value)
        if len(values) != len(self._sequences):
            message = f"an item has {len(self._sequences)} parts, got {len(values)}"
            raise ValueError(message)
        for sequence, part in zip(self._sequences, apart(self, values), strict=True):
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


def concatenate(sequences: Sequence[Source[T]] | Source[T], *others: Source[T]) -> LazySequence[T]:
    """Return the items of the first sequence, then those of the second, and so on.

    Nothing is copied; assigning to an item assigns to the sequence that it comes from. An
    argument that is a result of `concatenate` is replaced by its sequences, so a loop that
    appends repeatedly builds a single stage. For lazy sequences, `p + q` is the same as
    `concatenate([p, q])`.

    Args:
        sequences: A list of any number of sequences; or the first one, if there are `others`.
            Only the last may be endless.
        others: The other sequences, if they are not in a list.

    Raises:
        ValueError: If a sequence before the last has no length, or their list is endless.
        TypeError: If one of them is not a sequence.

    Example:
        >>> list(concatenate([[1, 2], "ab"]))
        [1, 2, 'a', 'b']
        >>> list(concatenate([1, 2], "ab"))
        [1, 2, 'a', 'b']
    """
    if not others:
        check_source(sequences, "sequences")
        if size_of(sequences) is None and not ends_unseen(sequences):
            message = "concatenate() needs a list of sequences that ends, got an endless one"
            raise ValueError(message)
    given: list[Any] = [sequences, *others] if others else list(sequences)  # type: ignore[arg-type]
    return concatenation(given, [f"sequences[{k}]" for k in range(len(given))])


class Split(LazySequence[LazySequence[T]]):
    """Parts of a sequence."""

    __slots__ = ("_count", "_edges", "_sequence")

    def __init__(self, sequence: Any, edges: Any, parts: int | None = None) -> None:
        self._sequence, self._edges, self._count = sequence, edges, parts

    def _arrange(self) -> tuple[tuple[tuple[int, int], ...]]:
        """Return start and stop of each part; raise an error if the length does not fit."""
        n = size_of(self._sequence)
        if n is None:
            message = "split() needs a sequence with a length: slice it first"
            raise TypeError(message)
        where = since_refresh(self)
        if self._count is not None:
            return (_equal_parts(n, self._count, where),)
        return (_parts(n, self._edges, where),)

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

    def _made_from(self, indices: Indices) -> list[tuple[Any, Indices | None, bool]]:
        (parts,) = self._layout or self._arranged()
        # reading a part reads none of its items: who has it decides which are read
        return [(self._sequence, range(*parts[i]), False) for i in as_list(indices)]

    def _users(self, number: int, js: Any, n: int) -> Any:
        """Return the parts in which one of these items is."""
        del number
        import numpy as np

        (parts,) = self._layout or self._arranged()
        begins, ends = np.array(parts[:n], np.int64).reshape(-1, 2).T
        return np.flatnonzero(np.searchsorted(js, begins) < np.searchsorted(js, ends))

    def _rebuild(self, *sources: Any) -> "Split[T]":
        return Split(sources[0], self._edges, self._count)

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self._edges, self._count

    def _as_call(self) -> str | None:
        return None if self._count is None else f"split(parts={self._count})"


def split(
    sequence: Source[T],
    edges: int | Source[int] | Source[tuple[int, int]] | None = None,
    *,
    parts: int | None = None,
) -> LazySequence[LazySequence[T]]:
    """Return parts of `sequence` as views.

    `split(x, parts=3)` makes three parts of equal length, `split(x, [4, 7])` cuts at these
    positions, and `split(x, 3)` makes 3 cuts, so four parts of equal length.

    Splitting computes nothing; items are computed when they are read. Assigning to a part
    assigns to `sequence`. For parts by fractions, as for training and test, see
    `split_fractions`.

    Args:
        sequence: What to split.
        edges: The number of cuts, which is one less than the number of parts of equal
            length; or the positions of the cuts in increasing order; or a pair of start and
            stop for each part.
        parts: In place of `edges`, the number of parts of equal length, at least 1.

    Raises:
        ValueError: If parts of equal length are impossible, or positions are out
            of order or out of range.
        TypeError: If `edges` is none of these, or not exactly one of `edges` and `parts` is given.

    Example:
        >>> [list(part) for part in split([1, 2, 3, 4, 5, 6], 2)]
        [[1, 2], [3, 4], [5, 6]]
        >>> [list(part) for part in split([1, 2, 3, 4, 5, 6], parts=2)]
        [[1, 2, 3], [4, 5, 6]]
        >>> [list(part) for part in split("abcde", [1, 3])]
        [['a'], ['b', 'c'], ['d', 'e']]
        >>> [list(part) for part in split("abcde", [(0, 3), (2, 5)])]
        [['a', 'b', 'c'], ['c', 'd', 'e']]
    """
    check_source(sequence)
    if (edges is None) == (parts is None):
        got = "neither" if parts is None else "both"
        message = f"split() needs either edges or parts=, got {got}: use split(sequence, parts=4)"
        raise TypeError(message)
    given: Any = edges
    if parts is not None:
        parts = check_count(parts, 1, "parts")
    elif is_bool(given) or (hasattr(given, "__index__") and not hasattr(given, "__len__")):
        given = check_count(given, 0, "edges")
    elif isinstance(given, Iterable) and not isinstance(given, Mapping | str):
        given = tuple(given)
    else:
        message = f"edges must be a number of cuts, or their positions, got {short(given)}"
        fractions = isinstance(given, Mapping) or hasattr(given, "__float__")
        raise TypeError(message + (_FRACTIONS if fractions else ""))
    result = Split[T](sequence, given, parts)
    len(result)  # raises errors for `edges` and `parts`
    return result


_FEW = 5
"""Most parts of which an error lists the cuts. Arbitrary."""
_FRACTIONS = ": for parts by fractions, use split_fractions(sequence, (0.8, 0.2))"


def _equal_parts(n: int, count: int, where: str) -> tuple[tuple[int, int], ...]:
    k, left = divmod(n, count)
    if left:
        cuts = f"[p * {n} // {count} for p in range(1, {count})]"
        if count <= _FEW:
            cuts = str([-(-p * n // count) for p in range(1, count)])
        message = (
            f"{n} items are not divisible by {count}: give positions, such as split(x, {cuts})"
        )
        raise ValueError(message + where)
    return tuple((p * k, p * k + k) for p in range(count))


def _parts(n: int, edges: Any, where: str) -> tuple[tuple[int, int], ...]:
    if isinstance(edges, int):
        count = edges + 1
        if n % count:
            message = f"{edges} cuts make {count} equal parts, but {n} items are not divisible"
            fits = count > 2 and not n % (count - 1)  # noqa: PLR2004 -- one part needs no split
            advice = f": use parts={count - 1} for {count - 1} parts" if fits else ""
            raise ValueError(message + advice + where)
        return _equal_parts(n, count, where)
    given = list(edges)
    if given and all(hasattr(edge, "__len__") and not isinstance(edge, str) for edge in given):
        pairs = [tuple(_position(place, "a part") for place in edge) for edge in given]
        for pair in pairs:
            if len(pair) != 2 or not 0 <= pair[0] <= pair[1] <= n:  # noqa: PLR2004 -- a pair
                message = f"a part is a (start, stop) with 0 <= start <= stop <= {n}, got {pair}"
                raise ValueError(message + where)
        return tuple((start, stop) for start, stop in pairs)
    cuts = [0, *(_position(edge, "a cut") for edge in given), n]
    if cuts != sorted(cuts):
        message = f"cuts must be in increasing order, from 0 to {n}, got {cuts[1:-1]}"
        raise ValueError(message + where)
    return tuple(pairwise(cuts))


def _position(value: Any, name: str) -> int:
    if hasattr(value, "__float__") and not hasattr(value, "__index__") and not is_bool(value):
        message = f"{name} must be an integer, got {short(value)}{_FRACTIONS}"
        raise TypeError(message)
    return as_index(value, name, WHERE)
