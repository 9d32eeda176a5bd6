"""Sequences of numbers in given proportions, as near to them at every position as can be.

A *period* of L positions has exact counts n_0 … n_(K-1) that add up to L, and is repeated without
end. The *discrepancy* is the largest distance, over all numbers k and all prefixes, between how
often k occurs in a prefix of t positions and its share t * n_k / L.

A short period is a table. It is made as in R. Tijdeman, "The chairman assignment problem", Discrete
Mathematics 32, 1980: let d = 1 / (2K - 2). Occurrence r of k may come as soon as its share is
r + d, and must come before that exceeds r + 1 - d. Of those that may come next, the one comes that
must first. It is proven there that none comes too late, so the discrepancy is at most 1 - d.

A long period is a binary tree over the numbers. Of the first t positions of a node with N
positions, its left child with M positions has t * M / N, rounded. So a position is looked up by a
few divisions.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache
from heapq import heapify, heappop, heappush
from math import lcm
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from fractions import Fraction  # takes some ms, which only users of mix() should wait for

LONGEST = 1 << 30
"""Longest period. The products of two numbers below it fit in 64 bits."""

LONGEST_TABLE = 1 << 16
"""Longest period in a table. Arbitrary: it takes 640 KB, and some 20 ms to make."""

_LARGEST_DENOMINATOR = 10**6
"""Largest denominator of a fraction that a float is taken for. Arbitrary: fractions up to there are
so far apart that a float is next to one by intention."""


class Period(Protocol):
    """Numbers in exact proportions, repeated without end."""

    def locate(self, t: int) -> tuple[int, int]:
        """Return the number at position `t`, and how often it occurs before."""

    def locate_many(self, ts: Any) -> tuple[Any, Any]:
        """Return the same for an array of positions, as two arrays."""

    def position(self, k: int, r: int) -> int:
        """Return where `k`, which has a share, occurs for the time after `r` others."""

    def count(self, k: int, t: int) -> int:
        """Return how often `k`, with or without a share, occurs in the first `t` positions."""


class Table:
    """A period as a table, by Tijdeman's algorithm."""

    __slots__ = ("_counts", "_length", "_numbers", "_positions", "_ranks")

    def __init__(self, counts: tuple[int, ...]) -> None:
        import numpy as np

        self._counts, self._length = counts, sum(counts)
        numbers = _assigned(counts)
        order = np.argsort(numbers, kind="stable")
        starts = np.cumsum(counts) - counts
        ranks = np.empty(self._length, np.int64)
        ranks[order] = np.arange(self._length) - starts[numbers[order]]
        # an array gives Python integers, faster than numpy does
        self._numbers = array("H", numbers.astype(np.uint16).tobytes())
        self._ranks = array("i", ranks.astype(np.int32).tobytes())
        parts = np.split(order.astype(np.int32), starts[1:])
        self._positions = [array("i", part.tobytes()) for part in parts]

    def locate(self, t: int) -> tuple[int, int]:
        repetition, c = divmod(t, self._length)
        k = self._numbers[c]
        return k, repetition * self._counts[k] + self._ranks[c]

    def locate_many(self, ts: Any) -> tuple[Any, Any]:
        import numpy as np

        repetitions, cs = np.divmod(ts, self._length)
        numbers = np.frombuffer(self._numbers, np.uint16)[cs].astype(np.intp)
        ranks = np.frombuffer(self._ranks, np.int32)[cs]
        return numbers, repetitions * np.array(self._counts)[numbers] + ranks

    def position(self, k: int, r: int) -> int:
        repetition, rank = divmod(r, self._counts[k])
        return repetition * self._length + self._positions[k][rank]

    def count(self, k: int, t: int) -> int:
        repetition, c = divmod(t, self._length)
        return repetition * self._counts[k] + bisect_left(self._positions[k], c)


def _assigned(counts: tuple[int, ...]) -> Any:
    """Return the numbers of a period with these counts, as an array."""
    import numpy as np

    length, kinds = sum(counts), len(counts)
    scale = max(2 * sum(n > 0 for n in counts) - 2, 1)  # 1 / d
    numbers = np.repeat(np.arange(kinds), counts)
    shares = np.array(counts)[numbers] * scale
    ranks = np.concatenate([np.arange(n) for n in counts])
    may = -((ranks * scale + 1) * length // -shares)  # the first prefix that may have it
    must = ((ranks + 1) * scale - 1) * length // shares  # the last prefix that need not
    order = np.argsort(may, kind="stable")
    keys = (must * kinds + numbers)[order].tolist()  # one integer for what must come first, and k
    released = np.searchsorted(may[order], np.arange(1, length + 1), side="right").tolist()
    chosen: list[int] = []
    ready: list[int] = []
    at = 0
    for upto in released:
        while at < upto:
            heappush(ready, keys[at])
            at += 1
        chosen.append(heappop(ready))
    return np.array(chosen) % kinds


_Node: TypeAlias = Any
"""A number, or (left, right, length, length of the left) of a part of the tree."""


class Tree:
    """A period of any length as a tree of rounded shares."""

    __slots__ = ("_counts", "_length", "_paths", "_root")

    def __init__(self, counts: tuple[int, ...]) -> None:
        self._counts, self._length = counts, sum(counts)
        self._root = _merged(counts)
        self._paths: list[list[tuple[int, int, bool]]] = [[] for _ in counts]
        left: list[tuple[_Node, list[tuple[int, int, bool]]]] = [(self._root, [])]
        while left:
            node, path = left.pop()
            if isinstance(node, int):
                self._paths[node] = path
            else:
                one, other, n, m = node
                left += [(one, [*path, (n, m, True)]), (other, [*path, (n, m, False)])]

    def locate(self, t: int) -> tuple[int, int]:
        repetition, c = divmod(t, self._length)
        node = self._root
        while node.__class__ is not int:
            one, other, n, m = node
            scaled = c * m + n // 2
            before = scaled // n
            if (scaled + m) // n > before:
                node, c = one, before
            else:
                node, c = other, c - before
        return node, repetition * self._counts[node] + c

    def locate_many(self, ts: Any) -> tuple[Any, Any]:
        import numpy as np

        repetitions, cs = np.divmod(ts, self._length)
        numbers, ranks = np.empty(len(cs), np.intp), np.empty(len(cs), np.int64)
        left: list[tuple[_Node, Any, Any]] = [(self._root, np.arange(len(cs)), cs)]
        while left:
            node, at, c = left.pop()
            if isinstance(node, int):
                numbers[at], ranks[at] = node, c
                continue
            one, other, n, m = node
            before, rest = np.divmod(c * m + n // 2, n)
            mine = rest + m >= n
            left.append((one, at[mine], before[mine]))
            left.append((other, at[~mine], (c - before)[~mine]))
        return numbers, repetitions * np.array(self._counts)[numbers] + ranks

    def position(self, k: int, r: int) -> int:
        repetition, c = divmod(r, self._counts[k])
        for n, m, is_left in reversed(self._paths[k]):
            # the smallest position up to which the child has more than `c`
            c = -(((c + 1) * n - n // 2) // -m) - 1 if is_left else (c * n + n // 2) // (n - m)
        return repetition * self._length + c

    def count(self, k: int, t: int) -> int:
        if not self._counts[k]:
            return 0
        repetition, c = divmod(t, self._length)
        for n, m, is_left in self._paths[k]:
            before = (c * m + n // 2) // n
            c = before if is_left else c - before
        return repetition * self._counts[k] + c


def _merged(counts: tuple[int, ...]) -> _Node:
    """Return a tree in which numbers with large counts are near to the root, as in Huffman's."""
    heap: list[tuple[int, int, _Node]] = [(n, k, k) for k, n in enumerate(counts) if n]
    heapify(heap)
    serial = len(counts)
    while len(heap) > 1:
        m, _, one = heappop(heap)
        n, _, other = heappop(heap)
        heappush(heap, (m + n, serial, (one, other, m + n, m)))
        serial += 1
    return heap[0][2]


@lru_cache(maxsize=16)  # so that copies of a pipeline share a table
def period(counts: tuple[int, ...]) -> Period:
    """Return a period with these counts, not all of them 0."""
    short = sum(counts) <= LONGEST_TABLE and len(counts) <= LONGEST_TABLE
    return Table(counts) if short else Tree(counts)


def exactly(weight: Any) -> "Fraction":
    """Return a number as the fraction that it was written as.

    A float is the fraction with a denominator up to a million that is next to it, if there is one,
    so that 0.7 is 7/10 and 1/3 a third; else the decimal number that Python prints.

    Raises:
        ValueError: If it is infinite or no number.
        TypeError: If it is something else.
    """
    from fractions import Fraction

    number = weight.item() if hasattr(weight, "item") else weight  # of one of numpy
    if not isinstance(number, float):
        if isinstance(number, str | bytes | bool):
            raise TypeError
        return Fraction(number)
    near = Fraction(number).limit_denominator(_LARGEST_DENOMINATOR)
    # one of 32 bits must be compared as such
    return near if type(weight)(near) == weight else Fraction(str(number))


def counts_of(weights: Iterable["Fraction"]) -> tuple[int, ...]:
    """Return the counts of the shortest period in proportion to `weights`, not all of them 0.

    If that is longer than `LONGEST`, return those of a period of that length, rounded.
    """
    shares = list(weights)
    total = sum(shares)
    shares = [share / total for share in shares]
    length = lcm(*[share.denominator for share in shares])
    if length <= LONGEST:
        return tuple([int(share * length) for share in shares])
    counts = [int(share * LONGEST) for share in shares]
    missing = LONGEST - sum(counts)
    largest = sorted(range(len(shares)), key=lambda k: counts[k] - shares[k] * LONGEST)
    for k in largest[:missing]:
        counts[k] += 1
    return tuple(counts)
