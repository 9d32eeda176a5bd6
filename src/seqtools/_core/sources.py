"""Reading from whatever was given as a sequence: ours, a list, an array, a dataset.

A stage resolves how to read its sources once, when it is made, by `getter`.
"""

import sys
from collections.abc import Callable, Container, MutableSequence, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from seqtools._core import bulk, lengths
from seqtools._core.bulk import checked
from seqtools._core.errors import EndOfSequence
from seqtools._core.indices import Indices, as_list, is_run
from seqtools._core.walk import is_stage, traits_upstream

T_co = TypeVar("T_co", covariant=True)


class Source(Protocol[T_co]):
    """What items can be read from: lists, arrays, datasets, and lazy sequences."""

    def __len__(self) -> int:
        """Return the number of items."""

    def __getitem__(self, i: int, /) -> T_co:
        """Return item `i`, from 0 to one less than their number."""


def size_of(source: Any) -> int | None:
    """Return the length of `source`, `None` if it is endless or not known."""
    return source._length() if is_stage(source) else len(source)


def common_size(stage: Any, sources: tuple[Any, ...]) -> int | None:
    """Return the length that all finite `sources` of `stage` have; the endless ones adapt.

    Raises:
        ValueError: If two of them have different lengths.
    """
    sizes = [size_of(source) for source in sources]
    finite = {n for n in sizes if n is not None}
    if len(finite) > 1:
        given = ", ".join("endless" if n is None else str(n) for n in sizes)
        message = f"sequences must have the same length, got lengths {given}"
        message += lengths.since_refresh(stage)
        raise ValueError(message)
    return finite.pop() if finite else None


def ends_unseen(source: Any) -> bool:
    """Return whether `source` ends, but where is not known before."""
    return size_of(source) is None and traits_upstream(source).unknown_length


def read_row(sources: Sequence[Any], getters: Sequence[Callable[[int], Any]], i: int) -> list[Any]:
    """Return item `i` of each of `sources`, by the `getters` of them.

    Raises:
        EndOfSequence: If one ends here, and so do all others that end.
        ValueError: If one ends here and another goes on, although it ends too.
    """
    row: list[Any] = []
    try:
        for read in getters:
            row.append(read(i))  # noqa: PERF401 -- how many were read is needed where one ends
    except EndOfSequence:
        check_end(sources, getters, i, range(len(row)))
        raise
    return row


def check_end(
    sources: Sequence[Any], getters: Sequence[Callable[[int], Any]], i: int, had: Container[int]
) -> None:
    """Refuse that of `sources` which end unseen one ends at `i` and another goes on.

    Args:
        sources: What is read together.
        getters: How to read them.
        i: Where one of them has ended.
        had: Numbers of those that are known to have item `i`.

    Raises:
        ValueError: If there is one that goes on.
    """
    for k, source in enumerate(sources):
        if ends_unseen(source) and (k in had or _has(getters[k], i)):
            message = (
                f"sequences must have the same length, but sequence {k}, of unknown length, "
                f"continues past {i} items, where another one ends"
            )
            raise ValueError(message) from None


def _has(read: Callable[[int], Any], i: int) -> bool:
    try:
        read(i)
    except EndOfSequence:
        return False
    return True


def getter(source: Any) -> Callable[[int], Any]:
    """Return the quickest function that reads one item, for an index known to be valid."""
    return source._get if is_stage(source) else source.__getitem__  # type: ignore[no-any-return]


def read_many(source: Any, indices: Indices) -> Any:  # noqa: PLR0911 -- one for each kind of source
    """Return the items at `indices`, by one call where the source can do that.

    That is one index for numpy arrays, and `__getitems__`, the protocol of the
    datasets of torch and Hugging Face, for what has it.

    Raises:
        NotByRow: If a stage returns something else than an item for each index.
    """
    if is_stage(source):
        items = source._get_many(indices)
        if items.__class__ is list and len(items) == len(indices):
            return items
        return checked(items, len(indices), f"_get_many of {source._describe()}")
    if isinstance(source, list | tuple | range):
        if isinstance(indices, range) and indices.step == 1 and indices.stop <= len(source):
            items = source[indices.start : indices.stop]
            return list(items) if isinstance(items, range) else items
        return [source[j] for j in as_list(indices)]
    numpy = sys.modules.get("numpy")  # who has an array has imported it
    if numpy is not None and isinstance(source, numpy.ndarray):
        if isinstance(indices, range) and indices.step > 0 and indices.stop <= len(source):
            return source[indices.start : indices.stop : indices.step]
        return _taken(source, numpy.asarray(indices, dtype=numpy.intp))
    method = getattr(source, "__getitems__", None)
    if method is None:
        return [source[j] for j in as_list(indices)]
    return bulk.read(source, method, list(as_list(indices)))


def _taken(array: Any, js: Any) -> Any:
    """Return `array[js]`."""
    import numpy as np

    # Taking rows is two to five times as fast as indexing by an array, but all of the array is
    # copied if it is not contiguous. A subclass may mean something else by an index.
    if type(array) not in {np.ndarray, np.memmap} or not array.flags.c_contiguous:
        return array[js]
    return array.view(np.ndarray).take(js, axis=0) if array.flags.aligned else array[js]


def claim(source: Any, indices: Indices) -> None:
    """Have this thread be given what it is going to read at `indices` in one turn each.

    That is for iterators, which threads advance in turns: whose turn it is takes all that it needs.
    """
    claimed: dict[int, tuple[Any, list[Indices]]] = {}
    left: list[tuple[Any, Indices]] = [(source, indices)]
    while left:
        stage, js = left.pop()
        if not is_stage(stage) or stage._traits.reads_ahead:  # others read for that
            continue
        if stage._traits.iterates:
            claimed.setdefault(id(stage), (stage, []))[1].append(js)
            continue
        # A stage of a user's may fail to say what it reads; who reads an item is told of that.
        with suppress(Exception):
            left += stage._reads(js)
    for stage, parts in claimed.values():
        in_a_row = len(parts) == 1 and is_run(parts[0])
        stage._claim(parts[0] if in_a_row else sorted({j for p in parts for j in as_list(p)}))


def assign(source: Any, j: int, value: Any) -> None:
    """Set item `j` of `source`, an index known to be valid.

    Raises:
        TypeError: If the items of `source` cannot be assigned.
    """
    if is_stage(source):
        source._set(j, value)
    elif isinstance(source, MutableSequence) or hasattr(source, "__setitem__"):
        source[j] = value
    else:
        message = f"items of {type(source).__name__} cannot be assigned"
        raise TypeError(message)
