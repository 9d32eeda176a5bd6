"""Items that a mask chooses."""

from typing import Any, TypeVar

from seqtools._core.checks import check_source
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, ends_unseen, size_of
from seqtools._core.views import Compress

T = TypeVar("T")


def compress(sequence: Source[T], mask: Source[bool]) -> LazySequence[T]:
    """Return the items of `sequence` at the indices where `mask` is true, as `itertools.compress`.

    Nothing of `sequence` is read or copied, and assigning to an item assigns to `sequence`. For a
    lazy sequence, `sequence[mask]` with an array of booleans is the same; a list of booleans in
    square brackets is refused.

    Args:
        sequence: The sequence to take items from.
        mask: A boolean for each item: a list, an array, or a lazy sequence. It is read here, once:
            later changes have no effect. An endless `sequence` is as long as `mask`.

    Raises:
        TypeError: If either is not a sequence, or `mask` has something else than booleans, such as
            integers, or several dimensions.
        ValueError: If the lengths differ, or `mask` is endless.

    Example:
        >>> list(compress("abcd", [True, False, False, True]))
        ['a', 'd']
        >>> from seqtools import arange, smap
        >>> squares = smap(lambda x: x * x, arange(6))
        >>> list(compress(squares, [x % 2 == 1 for x in range(6)]))
        [1, 9, 25]
    """
    check_source(sequence)
    check_source(mask, "mask")
    if size_of(mask) is None and not ends_unseen(mask):
        message = "mask must end, got an endless sequence"
        raise ValueError(message)
    items: Any = mask if hasattr(mask, "shape") else list(mask)  # type: ignore[call-overload]
    return Compress.of(sequence, items)
