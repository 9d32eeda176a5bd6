"""Stages whose items are results of a function: see `combinators/map.py`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from seqtools._core import fusing, rows
from seqtools._core.chance.calls import SeededCalls
from seqtools._core.chance.seeds import Seed
from seqtools._core.display.short import short
from seqtools._core.indices import Indices, as_list
from seqtools._core.rows import listed
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import assign, common_size, getter, read_many, read_row, size_of
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
        arguments = read_row(self._sequences, self._getters, i)  # error paths read it by this name
        return self._f(*arguments)

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

    _calls: SeededCalls
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
        self._calls = SeededCalls(self, rng, seed)

    def _link(self) -> None:
        return None

    def _get(self, i: int) -> T:
        arguments = self._row(i)  # as above
        return self._calls.call(self._f, i, arguments)

    def _results(self, indices: Indices) -> list[T]:
        return self._calls.calls(self._f, indices, self._rows(indices))

    def _row(self, i: int) -> Iterable[Any]:
        """Return the arguments for item `i`."""
        raise NotImplementedError

    def _rows(self, indices: Indices) -> Iterable[Iterable[Any]]:
        """Return the arguments for the items at `indices`."""
        raise NotImplementedError

    def _rebuild(self, *sources: Any) -> "Drawing[T]":
        copy = type(self)(self._f, self._rng, self._seed, self._inverse, *sources)
        copy._calls = self._calls.over(copy)  # noqa: SLF001 -- a copy of this
        return copy

    def _args(self) -> tuple[Any, ...]:
        return self._f, self._rng, self._seed, self._inverse, *self._sequences

    def _identity(self) -> Any:
        return super()._identity(), self._rng, self._seed


class SmapDrawing(Drawing[T]):
    """`Drawing` for the items of a sequence."""

    __slots__ = ("_calls", "_getters", "_rng", "_seed")

    _name = "smap"

    def _row(self, i: int) -> tuple[Any, ...]:
        return (self._getters[0](i),)

    def _rows(self, indices: Indices) -> Iterable[tuple[Any, ...]]:
        return zip(read_many(self._sequences[0], indices))


class SmapManyDrawing(Drawing[T], SmapMany[T]):
    """`Drawing` for the items of several sequences side by side."""

    __slots__ = ("_calls", "_rng", "_seed")

    def _row(self, i: int) -> list[Any]:
        return read_row(self._sequences, self._getters, i)

    def _rows(self, indices: Indices) -> Iterator[tuple[Any, ...]]:
        return super(Drawing, self)._rows(indices)


class StarmapDrawing(Drawing[T], Starmap[T]):
    """`Drawing` for items that are the arguments."""

    __slots__ = ("_calls", "_getters", "_rng", "_seed")

    _name = "starmap"

    def _row(self, i: int) -> Iterable[Any]:
        return listed(self._getters[0](i))  # type: ignore[no-any-return]

    def _rows(self, indices: Indices) -> Iterable[Iterable[Any]]:
        return map(listed, read_many(self._sequences[0], indices))
