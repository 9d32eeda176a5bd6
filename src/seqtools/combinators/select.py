"""Items from one of several sequences, chosen by values."""

from typing import Any, TypeVar

from seqtools._core.checks import as_index, check_integers, check_source
from seqtools._core.errors import EndOfSequence
from seqtools._core.indices import Indices
from seqtools._core.resume import plain
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, assign, check_end, common_size, getter
from seqtools._core.traits import Traits
from seqtools._core.walk import is_stage

T = TypeVar("T")

_SWITCH = "use switch(mask, x, y), which takes x where the mask is true"


class Case(LazySequence[T]):
    """Items of the sequence that a selector names."""

    __slots__ = ("_getters", "_select", "_selector", "_values")

    _traits = Traits(elementwise=True)

    def __init__(self, selector: Any, *values: Any) -> None:
        self._selector = selector
        self._values = values
        self._select = getter(selector)
        self._getters = [getter(value) for value in values]

    def _size(self) -> int | None:
        return common_size(self, self._sources())

    def _choice(self, i: int) -> int:
        k = self._select(i)
        if k.__class__ is not int:
            k = as_index(k, f"selector[{i}]", _SWITCH)
        if not 0 <= k < len(self._values):
            message = f"selector[{i}] must be from 0 to {len(self._values) - 1}, got {k}"
            raise IndexError(message)
        return k

    def _get(self, i: int) -> T:
        chosen: list[int] = []
        try:
            chosen.append(self._choice(i))
            return self._getters[chosen[0]](i)  # type: ignore[no-any-return]
        except EndOfSequence:
            readers = [self._select, *self._getters]
            check_end(self._sources(), readers, i, range(len(chosen)), self._names())
            raise

    def _names(self) -> list[str]:
        """Return the names of the sources, for messages."""
        return ["selector", *(f"values[{k}]" for k in range(len(self._values)))]

    def _set(self, i: int, value: Any) -> None:
        assign(self._values[self._choice(i)], i, value)

    def _sources(self) -> tuple[Any, ...]:
        return self._selector, *self._values

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(self._selector, indices)]  # other reads depend on its values

    def _identity(self) -> Any:
        return self._describe(), "source" if is_stage(self._selector) else plain(self._selector)

    def _rebuild(self, *sources: Any) -> "Case[T]":
        return type(self)(*sources)

    def _args(self) -> tuple[Any, ...]:
        return self._sources()


class Switch(Case[T]):
    """Items of one sequence where a condition holds, of another where it does not."""

    __slots__ = ()

    def __init__(self, condition: Any, x: Any, y: Any) -> None:
        super().__init__(condition, x, y)

    def _choice(self, i: int) -> int:
        return 0 if self._select(i) else 1

    def _names(self) -> list[str]:
        return ["condition", "x", "y"]


def case(selector: Source[int], *values: Source[T]) -> LazySequence[T]:
    """Return items from the sequences that `selector` names.

    Item `i` is `values[selector[i]][i]`; no other item is read. Assigning to it assigns to
    the chosen sequence.

    Args:
        selector: Numbers of sequences among `values`, from 0.
        values: At least one sequence, all as long as `selector` or endless.

    Raises:
        ValueError: If lengths differ.
        TypeError: If `values` is empty, an argument is not a sequence, or `selector` begins
            with a boolean: see `switch`. A later boolean, or a number out of range, is an
            `EvaluationError` when its item is read.

    Example:
        >>> list(case([0, 1, 1], "abc", "xyz"))
        ['a', 'y', 'z']
    """
    if not values:
        message = "case() needs at least one sequence to choose from"
        raise TypeError(message)
    check_source(selector, "selector")
    check_integers(selector, "selector", _SWITCH)
    for k, value in enumerate(values):
        check_source(value, f"values[{k}]")
    return _measured(Case[T](selector, *values))


def switch(condition: Source[Any], x: Source[T], y: Source[T]) -> LazySequence[T]:
    """Return items of `x` where `condition` is true, and of `y` elsewhere.

    Item `i` is `x[i] if condition[i] else y[i]`; the other one is not read.
    Assigning to it assigns to the chosen sequence.

    Args:
        condition: Values that are tested for truth.
        x: Chosen where the condition is true.
        y: Chosen where the condition is false.

    Raises:
        ValueError: If lengths differ.
        TypeError: If something is not a sequence.

    Example:
        >>> list(switch([True, False, True], "abc", "xyz"))
        ['a', 'y', 'c']
    """
    for name, sequence in (("condition", condition), ("x", x), ("y", y)):
        check_source(sequence, name)
    return _measured(Switch[T](condition, x, y))


def _measured(stage: Case[T]) -> Case[T]:
    stage._length()
    return stage
