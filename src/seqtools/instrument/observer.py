"""What all instruments share."""

from typing import Any, TypeVar

from seqtools._core.indices import Indices
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, assign, getter, size_of
from seqtools._core.traits import Traits
from seqtools._core.walk import is_stage

T = TypeVar("T")


def check_pipeline(pipeline: object, function: str) -> None:
    """Raise a `TypeError` if the argument of `function` is not a lazy sequence."""
    if not is_stage(pipeline):
        message = f"{function}() needs a lazy sequence, got {type(pipeline).__name__}"
        raise TypeError(message)


class Observer(LazySequence[T]):
    """The base class of stages that pass items on and observe them."""

    __slots__ = ("_read", "_sequence")

    _traits = Traits(elementwise=True)

    def __init__(self, sequence: Source[T]) -> None:
        self._sequence = sequence
        self._read = getter(sequence)

    def _size(self) -> int | None:
        return size_of(self._sequence)

    def _set(self, i: int, value: Any) -> None:
        assign(self._sequence, i, value)

    def _sources(self) -> tuple[Any, ...]:
        return (self._sequence,)

    def _identity(self) -> None:
        return None

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(self._sequence, indices)]
