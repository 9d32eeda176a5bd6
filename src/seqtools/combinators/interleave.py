"""Items of several sequences in turn, by index arithmetic."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, TypeAlias, TypeVar

from seqtools._core.checks import check_source
from seqtools._core.indices import Indices, as_array, as_list, concatenated
from seqtools._core.rearrangement import Rearrangement
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, ends_unseen, size_of

T = TypeVar("T")

_Phases: TypeAlias = tuple[list[int], list[int], list[list[int]]]
"""Phases between two ends of sources: each round takes one item of each source that is left.

Phase p begins at item `starts[p]`, in round `before[p]`, with the sources `active[p]`.
"""


class Interleave(Rearrangement[T]):
    """Items of several sequences in turn."""

    __slots__ = ()

    def _arrange(self) -> _Phases:
        sizes = [size_of(sequence) for sequence in self._sequences]
        longest = max((n for n in sizes if n is not None), default=None)
        lengths = [longest if n is None else n for n in sizes]
        ends = sorted({n for n in lengths if n})
        before = [0, *ends]
        active = [[k for k, n in enumerate(lengths) if n is None or n > b] for b in before]
        rounds = [end - begin for begin, end in zip(before, ends, strict=False)]
        counts = [r * len(a) for r, a in zip(rounds, active, strict=False)]
        return [0, *accumulate(counts)], before, active

    def _size(self) -> int | None:
        starts, _, active = self._layout or self._arranged()
        return None if active[-1] else starts[-1]

    def _locate(self, i: int) -> tuple[int, int]:
        starts, before, active = self._layout or self._arranged()
        p = bisect_right(starts, i) - 1
        turn, place = divmod(i - starts[p], len(active[p]))
        return active[p][place], before[p] + turn

    def _get_many(self, indices: Indices) -> Sequence[T]:
        return [self._get(i) for i in as_list(indices)]  # all blocks have one item

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        import numpy as np

        starts, before, actives = self._layout or self._arranged()
        flat = as_array(indices)
        phase = np.searchsorted(starts, flat, side="right") - 1
        # each source keeps the order of need
        parts: dict[int, list[Indices]] = {}
        cuts = np.flatnonzero(np.diff(phase)) + 1
        for block in np.split(flat, cuts) if flat.size else []:
            p = int(np.searchsorted(starts, block[0], side="right")) - 1
            active = actives[p]
            turn, place = np.divmod(block - starts[p], len(active))
            for number, k in enumerate(active):
                mine = turn[place == number] + before[p]
                if mine.size:
                    parts.setdefault(k, []).append(mine)
        return [(self._sequences[k], concatenated(parts[k])) for k in sorted(parts)]

    def _users(self, number: int, js: Any, n: int) -> Any:
        import numpy as np

        del n
        starts, before, actives = self._layout or self._arranged()
        phase = np.searchsorted(before, js, side="right") - 1
        found = [np.empty(0, np.int64)]
        for p in np.unique(phase).tolist():
            if number in actives[p]:  # it may be longer than the others, and endless
                turns = js[phase == p] - before[p]
                found.append(starts[p] + turns * len(actives[p]) + actives[p].index(number))
        return np.concatenate(found)

    def _rebuild(self, *sources: Any) -> "Interleave[T]":
        return Interleave(*sources)

    def _args(self) -> tuple[Any, ...]:
        return self._sequences


def interleave(*sequences: Sequence[Source[T]] | Source[T]) -> LazySequence[T]:
    """Return the first items of all sequences, then the second items, and so on.

    A sequence that has ended is skipped. Endless sequences end with the longest finite
    one. Assigning to an item assigns to the sequence that it comes from.

    Args:
        sequences: At least one; or a single list or tuple of sequences.

    Raises:
        TypeError: If there is no sequence, or one of them is not a sequence.
        ValueError: If a sequence ends and its length is not known.

    Example:
        >>> list(interleave([1, 2, 3], "ab", [0.5]))
        [1, 'a', 0.5, 2, 'b', 3]
        >>> list(interleave([[1, 2, 3], "ab"]))
        [1, 'a', 2, 'b', 3]
    """
    if not sequences:
        message = "interleave() needs at least one sequence"
        raise TypeError(message)
    if len(sequences) == 1 and _is_of_sequences(sequences[0]):
        sequences = tuple(sequences[0])  # type: ignore[arg-type]
    for k, sequence in enumerate(sequences):
        check_source(sequence, f"sequences[{k}]")
        if ends_unseen(sequence):
            message = f"interleave() needs to know where sequences[{k}] ends: give it its size"
            raise ValueError(message)
    return Interleave(*sequences)


def _is_of_sequences(argument: Any) -> bool:
    """Return whether `argument` is a list of sequences and not a sequence: some can be indexed."""
    return isinstance(argument, list | tuple) and any(
        hasattr(each, "__getitem__") for each in argument
    )
