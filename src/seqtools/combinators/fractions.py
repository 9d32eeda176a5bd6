"""A sequence split at random: training, validation, test."""

from collections.abc import Hashable, Mapping, Sequence
from math import lcm
from typing import Any, TypeVar, overload

from seqtools._core import lengths
from seqtools._core.chance.seeds import Seed
from seqtools._core.checks import check_seed, check_source, is_bool
from seqtools._core.display.short import short
from seqtools._core.order import partition
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, read_many, size_of
from seqtools._core.views import Chosen

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

_EXACT = 10**9
"""Fractions are the nearest ones with a denominator up to this, so that 0.1 is a tenth."""
_ROUNDING = 1e-6
"""By how much the sum of fractions may differ from 1: float32 has an error of 1e-7."""


class Part(Chosen[T]):
    """Items of a sequence that were chosen at random."""

    __slots__ = ("_call",)

    _name = "split_fractions"

    def __init__(self, sequence: Any, indices: Any, n: int, call: str) -> None:
        super().__init__(sequence, indices, n)
        self._call = call

    def _size(self) -> int:
        known = self._indices
        if lengths.refreshes and len(known):
            n = size_of(self._sequence)
            if n is not None and known[-1] >= n:
                message = (
                    f"{self._call} reads item {known[-1]} of a sequence that has {n} since it was "
                    f"refreshed: split it again{lengths.since_refresh(self)}"
                )
                raise ValueError(message)
        return len(known)

    def _rebuild(self, *sources: Any) -> "Part[T]":
        return Part(sources[0], *self._args()[1:])

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self._indices.obj, self._n, self._call

    def _as_call(self) -> str:
        return self._call


@overload
def split_fractions(
    sequence: Source[T],
    fractions: Mapping[K, float],
    seed: Seed,
    *,
    stratify: Source[Hashable] | None = None,
    groups: Source[Hashable] | None = None,
) -> dict[K, LazySequence[T]]: ...
@overload
def split_fractions(
    sequence: Source[T],
    fractions: Sequence[float],
    seed: Seed,
    *,
    stratify: Source[Hashable] | None = None,
    groups: Source[Hashable] | None = None,
) -> tuple[LazySequence[T], ...]: ...
def split_fractions(
    sequence: Source[T],
    fractions: Any,
    seed: Seed,
    *,
    stratify: Source[Hashable] | None = None,
    groups: Source[Hashable] | None = None,
) -> Any:
    """Return parts of `sequence` that have no item in common, chosen at random.

    Each part has its items in their order in `sequence`, and the next integers to its fraction of
    the length: they are rounded down, and those with the largest remainders have one more. If the
    fractions sum to 1, each item is in a part. Nothing of `sequence` is read; assigning to an item
    of a part assigns to `sequence`.

    Parts depend on the seed and the indices, and little on the length: if items are appended to
    `sequence` later, nearly all others are in the same parts as before.

    Args:
        sequence: A sequence with a length.
        fractions: Numbers from 0 to 1 whose sum is at most 1, such as `(0.8, 0.1, 0.1)`, or a
            mapping of names to them.
        seed: An integer, a string, or a tuple of these.
        stratify: A label for each item, which is read now. The items of each label are split by
            the fractions too. Parts may then have one item more or less.
        groups: A label for each item, which is read now. Items with one label are in one part.
            At either end of a part, half a group may be too much or missing.

    Returns:
        A tuple of sequences, or a dict if `fractions` is a mapping. They keep their indices, 4 or 8
        bytes for each item.

    Raises:
        TypeError: If `sequence` has no length, or an argument is of a wrong type.
        ValueError: If fractions are negative or too large, there is not a label for each item, or
            both `stratify` and `groups` are given.

    Example:
        >>> train, test = split_fractions("abcdefghij", (0.7, 0.3), seed=7)
        >>> "".join(train), "".join(test)
        ('adefhij', 'bcg')
    """
    check_source(sequence)
    n = size_of(sequence)
    if n is None:
        message = "split_fractions() needs a sequence with a length: slice it first"
        raise TypeError(message)
    seed = check_seed(seed)
    if stratify is not None and groups is not None:
        message = (
            "split_fractions() takes stratify or groups, got both: split the groups with stratify, "
            "and choose the items of each part's groups by compress()"
        )
        raise ValueError(message)
    names = list(fractions) if isinstance(fractions, Mapping) else None
    weights = _weights(fractions)
    if groups is not None:
        numbers = partition.of_groups(_numbered(groups, n, "groups"), weights, seed)
    elif stratify is not None:
        numbers = partition.of_labels(_numbered(stratify, n, "stratify"), weights, seed)
    else:
        numbers = partition.of_items(n, weights, seed)
    call = _call(fractions, seed, stratify=stratify, groups=groups)
    keys: Sequence[Any] = range(len(weights) - 1) if names is None else names
    parts = [
        Part[T](sequence, _where(numbers, k), n, f"{call}[{short(key)}]")
        for k, key in enumerate(keys)
    ]
    return tuple(parts) if names is None else dict(zip(names, parts, strict=True))


def _call(fractions: Any, seed: Seed, **labels: Any) -> str:
    given = dict(fractions) if isinstance(fractions, Mapping) else tuple(fractions)
    texts = [f"{key}={short(value)}" for key, value in labels.items() if value is not None]
    return f"split_fractions({', '.join([short(given), repr(seed), *texts])})"


def _weights(fractions: Any) -> list[int]:
    """Return integers in proportion to the fractions, and at the end that of the rest."""
    from fractions import Fraction  # takes some ms to import
    from numbers import Real

    values = _listed(fractions.values() if isinstance(fractions, Mapping) else fractions)
    for value in values:
        if is_bool(value) or not isinstance(value, Real):
            message = f"fractions must be numbers, got {short(value)}"
            raise TypeError(message)
        if not 0 <= float(value) <= 1:
            message = f"fractions must be from 0 to 1, got {short(value)}: 0.8 is 80 %"
            raise ValueError(message)
    exact = [Fraction(float(value)).limit_denominator(_EXACT) for value in values]
    total = sum(exact, Fraction())
    if total > 1 + _ROUNDING:
        message = (
            f"fractions must sum to at most 1, got {short(values)}, whose sum is {sum(values)}"
        )
        raise ValueError(message)
    if total > 1 - _ROUNDING:
        exact = [fraction / total for fraction in exact]
    exact.append(1 - sum(exact, Fraction()))
    unit = lcm(*(fraction.denominator for fraction in exact))
    return [int(fraction * unit) for fraction in exact]


def _listed(fractions: Any) -> list[Any]:
    try:
        values = list(fractions)
    except TypeError:
        values = []
    if values:
        return values
    message = f"fractions must be numbers such as (0.8, 0.2), got {short(fractions)}"
    raise TypeError(message)


def _numbered(labels: Any, n: int, name: str) -> list[int]:
    """Return for each of `labels` the number of labels that occurred before it first did."""
    check_source(labels, name)
    count = size_of(labels)
    if count != n:
        length = "no length" if count is None else f"length {count}"
        message = f"{name} must have a label for each of {n} items, got {length}"
        raise ValueError(message)
    numbers: dict[Any, int] = {}
    result = []
    for i, label in enumerate(read_many(labels, range(n))):
        # scalars of numpy and torch, of which the latter are not equal by their value
        value = label.tolist() if hasattr(label, "tolist") else label
        try:
            result.append(numbers.setdefault(value, len(numbers)))
        except TypeError:
            message = (
                f"{name}[{i}] must be hashable, such as an integer or string, got {short(value)}"
            )
            raise TypeError(message) from None
    if any(label != label for label in numbers):  # noqa: PLR0124 -- true of nan
        message = f"{name} must be labels, got nan, which is not equal to itself"
        raise ValueError(message)
    return result


def _where(numbers: Any, part: int) -> Any:
    """Return the indices of the items of a part, as small integers as can be."""
    import numpy as np

    indices = np.flatnonzero(numbers == part)
    return indices.astype(np.int32) if len(numbers) <= 2**31 else indices
