"""Functions applied to items when they are read."""

from collections.abc import Callable
from typing import Any, TypeVar

from seqtools._core.chance.seeds import Seed
from seqtools._core.checks import check_function, check_seed, check_source
from seqtools._core.maps import (
    Smap,
    SmapDrawing,
    SmapMany,
    SmapManyDrawing,
    Starmap,
    StarmapDrawing,
)
from seqtools._core.sequence import LazySequence
from seqtools._core.signatures import check_needs_no_rng, check_takes_rng
from seqtools._core.sources import Source

T = TypeVar("T")


def smap(
    f: Callable[..., T],
    *sequences: Source[Any],
    rng: Seed | None = None,
    seed: Seed | None = None,
    inverse: Callable[[Any], Any] | None = None,
) -> LazySequence[T]:
    """Return the results of `f` on the items of `sequences`, computed when read.

    Item `i` is `f(sequence[i], …)`, evaluated every time that it is read: see
    `add_cache` to keep results, and `prefetch` to compute them ahead.

    With `rng=s`, item `i` is `f(sequence[i], …, rng=generator)`. What the generator draws depends
    on `s` and the position of the item alone: it is the same in every engine, for any number of
    workers, in any order of reading. The position is `i`; where `sequence` is a slice, or has a
    slice upstream, the index in what was sliced, so that `smap(f, s[k:], rng=7)` draws what
    `smap(f, s, rng=7)[k:]` draws.

    Args:
        f: Called with one item of each sequence.
        sequences: At least one. The finite ones must have the same length; endless
            ones adapt to it.
        rng: A seed: an integer, a string, or a tuple of these. `f` gets a new
            `numpy.random.Generator` for each item, as the argument `rng`, which it may keep. Takes
            1.4 us for an item. Stages with the same seed draw the same numbers.
        seed: A seed for functions that draw from the global generators: those of `random`, numpy
            and torch (if imported) are seeded from `seed` and the position before each call of `f`,
            and put back afterwards. Takes about 0.1 ms for an item, and `f` runs in one thread at
            a time. A function that draws in another thread meanwhile draws from the same
            generators. `f` must not wait for a thread that evaluates a map with `seed=`.
        inverse: Makes items from results, so that items can be assigned:
            `mapping[i] = value` assigns `inverse(value)` to item `i` of the sequence. For several
            sequences, it returns one value for each.

    Raises:
        TypeError: If `f` cannot be called, or another argument is not a sequence; with `rng=`, if
            `f` has no parameter `rng`, or its parameters cannot be known.
        ValueError: If the lengths differ, or there is no sequence.

    Example:
        >>> sums = smap(lambda x, y: x + y, [1, 2, 3], [10, 20, 30])
        >>> sums[1], list(sums)
        (22, [11, 22, 33])

        >>> noisy = smap(lambda x, rng: x + rng.random(), range(1000), rng=7)
        >>> noisy[500] == noisy[500] != noisy[501] - 1, noisy[500:][0] == noisy[500]
        (True, True)

        >>> lengths = [1.5, 2.0]  # m
        >>> millimetres = smap(lambda x: 1000 * x, lengths, inverse=lambda y: y / 1000)
        >>> millimetres[0] = 500
        >>> lengths
        [0.5, 2.0]

    Random numbers: J. K. Salmon and others, "Parallel random numbers: as easy as 1, 2, 3" (2011),
    describe Philox.
    """
    _check(f, sequences)
    rng, seed = _checked(rng, seed, inverse)
    (check_needs_no_rng if rng is None else check_takes_rng)(f, len(sequences))
    several = len(sequences) > 1
    result: LazySequence[T]
    if rng is None and seed is None:
        result = (SmapMany if several else Smap)(f, inverse, *sequences)
    else:
        kind: Any = SmapManyDrawing if several else SmapDrawing
        result = kind(f, rng, seed, inverse, *sequences)
    if several:
        result._length()
    return result


def starmap(
    f: Callable[..., T],
    sequence: Source[Any],
    *,
    rng: Seed | None = None,
    seed: Seed | None = None,
    inverse: Callable[[Any], Any] | None = None,
) -> LazySequence[T]:
    """Return the results of `f` on items that are tuples of its arguments.

    Item `i` is `f(*sequence[i])`, evaluated every time that it is read.

    Args:
        f: Called with the elements of an item.
        sequence: Tuples, or other iterables of arguments.
        rng: As for `smap`: item `i` is `f(*sequence[i], rng=generator)`.
        seed: As for `smap`.
        inverse: As for `smap`: returns the tuple of arguments.

    Raises:
        TypeError: If `f` cannot be called, or `sequence` is not a sequence; with `rng=`, if `f` has
            no parameter `rng`, or its parameters cannot be known. An item that is a dict, a set or
            a table is an `EvaluationError` when it is read.

    Example:
        >>> list(starmap(pow, [(2, 5), (3, 2), (10, 3)]))
        [32, 9, 1000]
    """
    _check(f, (sequence,))
    rng, seed = _checked(rng, seed, inverse)
    (check_needs_no_rng if rng is None else check_takes_rng)(f, None)
    if rng is None and seed is None:
        return Starmap(f, inverse, sequence)
    return StarmapDrawing(f, rng, seed, inverse, sequence)


def _check(f: object, sequences: tuple[object, ...]) -> None:
    check_function(f, "f")
    if not sequences:
        message = "smap() needs at least one sequence: smap(f, sequence)"
        raise ValueError(message)
    for k, sequence in enumerate(sequences):
        check_source(sequence, f"sequences[{k}]" if len(sequences) > 1 else "sequence")


def _checked(rng: Any, seed: Any, inverse: Any) -> tuple[Seed | None, Seed | None]:
    """Return the seeds, checked."""
    if inverse is not None:
        check_function(inverse, "inverse")
    return (
        None if rng is None else check_seed(rng, "rng"),
        None if seed is None else check_seed(seed),
    )
