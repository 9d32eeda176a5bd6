"""A source that records its reads and writes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from seqtools._core.display.short import short
from seqtools._core.sequence import LazySequence

T = TypeVar("T")


class _Record:
    """The indices that were read and assigned, and whether reading is forbidden."""

    __slots__ = ("forbidden", "reads", "writes")

    def __init__(self) -> None:
        self.forbidden = False
        self.reads: list[int] = []
        self.writes: list[int] = []


class Probe(LazySequence[T]):
    """A source for tests that records which of its items are read, in order.

    It can be used wherever a sequence is expected. Reads by several threads are recorded as
    they happen. A pickled copy has the same items and errors, and a separate record.

    Args:
        items: The items; or, for an endless source, a function that returns item `i` for `i`.
        errors: By index, the exception that reading the item raises. Assigning to the item
            removes its exception.

    Example:
        >>> from seqtools import EvaluationError, smap
        >>> probe = Probe([3, 1, 2])
        >>> doubles = smap(lambda x: 2 * x, probe)
        >>> doubles[2], doubles[0], probe.reads
        (4, 6, [2, 0])
        >>> endless = Probe(lambda i: i * i, errors={1: OSError("no such item")})
        >>> endless[1000]
        1000000
        >>> try:
        ...     endless[1]
        ... except EvaluationError as error:
        ...     print(repr(error.__cause__))
        OSError('no such item')
    """

    __slots__ = ("_items", "_make", "_state", "errors")

    def __init__(
        self,
        items: Iterable[T] | Callable[[int], T],
        errors: Mapping[int, BaseException] | None = None,
    ) -> None:
        self._make = items if callable(items) else None
        # the assigned items, for an endless source
        self._items: Any = {} if callable(items) else list(items)
        self.errors: dict[int, BaseException] = dict(errors or {})
        """By index, the exception that reading the item raises; can be changed at any time."""
        self._state = _Record()

    @property
    def reads(self) -> list[int]:
        """Indices that were read since the record was last cleared, in order."""
        return self._state.reads

    @property
    def writes(self) -> list[int]:
        """Indices that were assigned since the record was last cleared, in order."""
        return self._state.writes

    def clear(self) -> None:
        """Clear the record."""
        self._state = _Record()

    def peek(self, stop: int | None = None) -> list[T]:
        """Return the current items without recording the reads.

        Args:
            stop: How many items at most; required for an endless source.

        Raises:
            ValueError: If `stop` is missing for an endless source.
        """
        if self._make is None:
            return list(self._items[:stop])
        if stop is None:
            raise ValueError("peek() of an endless probe needs a stop")
        return [self._item(i) for i in range(stop)]

    @contextmanager
    def forbid(self) -> Iterator[None]:
        """Return a context in which no item may be read.

        A read raises an error at once, and again at the end of the context, so that code
        that swallows errors is detected too.

        Raises:
            AssertionError: If an item was read.

        Example:
            >>> from seqtools import smap
            >>> probe = Probe([1, 2, 3])
            >>> with probe.forbid():
            ...     doubles = smap(lambda x: 2 * x, probe)[1:]
            >>> with probe.forbid():
            ...     print(probe.reads)
            []
        """
        before, self._state.forbidden = len(self.reads), True
        try:
            yield
        finally:
            self._state.forbidden = False
        if read := self.reads[before:]:
            raise AssertionError(f"nothing may be read here, but these items were: {read}")

    def _size(self) -> int | None:
        return len(self._items) if self._make is None else None

    def _item(self, i: int) -> T:
        if self._make is None or i in self._items:
            return self._items[i]  # type: ignore[no-any-return]
        return self._make(i)

    def _get(self, i: int) -> T:
        self.reads.append(i)
        if self._state.forbidden:
            raise AssertionError(f"item {i} was read")
        if i in self.errors:
            raise self.errors[i]
        return self._item(i)

    def _set(self, i: int, value: T) -> None:
        self.writes.append(i)
        self._items[i] = value
        self.errors.pop(i, None)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle the items and errors, not the record."""
        return _restored, (self._make or self._items, self.errors, self._items, self._origin)

    def _as_call(self) -> str:
        """Return the call that makes the probe, shortened."""
        return f"probe({short(self._items if self._make is None else self._make)})"

    def __repr__(self) -> str:
        """Return the call that makes the probe, shortened."""
        return self._as_call()


def _restored(items: Any, errors: Any, assigned: Any, origin: Any) -> Probe[Any]:
    probe = Probe[Any](items, errors)
    probe._items = assigned  # noqa: SLF001 -- a function of this class, outside for pickle
    probe._origin = origin
    return probe
