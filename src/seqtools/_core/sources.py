"""Reading from a source: a lazy sequence, a list, an array, a dataset."""

import sys
from collections.abc import Callable, Container, MutableSequence, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from seqtools._core import bulk, errors, lengths, rows
from seqtools._core.bulk import checked
from seqtools._core.chance import seeding
from seqtools._core.display.short import cut
from seqtools._core.errors import EndOfSequence
from seqtools._core.indices import Indices, as_list, is_run
from seqtools._core.user_exceptions import drop_frames
from seqtools._core.walk import is_stage, traits_upstream

_LONGEST = 120
"""Most characters of the lengths in a message. Arbitrary: a line."""

T_co = TypeVar("T_co", covariant=True)


class Source(Protocol[T_co]):
    """An object that items are read from: a list, an array, a dataset, or a lazy sequence."""

    def __len__(self) -> int:
        """Return the number of items."""

    def __getitem__(self, i: int, /) -> T_co:
        """Return item `i`, from 0 to one less than their number."""


def size_of(source: Any) -> int | None:
    """Return the length of `source`, `None` if it is endless or not known."""
    return source._length() if is_stage(source) else rows.length(source)


def common_size(stage: Any, sources: tuple[Any, ...]) -> int | None:
    """Return the length of the finite `sources`; raise `ValueError` if there are two lengths."""
    sizes = [size_of(source) for source in sources]
    finite = {n for n in sizes if n is not None}
    if len(finite) > 1:
        given = cut(", ".join("endless" if n is None else str(n) for n in sizes), _LONGEST)
        message = f"sequences of {stage._describe()} must have the same length, got lengths {given}"
        message += lengths.since_refresh(stage)
        raise ValueError(message)
    return finite.pop() if finite else None


def ends_unseen(source: Any) -> bool:
    """Return whether `source` ends at an index that is not known before."""
    return size_of(source) is None and traits_upstream(source).unknown_length


def read_row(sources: Sequence[Any], getters: Sequence[Callable[[int], Any]], i: int) -> list[Any]:
    """Return item `i` of each of `sources`, by their `getters`.

    Raises:
        EndOfSequence: If one of them ends here.
        ValueError: If another one of unknown length continues.
    """
    row: list[Any] = []
    try:
        for read in getters:
            row.append(read(i))  # noqa: PERF401 -- the number of items is needed at the end
    except EndOfSequence:
        check_end(sources, getters, i, range(len(row)))
        raise
    return row


def check_end(
    sources: Sequence[Any],
    getters: Sequence[Callable[[int], Any]],
    i: int,
    had: Container[int],
    names: Sequence[str] = (),
) -> None:
    """Raise `ValueError` if one of `sources` ends at `i` and one of unknown length continues.

    The sources whose numbers are in `had` are known to have item `i`. Their `names` are by default
    those of parts of `sequences`.
    """
    for k, source in enumerate(sources):
        if ends_unseen(source) and (k in had or _has(getters[k], i)):
            name = names[k] if names else f"sequences[{k}]"
            message = (
                f"sequences must have the same length, but {name}, of unknown length, "
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
    """Return the quickest function that reads one item, for a valid index."""
    return source._get if is_stage(source) else source.__getitem__  # type: ignore[no-any-return]


def read_many(source: Any, indices: Indices) -> Any:  # noqa: PLR0911 -- one for each kind of source
    """Return the items at `indices`, by a single call if possible.

    That call is `__getitem__` of a numpy array, or `__getitems__`, which datasets of torch and
    Hugging Face have.

    Raises:
        NotByRow: If a stage does not return an item for each index.
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
    numpy = sys.modules.get("numpy")  # it is imported if there is an array
    if numpy is not None and isinstance(source, numpy.ndarray):
        if isinstance(indices, range) and indices.step > 0 and indices.stop <= len(source):
            return source[indices.start : indices.stop : indices.step]
        return _taken(source, numpy.asarray(indices, dtype=numpy.intp))
    method = getattr(source, "__getitems__", None)
    if method is None:
        return [source[j] for j in as_list(indices)]
    return bulk.read(source, method, list(as_list(indices)))


def read_all(stage: Any, indices: Indices) -> list[Any]:
    """Return the items of `stage` at `indices`, read in bulk if possible.

    If that fails, they are read again one by one, so that an error is that of one item.
    """
    traits = traits_upstream(stage)
    # with a seed, stages read one by one would draw random numbers in another order
    singly = errors.singly and seeding.token() is None
    if not (traits.iterates or traits.read_once or singly):
        try:
            return list(read_many(stage, indices))
        except (bulk.BulkReadWarning, bulk.NotByRow):  # they are about no single item
            raise
        except BaseException as error:
            if not errors.is_of_item(error):
                raise
            drop_frames(error)  # the same object may be raised again
    if traits.iterates:
        claim(stage, indices)
    opened = stage._opened(indices)
    return [opened[i] for i in as_list(indices)]


def _taken(array: Any, js: Any) -> Any:
    """Return `array[js]`."""
    import numpy as np

    # `take` is two to five times as fast as indexing by an array, but copies the whole array if it
    # is not contiguous. In a subclass, an index may have another meaning.
    if type(array) not in {np.ndarray, np.memmap} or not array.flags.c_contiguous:
        return array[js]
    return array.view(np.ndarray).take(js, axis=0) if array.flags.aligned else array[js]


def claim(source: Any, indices: Indices) -> None:
    """Reserve the items of iterators upstream that this thread needs for `indices` of `source`."""
    claimed: dict[int, tuple[Any, list[Indices]]] = {}
    left: list[tuple[Any, Indices]] = [(source, indices)]
    while left:
        stage, js = left.pop()
        if not is_stage(stage) or stage._traits.reads_ahead:  # its workers read
            continue
        if stage._traits.iterates:
            claimed.setdefault(id(stage), (stage, []))[1].append(js)
            continue
        # `_reads` of a user's stage may fail; the reader of an item gets that error.
        with suppress(Exception):
            left += stage._reads(js)
    for stage, parts in claimed.values():
        in_a_row = len(parts) == 1 and is_run(parts[0])
        stage._claim(parts[0] if in_a_row else sorted({j for p in parts for j in as_list(p)}))


def assign(source: Any, j: int, value: Any) -> None:
    """Set item `j` of `source`; raise `TypeError` if its items cannot be assigned."""
    if is_stage(source):
        source._set(j, value)
    elif isinstance(source, MutableSequence) or hasattr(source, "__setitem__"):
        source[j] = value
    else:
        message = f"items of {type(source).__name__} cannot be assigned"
        raise TypeError(message)
