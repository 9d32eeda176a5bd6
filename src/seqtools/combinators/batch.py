"""Items in batches, and batches back to items."""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from seqtools._core import rows
from seqtools._core.checks import check_count, check_function, check_source, is_bool
from seqtools._core.display.short import short
from seqtools._core.indices import Indices, as_list, quotients, spans
from seqtools._core.overlap import apart
from seqtools._core.resume import keeps_steps, plain
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, assign, getter, size_of
from seqtools._core.spans import Spans
from seqtools._core.walk import draw_index_of, traits_upstream

T = TypeVar("T")


class Batch(Spans):
    """Consecutive items in batches."""

    __slots__ = ("_collate_fn", "_k", "_pad")

    def __init__(self, sequence: Any, k: int, drop_last: bool, pad: Any, collate_fn: Any) -> None:  # noqa: FBT001 -- as batch()
        super().__init__(sequence, drop_last)
        self._k, self._pad, self._collate_fn = k, pad, collate_fn

    def _count(self, n: int) -> int:
        return n // self._k if self._whole else -(-n // self._k)

    def _span(self, i: int) -> range:
        self._length()
        start, stop = i * self._k, (i + 1) * self._k
        return range(start, stop if self._n is None else min(stop, self._n))

    def _get(self, i: int) -> Any:
        items = self._items(self._span(i))
        if self._collate_fn is None:
            items = list(items)
        missing = self._k - len(items)
        if missing and self._pad is not None:
            items = _padded(items, self._pad, missing)
        if self._collate_fn is None:
            return items
        argument = items  # error paths read it by this name
        return self._collate_fn(argument)

    def _set(self, i: int, value: Any) -> None:
        rows.check_listed(value, f"batch {i}", "batch")
        span, values = self._span(i), list(value)
        if len(values) == self._k and self._pad is not None:
            values = values[: len(span)]  # padding has no place in the source
        if len(values) != len(span):
            message = f"batch {i} has {len(span)} items, got {len(values)}"
            raise ValueError(message)
        for j, item in zip(span, apart(self, values), strict=True):
            assign(self._sequence, j, item)

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        self._length()
        return [(self._sequence, spans(indices, self._k, self._n))]

    def _users(self, number: int, js: Any, n: int) -> Any:
        del number, n
        return js // self._k

    def _identity(self) -> Any:
        # the steps of ranks stay the same if their batches are larger where there are fewer ranks
        k = None if traits_upstream(self).sharded and keeps_steps(self) else self._k
        return "batch", k, self._whole, plain(self._pad)

    def _passed(self, i: int) -> int:
        return i * self._k

    def _draw_index(self, i: int) -> int:
        """Return that of the first item, which no other batch has."""
        of_source = draw_index_of(self._sequence)
        return i * self._k if of_source is None else of_source(i * self._k)

    def _rebuild(self, *sources: Any) -> "Batch":
        return Batch(sources[0], self._k, self._whole, self._pad, self._collate_fn)

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self._k, self._whole, self._pad, self._collate_fn


def batch(
    sequence: Source[Any],
    k: int,
    drop_last: bool = False,  # noqa: FBT001, FBT002 -- the signature of SeqTools 1.x
    pad: Any = None,
    collate_fn: Callable[[Any], Any] | None = None,
) -> LazySequence[Any]:
    """Return the items of `sequence` in batches of `k`.

    Item `i` is `collate_fn` of the items from `i * k` to `i * k + k - 1`. They are read with
    one call if `sequence` supports that: arrays with one index, datasets with one call of
    `__getitems__`, also through `smap`, slices, `gather` and `concatenate`. `collate_fn`
    receives what that call returns. If the call fails, the items are read one by one to find
    the item that fails. If no item fails then, or `__getitems__` does not return a list with
    an item for each index, a `RuntimeWarning` says so, and the batch has the items that were
    read one by one. Assigning a batch assigns its items; values in place of padding are dropped.

    Args:
        sequence: The sequence to take items from.
        k: Number of items in a batch, at least 1.
        drop_last: Whether to leave out the last batch if it has fewer items.
        pad: An item that fills the last batch if it has fewer items; `None` means no padding. To
            fill up items that differ in shape, use `collate_arrays` with its own `pad`, and
            `batch_by_length` so that little is filled.
        collate_fn: Makes the batch from its items, such as `numpy.stack`. Without it,
            a batch is a list.

    Raises:
        ValueError: If `k` is less than 1.
        TypeError: If `sequence` is not a sequence, or `drop_last` not a boolean.

    Example:
        >>> list(batch("abcde", 2))
        [['a', 'b'], ['c', 'd'], ['e']]
        >>> list(batch([1, 2, 3], 2, pad=0, collate_fn=sum))
        [3, 3]
    """
    check_source(sequence)
    size = check_count(k, 1, "k")
    if collate_fn is not None:
        check_function(collate_fn, "collate_fn")
    if not is_bool(drop_last):
        advice = ": use collate_fn=" if callable(drop_last) else ""
        message = f"drop_last must be True or False, got {short(drop_last)}{advice}"
        raise TypeError(message)
    return Batch(sequence, size, bool(drop_last), pad, collate_fn)


class Unbatch(LazySequence[T]):
    """Items of batches one by one."""

    __slots__ = ("_batch_size", "_kind", "_last_batch_size", "_n", "_read", "_sequence")

    def __init__(self, sequence: Any, batch_size: int, last_batch_size: int | None) -> None:
        self._sequence = sequence
        self._batch_size, self._last_batch_size = batch_size, last_batch_size
        self._read = getter(sequence)
        self._kind: type = list  # a class of batches that was checked
        self._n: int | None = None  # the length of the source, set by `_size`

    def _size(self) -> int | None:
        n = self._n = size_of(self._sequence)
        if not n:
            return n
        return (n - 1) * self._batch_size + self._expected(n - 1)

    def _expected(self, b: int) -> int:
        """Return the number of items that batch `b` must have."""
        last = self._last_batch_size
        if last is None or b + 1 != self._n:
            return self._batch_size
        return last

    def _checked(self, b: int) -> Any:
        self._length()
        items = self._read(b)
        if items.__class__ is not self._kind:
            advice = rows.why_not(items, "batch")
            if advice:
                message = f"batch {b} must be indexed by row, got {type(items).__name__}: {advice}"
                raise TypeError(message)
            self._kind = items.__class__
        if rows.length(items) != self._expected(b):
            message = f"batch {b} should have {self._expected(b)} items, got {rows.length(items)}"
            raise ValueError(message)
        return items

    def _get(self, i: int) -> T:
        b, place = divmod(i, self._batch_size)
        return self._checked(b)[place]  # type: ignore[no-any-return]

    def _get_many(self, indices: Indices) -> list[T]:
        items: list[T] = []
        held, batch_held = -1, None
        for i in as_list(indices):
            b, place = divmod(i, self._batch_size)
            if b != held:
                held, batch_held = b, self._checked(b)
            items.append(batch_held[place])  # type: ignore[index]
        return items

    def _set(self, i: int, value: Any) -> None:
        b, place = divmod(i, self._batch_size)
        items = self._checked(b)
        items[place] = value
        assign(self._sequence, b, items)  # the batch may have been computed

    def _sources(self) -> tuple[Any, ...]:
        return (self._sequence,)

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(self._sequence, quotients(indices, self._batch_size))]

    def _users(self, number: int, js: Any, n: int) -> Any:
        del number, n
        import numpy as np

        return np.add.outer(js * self._batch_size, np.arange(self._batch_size)).ravel()

    def _draw_index(self, i: int) -> int:
        of_source = draw_index_of(self._sequence)
        if of_source is None:
            return i
        b, place = divmod(i, self._batch_size)
        return of_source(b) * self._batch_size + place

    def _rebuild(self, *sources: Any) -> "Unbatch[T]":
        return Unbatch(sources[0], self._batch_size, self._last_batch_size)

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self._batch_size, self._last_batch_size


def unbatch(
    sequence: Source[Source[T]], batch_size: int, last_batch_size: int | None = None
) -> LazySequence[T]:
    """Return the items of batches one by one.

    Item `i` is `sequence[i // batch_size][i % batch_size]`. Reading an item reads its
    whole batch: see `add_cache`. Assigning an item reads the batch, changes it, and
    assigns the whole batch.

    Args:
        sequence: Batches: sequences of `batch_size` items each.
        batch_size: Number of items in every batch but the last, at least 1.
        last_batch_size: Number of items in the last batch; `batch_size` if `None` or 0, so that
            `n % batch_size` is right for any number `n` of items.

    Raises:
        ValueError: If `batch_size` is less than 1, or `last_batch_size` is not from 0
            to `batch_size`. A batch of another size is an `EvaluationError` when it
            is read.
        TypeError: If `sequence` is not a sequence. A batch that is not indexed by row, such
            as a table or a dict of columns, is an `EvaluationError` when it is read.

    Example:
        >>> list(unbatch([[1, 2], [3, 4], [5]], 2, 1))
        [1, 2, 3, 4, 5]
    """
    check_source(sequence)
    size = check_count(batch_size, 1, "batch_size")
    last = None if last_batch_size is None else check_count(last_batch_size, 0, "last_batch_size")
    if last is not None and last > size:
        message = f"last_batch_size must be at most batch_size = {size}, got {last}"
        raise ValueError(message)
    return Unbatch(sequence, size, last or None)


def _padded(items: Any, pad: Any, missing: int) -> Any:
    """Return `items` and `missing` times `pad`; an array stays one if it can hold `pad`."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(items, numpy.ndarray):
        return [*items, *[pad] * missing]
    of = numpy.min_scalar_type(pad)
    if (of.kind == "b") != (items.dtype.kind == "b") or not numpy.can_cast(
        of, items.dtype, "same_kind"
    ):
        return [*items, *[pad] * missing]
    filling = numpy.full_like(items, pad, shape=(missing, *items.shape[1:]))
    if items.dtype.kind in "US" and not (filling == pad).all():  # it was cut
        return [*items, *[pad] * missing]
    return numpy.concatenate([items, filling])
