"""Calls of functions that draw random numbers, for `smap` and `starmap` with `rng=` and `seed=`."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Self, TypeVar

from seqtools._core.chance import seeding
from seqtools._core.chance.item_rng import ItemRngs
from seqtools._core.chance.seeds import Seed
from seqtools._core.indices import Indices, as_list
from seqtools._core.single_flight import Flights
from seqtools._core.walk import draw_index_of

T = TypeVar("T")

_calls = Flights()
"""Calls with the global generators seeded. There is one at a time, because threads share the
generators; a thread that would wait for another in a circle goes on, while the other one waits."""


class SeededCalls:
    """Calls a function for items of a stage, with random numbers that belong to the item.

    Args:
        stage: The stage, which is elementwise.
        rng: The seed of the generators that the function is given; `None` if it is given none.
        seed: The seed of the global generators; `None` if they are left as they are.
    """

    __slots__ = ("_apply", "_position")

    def __init__(self, stage: Any, rng: Seed | None, seed: Seed | None) -> None:
        self._position = draw_index_of(stage)
        apply: Any = _plainly if rng is None else ItemRngs(rng).call
        self._apply = apply if seed is None else _Seeding(seed, apply).call

    def over(self, stage: Any) -> Self:
        """Return the same for `stage`, a copy over other sources."""
        other = object.__new__(type(self))
        other._position, other._apply = draw_index_of(stage), self._apply
        return other

    def call(self, f: Callable[..., T], i: int, arguments: Iterable[Any]) -> T:
        """Return the result of `f` for item `i`."""
        position = i if self._position is None else self._position(i)
        return self._apply(f, position, arguments)  # type: ignore[no-any-return]

    def calls(
        self, f: Callable[..., T], indices: Indices, rows: Iterable[Iterable[Any]]
    ) -> list[T]:
        """Return the results of `f` for the items at `indices`, whose arguments are `rows`."""
        apply, positions = self._apply, as_list(indices)
        if self._position is not None:
            positions = list(map(self._position, positions))
        return [apply(f, i, row) for i, row in zip(positions, rows, strict=True)]


def _plainly(f: Callable[..., T], position: int, arguments: Iterable[Any]) -> T:
    del position
    return f(*arguments)


class _Seeding:
    """Calls functions with the global generators seeded, and restores these afterwards."""

    __slots__ = ("_apply", "_names", "_seed")

    def __init__(self, seed: Seed, apply: Callable[..., Any]) -> None:
        self._seed, self._apply = seed, apply
        self._names: seeding.Names | None = None

    def call(self, f: Callable[..., Any], position: int, arguments: Iterable[Any]) -> Any:
        """Return `f(*arguments)` for the item at `position`."""
        names = self._names
        if names is None:  # not earlier: from then on, all prefetches look for a seed
            names = self._names = seeding.Names(self._seed)
        evaluate = partial(self._apply, f, position)
        return _calls.in_turn(partial(names.made, position, evaluate, arguments, keep=True))
