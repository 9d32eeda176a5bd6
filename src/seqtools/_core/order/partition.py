"""Items divided at random into parts of given weights.

Items are sorted by a hash of their index, and the sorted ones are cut. Hashes do not depend on the
number of items, so few items change their part when others are appended. No two are equal.
"""

from typing import Any

from seqtools._core.chance.seeds import Seed, words
from seqtools._core.order.permutation import hashed


def of_items(n: int, weights: list[int], seed: Seed) -> Any:
    """Return the number of the part of each of `n` items."""
    import numpy as np

    keys = _keys(n, seed)
    ends = np.cumsum(_sizes([n], weights))
    return np.searchsorted(np.sort(keys)[ends[ends < n]], keys, side="right")


def of_labels(labels: list[int], weights: list[int], seed: Seed) -> Any:
    """Return the number of the part of each item, where the items of each label are divided too."""
    import numpy as np

    order = np.lexsort((_keys(len(labels), seed), labels))
    sizes = _sizes(np.bincount(np.array(labels, np.int64)).tolist(), weights)
    numbers = np.empty(len(labels), np.int64)
    parts = np.tile(np.arange(len(weights)), len(sizes))
    numbers[order] = np.repeat(parts, np.array(sizes, np.int64).ravel())
    return numbers


def of_groups(groups: list[int], weights: list[int], seed: Seed) -> Any:
    """Return the number of the part of each item, where the items of each group are in one part.

    Groups are sorted by the hash of their first item. A group is in the part where its middle is.
    """
    import numpy as np

    _, first, group_of, sizes = np.unique(
        np.array(groups, np.int64), return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(_keys(len(groups), seed)[first])
    twice_middle = 2 * np.cumsum(sizes[order]) - sizes[order]
    ends = np.cumsum(_sizes([len(groups)], weights))
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.searchsorted(2 * ends, twice_middle, side="right")
    return numbers[group_of]


def _keys(n: int, seed: Seed) -> Any:
    """Return the hash of each index."""
    import numpy as np

    first, second, third = words("split_fractions", seed, 3)
    return hashed(np.arange(n), (first, second, third))


def _sizes(counts: list[int], weights: list[int]) -> list[list[int]]:
    """Return how many of each of `counts` items are in each part.

    Each size is its quota, rounded down or up. Those are rounded up whose part has the largest
    deficit, so that sums of parts are the quotas of all, rounded by largest remainder; rarely, one
    is missing.
    """
    unit, total = sum(weights), sum(counts)
    whole = _rounded(total, weights, [total * weight % unit for weight in weights])
    # by how much each part is too small, in parts of an item
    deficits = [size * unit - total * weight for size, weight in zip(whole, weights, strict=True)]
    rows = []
    for count in counts:
        remainders = [count * weight % unit for weight in weights]
        deficits = [d + remainder for d, remainder in zip(deficits, remainders, strict=True)]
        row = _rounded(count, weights, deficits)
        for k, weight in enumerate(weights):
            deficits[k] -= unit * (row[k] - count * weight // unit)
        rows.append(row)
    return rows


def _rounded(count: int, weights: list[int], deficits: list[int]) -> list[int]:
    """Return quotas of `count`, of which those with the largest deficits are rounded up."""
    unit = sum(weights)
    sizes = [count * weight // unit for weight in weights]
    inexact = [k for k, weight in enumerate(weights) if count * weight % unit]
    inexact.sort(key=lambda k: (-deficits[k], k))
    for k in inexact[: count - sum(sizes)]:
        sizes[k] += 1
    return sizes
