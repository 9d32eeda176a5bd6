"""Tells from which items of its sources an item is made, and which items use one of them."""

from os import PathLike
from typing import Any

from seqtools._core.checks import as_index, check_count
from seqtools._core.display.short import short
from seqtools._core.indices import TooManyIndices
from seqtools._core.origins import LIMIT, Origin, TooMany, origins_of
from seqtools._core.positions import position
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import size_of
from seqtools._core.walk import is_stage, upstream
from seqtools.instrument.observer import check_pipeline


def origins(p: LazySequence[Any], i: int) -> list[Origin]:
    """Return the items of the sources of `p` from which item `i` is made, without evaluating it.

    Each is in the list once, in the order of reading. A source is what the pipeline was built on: a
    list, an array, a dataset, an iterable, or a lazy sequence that reads from nothing, such as
    `arange`. No function is called and no item read, so this takes as long for an item in the
    middle of a run as for the first one. Lists of indices, as for `gather`, are no sources.

    Args:
        p: A pipeline.
        i: Index of an item; negative ones count from the end.

    Returns:
        For each item of a source, an `Origin` with `source`, which is the object itself; `index`;
        `name`, the text or path that a list, tuple or array of these has there, or the first one in
        a record, which is a tuple, a list, a dict or an instance of a dataclass; and `certain`,
        whether it is read when item `i` is. That is false where a value decides what is read, as in
        `case`, or who reads a part that `split` made: then all that may be read are listed, with
        the `index` `None` if it can be any.

    Raises:
        TypeError: If `p` is not a lazy sequence, or `i` is not an integer.
        IndexError: If there is no item `i`.
        ValueError: If the item is made of more than 2**22 items.

    Example:
        >>> import seqtools
        >>> files = ["a.png", "b.png", "c.png", "d.png", "e.png", "f.png"]
        >>> run = seqtools.batch(seqtools.shuffle(seqtools.smap(str.upper, files), 7, epochs=9), 2)
        >>> origins(run, 20)
        [<item 1 of a list 'b.png'>, <item 4 of a list 'e.png'>]
        >>> run[20]
        ['B.PNG', 'E.PNG']
    """
    check_pipeline(p, "origins")
    index = position(p, i)
    try:
        return origins_of(p, index)
    except (TooMany, TooManyIndices):
        message = f"item {i} of {p._describe()} is made of more than {LIMIT:,} items"
        raise ValueError(message) from None


def uses(p: LazySequence[Any], source: Any, j: int, stop: int | None = None) -> Any:
    """Return the indices of all items of `p` that are made from item `j` of `source`.

    Nothing is evaluated. Slices, shuffles, mixes, batches and other stages of this library compute
    it from `j`; of other stages, what they read is searched. This is the inverse of all `origins`
    that are certain. Of others, it finds what is made of a part that `split` made and that has item
    `j`, and what `substitute` makes of it if nothing fails; it leaves out reads that depend on
    values, as in `case`.

    Args:
        p: A pipeline.
        source: The object on which `p` was built, such as the list of files, itself and not a copy;
            or a lazy sequence upstream.
        j: Index of an item of it; negative ones count from the end.
        stop: The number of items of `p` to search; required if it is endless.

    Returns:
        An ascending array of integers.

    Raises:
        TypeError: If `p` is not a lazy sequence, or `j` is not an integer.
        IndexError: If `source` has no item `j`.
        ValueError: If `p` does not read from `source`; if it is endless and `stop` is missing; or
            if one item is made of more than 2**22 items of a source that are not consecutive.

    Example:
        >>> import seqtools
        >>> files = ["a.png", "b.png", "c.png", "d.png", "e.png", "f.png"]
        >>> run = seqtools.batch(seqtools.shuffle(seqtools.smap(str.upper, files), 7, epochs=9), 2)
        >>> uses(run, files, 5).tolist()
        [1, 3, 7, 11, 13, 15, 18, 23, 26]
    """
    from seqtools.instrument.usage import positions_of, sources_here, stop_of

    check_pipeline(p, "uses")
    if stop is not None:
        stop = check_count(stop, 0, "stop")
    if not any(source is each for stage in upstream(p) for each in (stage, *sources_here(stage))):
        message = (
            f"{p._describe()} does not read from this source, got {short(source)}: give the object "
            "that it was built on, not a copy"
        )
        raise ValueError(message)
    index, end = _index(source, j), stop_of(p, stop)
    try:
        return positions_of(p, source, index, end)
    except TooManyIndices:
        message = (
            f"an item of {p._describe()}, or of a stage before it, is made of more than {LIMIT:,} "
            "items"
        )
        raise ValueError(message) from None


def _index(source: Any, j: int) -> int:
    if is_stage(source):
        return position(source, j)
    if isinstance(j, str | PathLike):
        message = (
            f"j must be an integer, got {short(j)}: give the index of the item, such as "
            f"source.index({short(j)})"
        )
        raise TypeError(message)
    index = as_index(j, "j", "give the index of an item")
    n = size_of(source) if hasattr(source, "__len__") else None
    if n is not None and not -n <= index < n:
        message = f"j must be an index of a source of {n} items, got {j}"
        raise IndexError(message)
    if index < 0 and n is None:
        message = f"the source has no length, so no negative indices, got {j}"
        raise IndexError(message)
    return index if index >= 0 else index + (n or 0)
