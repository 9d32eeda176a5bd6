"""Lengths of items that are known beforehand."""

from typing import Any

from seqtools._core import rows
from seqtools._core.checks import check_integers


def as_lengths(lengths: Any, advice: str) -> Any:
    """Return `lengths`, a sequence of integers, as an array.

    Args:
        lengths: A list or an array, of which all items are checked.
        advice: What to give instead, for the message of an error.

    Raises:
        TypeError: If they are no integers.
        ValueError: If one of them is negative.
    """
    import numpy as np

    check_integers(lengths, "lengths", advice)
    # of a list, only the first item was checked
    n = rows.length(lengths)
    if not hasattr(lengths, "__len__"):  # of zarr, of which numpy would make one object
        lengths = [lengths[k] for k in range(n)]
    found = np.array(lengths) if n else np.zeros(0, np.int64)
    check_integers(found, "lengths", advice)
    found = found.astype(np.int64)
    if len(found) and found.min() < 0:
        k = int(found.argmin())
        message = f"lengths must be at least 0, got {found[k]} at index {k}"
        raise ValueError(message)
    return found
