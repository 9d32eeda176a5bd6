"""Arithmetic on many indices at once.

Indices travel through a pipeline as a `range` or as an array of integers, never as a list of
Python integers: a hint can contain thousands of indices, and is repeated whenever the reader moves.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

Indices: TypeAlias = Sequence[int]
"""A `range`, or a one-dimensional array of integers."""

ENDLESS = sys.maxsize
"""Stop of a range over a sequence without length."""

LIMIT = 1 << 22
"""Most indices in an array. Arbitrary: 32 MB, a few ms."""


class TooManyIndices(ValueError):  # noqa: N818 -- a signal that never reaches users
    """A range, perhaps an endless one, is too long for an array."""


def as_list(indices: Indices) -> Sequence[int]:
    """Return `indices` such that iterating yields Python integers, as code of users expects."""
    return indices if isinstance(indices, range | list) else indices.tolist()  # type: ignore[attr-defined]


def as_array(indices: Indices) -> Any:
    """Return `indices` as an array; raise `TooManyIndices` if they are more than `LIMIT`."""
    import numpy as np

    if isinstance(indices, range):
        # len() of a range longer than sys.maxsize is an OverflowError
        if (indices.stop - indices.start) // indices.step > LIMIT:
            raise TooManyIndices
        return np.arange(indices.start, indices.stop, indices.step)
    return np.asarray(indices, dtype=np.int64)


def all_below(indices: Any, n: int) -> bool:
    """Return whether all of an array of `indices` are from 0 to below `n`."""
    import numpy as np

    # as unsigned numbers the negative ones are the largest, so one comparison suffices
    return not indices.size or int(np.maximum.reduce(indices.view(np.uint64))) < n


def is_run(indices: Indices) -> bool:
    """Return whether `indices` are a range of consecutive integers."""
    return isinstance(indices, range) and indices.step == 1


def runs(indices: Indices) -> Iterator[range]:
    """Yield `indices`, which ascend, as ranges of consecutive ones."""
    if is_run(indices):
        yield range(indices[0], indices[-1] + 1)
        return
    begin = 0
    for k in range(1, len(indices) + 1):
        if k == len(indices) or indices[k] != indices[k - 1] + 1:
            yield range(indices[begin], indices[k - 1] + 1)
            begin = k


def within(places: range, indices: Indices) -> Indices:
    """Return `places[i]` for each of `indices`."""
    if not isinstance(indices, range):
        return places.start + places.step * as_array(indices)  # type: ignore[no-any-return]
    if not indices:
        return range(0)
    step = places.step * indices.step
    first = places.start + places.step * indices.start
    return range(first, first + step * len(indices), step)


def modulo(indices: Indices, n: int) -> Indices:
    """Return `i % n` for each of `indices`."""
    if isinstance(indices, range) and indices:
        turns = indices[0] // n
        if turns == indices[-1] // n:
            return within(range(-turns * n, 1), indices)
    return as_array(indices) % n  # type: ignore[no-any-return]


def quotients(indices: Indices, k: int) -> Indices:
    """Return `i // k` for each of `indices`, without consecutive repetitions."""
    if is_run(indices):
        return range(indices[0] // k, indices[-1] // k + 1) if indices else range(0)
    import numpy as np

    whole = as_array(indices) // k
    return whole[np.diff(whole, prepend=-1) != 0]  # type: ignore[no-any-return]


def spans(indices: Indices, k: int, n: int | None) -> Indices:
    """Return `i * k … i * k + k - 1` for each of `indices`, up to `n`."""
    if is_run(indices):
        if not indices:
            return range(0)
        return range(indices[0] * k, min(indices[-1] * k + k, ENDLESS if n is None else n))
    import numpy as np

    if len(indices) > LIMIT // k:
        raise TooManyIndices
    flat = (as_array(indices)[:, np.newaxis] * k + np.arange(k)).ravel()
    return flat if n is None else flat[flat < n]  # type: ignore[no-any-return]


def concatenated(parts: Sequence[Indices]) -> Indices:
    """Return `parts` end to end."""
    if len(parts) == 1 and isinstance(parts[0], range):
        return parts[0]
    import numpy as np

    return np.concatenate([as_array(part) for part in parts]) if parts else range(0)  # type: ignore[return-value]
