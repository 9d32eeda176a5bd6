"""Functions applied to items when they are read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from seqtools._core import fusing, rows
from seqtools._core.chance.draws import Draws
from seqtools._core.chance.seeds import Seed
from seqtools._core.checks import check_function, check_seed, check_source
from seqtools._core.display.short import short
from seqtools._core.indices import Indices, as_list
from seqtools._core.rows import listed
from seqtools._core.sequence import LazySequence
from seqtools._core.signatures import check_needs_no_rng, check_takes_rng
from seqtools._core.sources import (
    Source,
    assign,
    common_size,
    getter,
    read_many,
    read_row,
    size_of,
)
from seqtools._core.traits import Traits
from seqtools._core.walk import summary

T = TypeVar("T")


class Smap(LazySequence[T]):
    """Results of a function on the items of a sequence."""

    __slots__ = ("_f", "_inverse", "_sequences")

    _traits = Traits(elementwise=True)

    def __init__(self, f: Callable[..., T], inverse: Any, *sequences: Any) -> None:
        self._f, self._inverse = f, inverse
        self._sequences = sequences

    def _size(self) -> int | None:
        return size_of(self._sequences[0])

    def _link(self) -> fusing.Link | None:
        return fusing.APPLIED, self._f, self._sequences[0]

    def _get_many(self, indices: Indices) -> Sequence[T]:
        if (self._summary or summary(self)).traits.acts_on_hints:
            # while `f` computes an item, the stage upstream may load the next ones
            return [self._get(i) for i in as_list(indices)]
        return self._results(indices)

    def _results(self, indices: Indices) -> list[T]:
        f = self._f
        # no list(map(…)): a StopIteration of f would end the list
        return [f(item) for item in read_many(self._sequences[0], indices)]

    def _set(self, i: int, value: Any) -> None:
        if self._inverse is None:
            message = (
                f"items of {self._describe()} cannot be assigned: they are computed; give inverse= "
                "to make items of the source from values"
            )
            raise TypeError(message)
        self._assign_sources(i, self._inverse(value))

    def _assign_sources(self, i: int, value: Any) -> None:
        assign(self._sequences[0], i, value)

    def _sources(self) -> tuple[Any, ...]:
        return self._sequences

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(sequence, indices) for sequence in self._sequences]

    def _rebuild(self, *sources: Any) -> "Smap[T]":
        return type(self)(self._f, self._inverse, *sources)

    def _args(self) -> tuple[Any, ...]:
        return self._f, self._inverse, *self._sequences

    def _identity(self) -> Any:
        return self._name or type(self).__name__.lower()  # functions may be repaired


class SmapMany(Smap[T]):
    """Results of a function on the items of several sequences side by side."""

    __slots__ = ("_getters",)

    _name = "smap"

    def __init__(self, f: Callable[..., T], inverse: Any, *sequences: Any) -> None:
        super().__init__(f, inverse, *sequences)
        self._getters = [getter(sequence) for sequence in sequences]

    def _size(self) -> int | None:
        return common_size(self, self._sequences)

    def _link(self) -> None:
        return None

    def _get(self, i: int) -> T:
        return self._f(*read_row(self._sequences, self._getters, i))

    def _results(self, indices: Indices) -> list[T]:
        f = self._f
        return [f(*items) for items in self._rows(indices)]

    def _rows(self, indices: Indices) -> Iterator[tuple[Any, ...]]:
        columns = [read_many(sequence, indices) for sequence in self._sequences]
        return zip(*columns, strict=True)

    def _assign_sources(self, i: int, value: Any) -> None:
        rows.check_listed(value, f"what inverse of {self._describe()} returns", "value")
        values = list(value) if isinstance(value, Iterable) else None
        if values is None or len(values) != len(self._sequences):
            got = short(value) if values is None else len(values)
            message = (
                f"inverse of {self._describe()} must return {len(self._sequences)} values, one for "
                f"each sequence, got {got}"
            )
            raise (TypeError if values is None else ValueError)(message)
        for sequence, item in zip(self._sequences, values, strict=True):
            assign(sequence, i, item)


class Starmap(Smap[T]):
    """Results of a function on items that are its arguments."""

    __slots__ = ()

    def _link(self) -> fusing.Link | None:
        return fusing.UNPACKED, self._f, self._sequences[0]

    def _results(self, indices: Indices) -> list[T]:
        f = self._f
        return [
            f(*(item if item.__class__ is tuple else listed(item)))
            for item in read_many(self._sequences[0], indices)
        ]


class Drawing(Smap[T]):
    """Results of a function that draws the random numbers of the item."""

    __slots__ = ()

    _draws: Draws
    _getters: list[Callable[[int], Any]]
    _rng: Seed | None
    _seed: Seed | None

    def __init__(
        self,
        f: Callable[..., T],
        rng: Seed | None,
        seed: Seed | None,
        inverse: Any,
        *sequences: Any,
    ) -> None:
        super().__init__(f, inverse, *sequences)
        self._getters = [getter(sequence) for sequence in sequences]
        self._rng, self._seed = rng, seed
        self._draws = Draws(self, rng, seed)

    def _link(self) -> None:
        return None

    def _get(self, i: int) -> T:
        return self._draws.call(self._f, i, self._row(i))

    def _results(self, indices: Indices) -> list[T]:
        return self._draws.calls(self._f, indices, self._rows(indices))

    def _row(self, i: int) -> Iterable[Any]:
        """Return the arguments for item `i`."""
        raise NotImplementedError

    def _rows(self, indices: Indices) -> Iterable[Iterable[Any]]:
        """Return the arguments for the items at `indices`."""
        raise NotImplementedError

    def _rebuild(self, *sources: Any) -> "Drawing[T]":
        copy = type(self)(self._f, self._rng, self._seed, self._inverse, *sources)
        copy._draws = self._draws.over(copy)  # noqa: SLF001 -- a copy of this
        return copy

    def _args(self) -> tuple[Any, ...]:
        return self._f, self._rng, self._seed, self._inverse, *self._sequences

    def _identity(self) -> Any:
        return super()._identity(), self._rng, self._seed


class SmapDrawing(Drawing[T]):
    """`Drawing` for the items of a sequence."""

    __slots__ = ("_draws", "_getters", "_rng", "_seed")

    _name = "smap"

    def _row(self, i: int) -> tuple[Any, ...]:
        return (self._getters[0](i),)

    def _rows(self, indices: Indices) -> Iterable[tuple[Any, ...]]:
        return zip(read_many(self._sequences[0], indices))


class SmapManyDrawing(Drawing[T], SmapMany[T]):
    """`Drawing` for the items of several sequences side by side."""

    __slots__ = ("_draws", "_rng", "_seed")

    def _row(self, i: int) -> list[Any]:
        return read_row(self._sequences, self._getters, i)

    def _rows(self, indices: Indices) -> Iterator[tuple[Any, ...]]:
        return super(Drawing, self)._rows(indices)


class StarmapDrawing(Drawing[T], Starmap[T]):
    """`Drawing` for items that are the arguments."""

    __slots__ = ("_draws", "_getters", "_rng", "_seed")

    _name = "starmap"

    def _row(self, i: int) -> Iterable[Any]:
        return listed(self._getters[0](i))  # type: ignore[no-any-return]

    def _rows(self, indices: Indices) -> Iterable[Iterable[Any]]:
        return map(listed, read_many(self._sequences[0], indices))


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
            a time. Numbers that another function draws in another thread meanwhile are not kept
            apart. `f` must not wait for a thread that evaluates a map with `seed=`.
        inverse: Makes items from results, so that items can be assigned:
            `mapping[i] = value` assigns `inverse(value)` to item `i` of the sequence. For several
            sequences, it returns one value for each.

    Raises:
        TypeError: If `f` cannot be called, or another argument is not a sequence; with `rng=`, if
            `f` has no parameter `rng`, or its parameters cannot be known.
        ValueError: If the lengths differ.

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
        raise TypeError(message)
    for sequence in sequences:
        check_source(sequence)


def _checked(rng: Any, seed: Any, inverse: Any) -> tuple[Seed | None, Seed | None]:
    """Return the seeds, checked."""
    if inverse is not None:
        check_function(inverse, "inverse")
    return (
        None if rng is None else check_seed(rng, "rng"),
        None if seed is None else check_seed(seed),
    )
