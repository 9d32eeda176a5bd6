"""Several sequences in given proportions, by index arithmetic."""

import sys
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar, get_args

from seqtools._core.checks import as_index, check_source
from seqtools._core.choices import check_choice
from seqtools._core.indices import ENDLESS, Indices, as_array
from seqtools._core.lengths import since_refresh
from seqtools._core.order.proportions import Period, period
from seqtools._core.order.weights import copied, steps_of
from seqtools._core.rearrangement import Rearrangement
from seqtools._core.resume import plain
from seqtools._core.sources import Source, ends_unseen, read_many, size_of
from seqtools._core.walk import is_stage

T = TypeVar("T")

Stop: TypeAlias = Literal["first", "all"]
"""When a mix ends."""


class _Schedule(NamedTuple):
    """Steps of constant proportions, each of which begins a period of its own."""

    starts: list[int]
    periods: list[Period]
    before: list[list[int]]
    """How many items of each sequence come before each step."""


class Mix(Rearrangement[T]):
    """Items of several sequences in given proportions."""

    __slots__ = ("_keys", "_schedule", "_steps", "_stop", "_weights")

    def __init__(self, sequences: Any, weights: Any, stop: Stop) -> None:
        self._keys = tuple(sequences) if isinstance(sequences, Mapping) else None
        super().__init__(*(sequences if self._keys is None else sequences.values()))
        self._weights = weights
        self._stop = stop
        self._steps = steps_of(weights, self._keys, len(self._sequences))
        self._schedule: _Schedule | None = None  # made when it is needed: tables take time

    def _scheduled(self) -> _Schedule:
        """Return the schedule. Two threads may make it at once; they make the same."""
        starts = [start for start, _ in self._steps]
        periods = [period(counts) for _, counts in self._steps]
        before = [[0] * len(self._sequences)]
        for p in range(len(starts) - 1):
            length = starts[p + 1] - starts[p]
            before.append([n + periods[p].count(k, length) for k, n in enumerate(before[p])])
        schedule = self._schedule = _Schedule(starts, periods, before)
        return schedule

    def _arrange(self) -> list[int]:
        """Return the lengths, `ENDLESS` of endless ones; raise `ValueError` if one cannot be."""
        sizes = []
        for k, sequence in enumerate(self._sequences):
            n = size_of(sequence)
            used = any(counts[k] for _, counts in self._steps)
            if used and n == 0:
                message = (
                    f"{self._called(k)} is empty, so it cannot have a weight: leave it out, or "
                    "give it weight 0"
                )
                raise ValueError(message + since_refresh(self))
            if used and ends_unseen(sequence):
                message = f"mix() needs to know where {self._called(k)} ends: give it its size"
                raise ValueError(message)
            sizes.append(n or ENDLESS)
        return sizes

    def _called(self, k: int) -> str:
        return f"sequences[{(k if self._keys is None else self._keys[k])!r}]"

    def _size(self) -> int | None:
        n = self._end()
        if n is not None and n >= ENDLESS:
            message = f"{n} items are too many for a sequence: mix slices of these sequences"
            raise ValueError(message)
        return n

    def _end(self) -> int | None:
        sizes = self._layout or self._arranged()
        used = [k for k in range(len(sizes)) if any(counts[k] for _, counts in self._steps)]
        finite = [k for k in used if sizes[k] != ENDLESS]
        if self._stop == "first":
            ends = [self._position(k, sizes[k]) for k in finite]
            return min((end for end in ends if end is not None), default=None)
        ends = [self._position(k, sizes[k] - 1) for k in finite]
        return None if None in ends or not ends else max(end for end in ends if end is not None) + 1

    def _position(self, k: int, r: int) -> int | None:
        """Return where sequence `k` comes for the time after `r` others, `None` if nowhere."""
        starts, periods, before = self._schedule or self._scheduled()
        for p, (start, counts) in enumerate(self._steps):
            if counts[k]:
                i = start + periods[p].position(k, r - before[p][k])
                if p + 1 == len(starts) or i < starts[p + 1]:
                    return i
        return None

    def _locate(self, i: int) -> tuple[int, int]:
        starts, periods, before = self._schedule or self._scheduled()
        p = bisect_right(starts, i) - 1
        k, j = periods[p].locate(i - starts[p])
        j += before[p][k]
        return k, j if self._stop == "first" else j % (self._layout or self._arranged())[k]

    def _located(self, indices: Indices) -> tuple[Any, Any]:
        """Return the numbers of the sequences of items, and the indices there, as arrays."""
        import numpy as np

        starts, periods, before = self._schedule or self._scheduled()
        flat = as_array(indices)
        if len(starts) == 1:
            numbers, js = periods[0].locate_many(flat)
        else:
            numbers, js = np.empty(len(flat), np.intp), np.empty(len(flat), np.int64)
            steps = np.searchsorted(starts, flat, side="right") - 1
            for p in np.unique(steps).tolist():
                at = np.flatnonzero(steps == p)
                numbers[at], ranks = periods[p].locate_many(flat[at] - starts[p])
                js[at] = ranks + np.array(before[p])[numbers[at]]
        if self._stop == "all":
            js %= np.array(self._layout or self._arranged())[numbers]
        return numbers, js

    def _parts(self, indices: Indices) -> tuple[Any, list[tuple[int, Any]]]:
        """Return the order of items by sequence, and the indices in each that has some."""
        import numpy as np

        numbers, js = self._located(indices)
        order = np.argsort(numbers, kind="stable")
        ends = np.cumsum(np.bincount(numbers, minlength=len(self._sequences)))
        parts = np.split(js[order], ends[:-1])
        return order, [(k, part) for k, part in enumerate(parts) if part.size]

    def _get_many(self, indices: Indices) -> Sequence[T]:
        order, parts = self._parts(indices)
        if len(parts) == 1:
            return read_many(self._sequences[parts[0][0]], parts[0][1])  # type: ignore[no-any-return]
        read = [read_many(self._sequences[k], js) for k, js in parts]
        if read and _are_alike(read):
            import numpy as np

            flat = np.concatenate(read)
            items = np.empty_like(flat, subok=False)
            items[order] = flat
            return items  # type: ignore[return-value]
        found: list[Any] = [None] * len(order)
        for at, item in zip(order.tolist(), chain.from_iterable(read), strict=True):
            found[at] = item
        return found

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(self._sequences[k], js) for k, js in self._parts(indices)[1]]

    def _users(self, number: int, js: Any, n: int) -> Any:
        import numpy as np

        size = (self._layout or self._arranged())[number]
        found: list[int] = []
        for j in js.tolist():
            ranks = range(j, ENDLESS, size) if self._stop == "all" else (j,)
            for rank in ranks:
                i = self._position(number, rank)
                if i is None or i >= n:
                    break
                found.append(i)
        return np.array(found, np.int64)

    def _identity(self) -> Any:
        return "mix", plain(self._keys), self._steps, self._stop

    def _rebuild(self, *sources: Any) -> "Mix[T]":
        return Mix(self._made(sources), self._weights, self._stop)

    def _made(self, parts: Sequence[Any]) -> Any:
        return list(parts) if self._keys is None else dict(zip(self._keys, parts, strict=True))

    def _args(self) -> tuple[Any, ...]:
        return self._made(self._sequences), self._weights, self._stop

    def counts(self, n: int) -> Any:
        """Return how many of the first `n` items are from each sequence.

        Items that are read again, with `stop="all"`, count again.

        Args:
            n: From 0 to the length.

        Returns:
            A list, or a dict by name if the sequences have names.

        Raises:
            ValueError: If there are no `n` items.

        Example:
            >>> from seqtools import arange, mix
            >>> mix([arange(100), arange(100)], [3, 1]).counts(10)
            [8, 2]
        """
        n = as_index(n, "n")
        size = self._length()
        if n < 0 or (size is not None and n > size):
            most = "" if size is None else f" to {size}, the length of the mix"
            message = f"n must be from 0{most}, got {n}"
            raise ValueError(message)
        starts, periods, before = self._schedule or self._scheduled()
        p = bisect_right(starts, n) - 1
        return self._made([m + periods[p].count(k, n - starts[p]) for k, m in enumerate(before[p])])


def _are_alike(parts: list[Any]) -> bool:
    """Return whether all are arrays of numpy that one array can hold without a change."""
    numpy = sys.modules.get("numpy")
    assert numpy is not None  # noqa: S101 -- there are indices in an array of it
    return all(type(part) in (numpy.ndarray, numpy.memmap) for part in parts) and all(
        part.dtype == parts[0].dtype and part.shape[1:] == parts[0].shape[1:] for part in parts
    )


def mix(
    sequences: Sequence[Source[T]] | Mapping[Any, Source[T]],
    weights: Sequence[Any] | Mapping[Any, Any],
    *,
    stop: Stop = "first",
) -> Mix[T]:
    """Return items of all `sequences`, in proportion to `weights` from the first item on.

    Nothing is drawn by chance: each sequence is read in order, and among the first `n` items, for
    every `n`, there are as many of it as its share of `n`, to less than one item. More precisely,
    the difference is at most `1 - 1 / (2 * K - 2)` for `K` sequences with a weight. That is as in
    R. Tijdeman, "The chairman assignment problem", Discrete Mathematics 32, 1980. Weights that
    repeat only after more than 65,536 items are mixed by another method, with a difference of
    at most 1.4 in all that were tried. Assigning to an item assigns to the sequence that it is
    from.

    To go through a sequence several times, give `cycle` of it, or `shuffle` with `epochs=None`.

    Args:
        sequences: A list of sequences, or a dict of them with their names.
        weights: Numbers from 0, at least one of them above 0: a list with one for each sequence,
            or a dict by name. They need not add up to 1. Floats are taken as they are written, so
            that 0.7 is seven tenths; only shares that repeat after more than 2**30 items are
            rounded to parts of that. For weights that change, a list of steps
            `(position, weights)`, with positions that ascend from 0: item `position` is the first
            with these weights. Names that a step leaves out have weight 0 there. A step that is
            added after others changes no item before its position. The bound above holds in each
            step, counted from its position.
        stop: With `"first"`, the mix ends before the item for which a sequence has no more. With
            `"all"`, it goes on until each was read once, and sequences that have ended begin anew;
            it is endless if the weights prevent one from being read once. Endless sequences do not
            count, so a mix of them alone is endless.

    Raises:
        TypeError: If `sequences` are no sequences, or a weight is no number.
        ValueError: If there are no sequences; if weights do not fit to them, are negative, all 0,
            or one is so small that it would be rounded to 0, below 2**-30 of all; if positions do
            not ascend from 0; if a sequence with a weight is empty; or if it is not known where
            one ends.

    Example:
        >>> list(mix(["abcdef", range(10)], [2, 1]))
        ['a', 0, 'b', 'c', 1, 'd', 'e', 2, 'f']
        >>> weights = [(0, {"web": 1}), (2, {"web": 1, "books": 1})]
        >>> text = mix({"web": "WWWW", "books": "bbbb"}, weights)
        >>> "".join(text), text.counts(4)
        ('WWWbWb', {'web': 3, 'books': 1})
    """
    names: Sequence[Any] = range(len(sequences))
    if isinstance(sequences, Mapping):
        names = list(sequences)
    else:
        check_source(sequences, "sequences")
    if not sequences:
        message = "mix() needs at least one sequence"
        raise ValueError(message)
    for name in names:
        try:
            check_source(sequences[name], f"sequences[{name!r}]")
        except TypeError as error:
            if not is_stage(sequences):
                raise
            message = f"mix() needs a list of sequences, mix([x, y], weights): {error}"
            raise TypeError(message) from None
    check_choice(stop, "stop", get_args(Stop))
    result = Mix[T](sequences, copied(weights), stop)
    result._length()  # raises errors
    return result
